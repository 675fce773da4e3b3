# SPDX-License-Identifier: Apache-2.0
"""The key database of the first line."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables and their indexes."""
    op.create_table(
        "class_key",
        sa.Column("party", sa.String(64), nullable=False),
        sa.Column("class", sa.String(64), nullable=False),
        sa.Column("use", sa.String(8), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("destroyed_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint(
            "party", "class", "use", "version", name="pk_class_key"
        ),
    )
    op.create_table(
        "generation",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_generation"),
    )
