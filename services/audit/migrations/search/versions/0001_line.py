# SPDX-License-Identifier: Apache-2.0
"""The search projection's database of the first line."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables and their indexes."""
    op.create_table(
        "found_alias",
        sa.Column("alias", sa.String(32), nullable=False),
        sa.Column("index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("alias", "index", name="pk_found_alias"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "found_leaf",
        sa.Column(
            "index",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.String(96), nullable=False),
        sa.Column("handover", sa.String(64)),
        sa.Column("actor", sa.String(64)),
        sa.Column("client", sa.String(64)),
        sa.PrimaryKeyConstraint("index", name="pk_found_leaf"),
    )
    op.create_index(
        "ix_found_leaf_actor",
        "found_leaf",
        ["actor", "index"],
        sqlite_where=sa.text("actor IS NOT NULL"),
        postgresql_where=sa.text("actor IS NOT NULL"),
    )
    op.create_index("ix_found_leaf_at", "found_leaf", ["at"])
    op.create_index(
        "ix_found_leaf_client",
        "found_leaf",
        ["client", "index"],
        sqlite_where=sa.text("client IS NOT NULL"),
        postgresql_where=sa.text("client IS NOT NULL"),
    )
    op.create_index(
        "ix_found_leaf_handover",
        "found_leaf",
        ["handover", "index"],
        sqlite_where=sa.text("handover IS NOT NULL"),
        postgresql_where=sa.text("handover IS NOT NULL"),
    )
    op.create_index("ix_found_leaf_type", "found_leaf", ["type", "index"])
    op.create_table(
        "found_party",
        sa.Column("party", sa.String(64), nullable=False),
        sa.Column("index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("party", "index", name="pk_found_party"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "search_progress",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.LargeBinary(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_search_progress"),
    )
