# SPDX-License-Identifier: Apache-2.0
"""The database of read events of the first line."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables and their indexes."""
    op.create_table(
        "lane",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("slot", sa.String(64), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("receipted_seq", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.LargeBinary(64), nullable=False),
        sa.Column("successor", sa.String(32), nullable=False),
        sa.Column("closed", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_lane"),
    )
    op.create_index("ix_lane_slot", "lane", ["slot"])
    op.create_table(
        "lane_party",
        sa.Column("lane", sa.String(32), nullable=False),
        sa.Column("party", sa.String(64), nullable=False),
        sa.Column("pseq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("lane", "party", name="pk_lane_party"),
    )
    op.create_table(
        "log_pin",
        sa.Column("origin", sa.String(128), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("edge", sa.LargeBinary(), nullable=False),
        sa.Column("checkpoint", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("origin", name="pk_log_pin"),
    )
    op.create_table(
        "outbox",
        sa.Column("lane", sa.String(32), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event", sa.LargeBinary(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("head", sa.LargeBinary(64)),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("lane", "seq", name="pk_outbox"),
    )
    op.create_table(
        "quota",
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("actor", sa.String(32), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "actor", name="pk_quota"),
    )
    op.create_table(
        "quota_record",
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("actor", sa.String(32), nullable=False),
        sa.Column("record", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("day", "actor", "record", name="pk_quota_record"),
    )
