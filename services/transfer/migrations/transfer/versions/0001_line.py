# SPDX-License-Identifier: Apache-2.0
"""Transfer's database of the first line."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables and their indexes."""
    _execution()
    _handovers()
    _answers()
    _lanes()


def _execution() -> None:
    op.create_table(
        "batch",
        sa.Column("handover", sa.String(36), nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("folios", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.Column("leased_by", sa.String(64), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("moved", sa.Integer(), nullable=False),
        sa.Column("dropped", sa.Integer(), nullable=False),
        sa.Column("fault", sa.String(64), nullable=False),
        sa.Column("executed_at", sa.BigInteger()),
        sa.Column("verified_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("handover", "n", name="pk_batch"),
    )
    op.create_index("ix_batch_leased_by", "batch", ["leased_by"])
    op.create_index("ix_batch_next", "batch", ["handover", "state", "n"])


def _handovers() -> None:
    op.create_table(
        "document",
        sa.Column("handover", sa.String(36), nullable=False),
        sa.Column("step", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("role", sa.String(2), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(71), nullable=False),
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("voided_step", sa.Integer()),
        sa.PrimaryKeyConstraint("handover", "step", name="pk_document"),
    )
    op.create_table(
        "handover",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("seller", sa.String(64), nullable=False),
        sa.Column("buyer", sa.String(64), nullable=False),
        sa.Column("reviewer", sa.String(64), nullable=False),
        sa.Column("deal_type", sa.String(32), nullable=False),
        sa.Column("path", sa.String(32), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("plan", sa.LargeBinary()),
        sa.Column("plan_hash", sa.String(71), nullable=False),
        sa.Column("plan_expires_at", sa.BigInteger()),
        sa.Column("snapshot_id", sa.String(64), nullable=False),
        sa.Column("as_of", sa.String(10), nullable=False),
        sa.Column("decision_root", sa.String(71), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("backup", sa.Text(), nullable=False),
        sa.Column("turned", sa.Text(), nullable=False),
        sa.Column("fault", sa.String(64), nullable=False),
        sa.Column("driven_until", sa.BigInteger(), nullable=False),
        sa.Column("driven_by", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_handover"),
    )
    op.create_index("ix_handover_buyer", "handover", ["buyer", "id"])
    op.create_index("ix_handover_reviewer", "handover", ["reviewer", "id"])
    op.create_index("ix_handover_seller", "handover", ["seller", "id"])
    op.create_index("ix_handover_state", "handover", ["state"])
    op.create_table(
        "scope",
        sa.Column("handover", sa.String(36), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("bytes", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("handover", "version", name="pk_scope"),
    )
    op.create_table(
        "seat",
        sa.Column("handover", sa.String(36), nullable=False),
        sa.Column("person", sa.String(128), nullable=False),
        sa.Column("role", sa.String(2), nullable=False),
        sa.Column("alias", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("handover", "person", name="pk_seat"),
        sa.UniqueConstraint("handover", "alias", name="uq_seat_handover_alias"),
    )
    op.create_table(
        "transition",
        sa.Column("handover", sa.String(36), nullable=False),
        sa.Column("step", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("event", sa.String(32), nullable=False),
        sa.Column("actor", sa.String(3), nullable=False),
        sa.Column("person", sa.String(32), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("from_state", sa.String(32), nullable=False),
        sa.Column("to_state", sa.String(32), nullable=False),
        sa.Column("document", sa.String(71), nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("handover", "step", name="pk_transition"),
    )


def _answers() -> None:
    op.create_table(
        "idempotency",
        sa.Column("party", sa.String(64), nullable=False),
        sa.Column("client", sa.String(128), nullable=False),
        sa.Column("route", sa.String(128), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(32), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("response_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "party", "client", "route", "key_hash", name="pk_idempotency"
        ),
    )
    op.create_index("ix_idempotency_created_at", "idempotency", ["created_at"])


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
