# SPDX-License-Identifier: Apache-2.0
"""The log's database of the first line."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables and their indexes."""
    _log()
    _lanes()


def _log() -> None:
    op.create_table(
        "alert",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("code", sa.String(32), nullable=False),
        sa.Column("lane", sa.String(32), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("evidence", sa.LargeBinary(), nullable=False),
        sa.Column("raised_at", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_alert"),
        sa.UniqueConstraint("code", "lane", "seq", name="uq_alert_code_lane_seq"),
    )
    op.create_table(
        "leaf",
        sa.Column(
            "index",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("lane", sa.String(32), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("event", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("index", name="pk_leaf"),
        sa.UniqueConstraint("lane", "seq", name="uq_leaf_lane_seq"),
    )
    op.create_table(
        "offset",
        sa.Column("topic", sa.String(64), nullable=False),
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("next", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("topic", "partition", name="pk_offset"),
    )
    op.create_table(
        "position",
        sa.Column("lane", sa.String(32), nullable=False),
        sa.Column("service", sa.String(16), nullable=False),
        sa.Column("slot", sa.String(64), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("head", sa.LargeBinary(64), nullable=False),
        sa.Column("previous", sa.String(32), nullable=False),
        sa.Column("previous_seq", sa.BigInteger(), nullable=False),
        sa.Column("previous_leaf", sa.LargeBinary(32), nullable=False),
        sa.PrimaryKeyConstraint("lane", name="pk_position"),
    )
    op.create_index("ix_position_previous", "position", ["previous"])
    op.create_index("ix_position_slot", "position", ["service", "slot"])
    op.create_table(
        "tree",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("edge", sa.LargeBinary(), nullable=False),
        sa.Column("checkpoint", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tree"),
    )


def _lanes() -> None:
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
