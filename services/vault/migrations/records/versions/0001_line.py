# SPDX-License-Identifier: Apache-2.0
"""The records' database of the first line."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables and their indexes."""
    _catalogue()
    _custody()
    _mandate()
    _parties()
    _answers()
    _lanes()


def _catalogue() -> None:
    op.create_table(
        "data_class",
        sa.Column("party", sa.String(64), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("form", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("party", "name", name="pk_data_class"),
    )
    op.create_table(
        "field",
        sa.Column("party", sa.String(64), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("class", sa.String(64), nullable=False),
        sa.Column("grade", sa.String(16), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("mask", sa.String(32), nullable=False),
        sa.Column("searchable", sa.Boolean(), nullable=False),
        sa.Column("unique", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("party", "name", name="pk_field"),
    )


def _custody() -> None:
    op.create_table(
        "alias",
        sa.Column("alias", sa.String(32), nullable=False),
        sa.Column("party", sa.String(64), nullable=False),
        sa.Column("record", sa.String(36), nullable=False),
        sa.PrimaryKeyConstraint("alias", name="pk_alias"),
        sa.UniqueConstraint("party", "record", name="uq_alias_party_record"),
    )
    op.create_table(
        "consent",
        sa.Column("party", sa.String(64), nullable=False),
        sa.Column("record", sa.String(36), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("recipient", sa.String(64), nullable=False),
        sa.Column("class", sa.String(64), nullable=False),
        sa.Column("given_at", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn_at", sa.BigInteger()),
        sa.Column("evidence", sa.String(71), nullable=False),
        sa.PrimaryKeyConstraint(
            "party", "record", "kind", "recipient", "class", name="pk_consent"
        ),
    )
    op.create_table(
        "custody",
        sa.Column("party", sa.String(64), nullable=False),
        sa.Column("record", sa.String(36), nullable=False),
        sa.Column("class", sa.String(64), nullable=False),
        sa.Column("volume", sa.String(16), nullable=False),
        sa.Column("version", sa.String(36), nullable=False),
        sa.Column("key_version", sa.Integer(), nullable=False),
        sa.Column("wrap", sa.LargeBinary(), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("arrived_by", sa.String(36), nullable=False),
        sa.Column("left_by", sa.String(36), nullable=False),
        sa.Column("destroyed_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint(
            "party", "record", "class", "volume", "version", name="pk_custody"
        ),
    )
    op.create_index("ix_custody_version", "custody", ["version"])
    op.create_table(
        "decision",
        sa.Column("handover", sa.String(36), nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("record", sa.String(36), nullable=False),
        sa.Column("new_record", sa.String(36), nullable=False),
        sa.Column("class", sa.String(64), nullable=False),
        sa.Column("volume", sa.String(16), nullable=False),
        sa.Column("version", sa.String(36), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("rule", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("dropped", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("handover", "position", name="pk_decision"),
    )
    op.create_index(
        "ix_decision_dropped",
        "decision",
        ["handover", "class", "dropped"],
        sqlite_where=sa.text("dropped <> ''"),
        postgresql_where=sa.text("dropped <> ''"),
    )
    op.create_index(
        "ix_decision_moving",
        "decision",
        ["handover", "position"],
        sqlite_where=sa.text("outcome IN ('transfer', 'archive_only')"),
        postgresql_where=sa.text("outcome IN ('transfer', 'archive_only')"),
    )
    op.create_index("ix_decision_record", "decision", ["record"])
    op.create_table(
        "folio",
        sa.Column("party", sa.String(64), nullable=False),
        sa.Column("record", sa.String(36), nullable=False),
        sa.Column("class", sa.String(64), nullable=False),
        sa.Column("volume", sa.String(16), nullable=False),
        sa.Column("current_version", sa.String(36), nullable=False),
        sa.Column("basis", sa.String(32), nullable=False),
        sa.Column("last_activity", sa.String(10)),
        sa.Column("retention", sa.String(10)),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("party", "record", "class", "volume", name="pk_folio"),
    )
    names = {"party": 64, "field": 64, "record": 36, "other": 36}
    ends = {"state": 16, "decision": 16, "kept": 36}
    op.create_table(
        "collision",
        sa.Column("handover", sa.String(36), nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        *(sa.Column(n, sa.String(x), nullable=False) for n, x in names.items()),
        *(sa.Column(n, sa.String(x), nullable=False) for n, x in ends.items()),
        sa.Column("settled_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("handover", "position", name="pk_collision"),
    )
    op.create_index("ix_collision_record", "collision", ["record"])
    op.create_index("ix_collision_other", "collision", ["other"])
    op.create_table(
        "settlement",
        sa.Column("handover", sa.String(36), nullable=False),
        sa.Column("party", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("cursor", sa.String(36), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.Column("collisions", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("handover", name="pk_settlement"),
    )
    op.create_table(
        "index_entry",
        sa.Column("party", sa.String(64), nullable=False),
        sa.Column("field", sa.String(64), nullable=False),
        sa.Column("value", sa.LargeBinary(16), nullable=False),
        sa.Column("arrived_by", sa.String(36), nullable=False),
        sa.Column("unique_slot", sa.String(36), nullable=False),
        sa.Column("record", sa.String(36), nullable=False),
        sa.PrimaryKeyConstraint(
            "party",
            "field",
            "value",
            "arrived_by",
            "unique_slot",
            name="pk_index_entry",
        ),
    )
    op.create_index("ix_index_entry_record", "index_entry", ["party", "record"])
    op.create_table(
        "objection",
        sa.Column("party", sa.String(64), nullable=False),
        sa.Column("record", sa.String(36), nullable=False),
        sa.Column("recipient", sa.String(64), nullable=False),
        sa.Column("handover", sa.String(36), nullable=False),
        sa.Column("objected_at", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn_at", sa.BigInteger()),
        sa.Column("evidence", sa.String(71), nullable=False),
        sa.PrimaryKeyConstraint(
            "party", "record", "recipient", "handover", name="pk_objection"
        ),
    )
    op.create_table(
        "record",
        sa.Column("party", sa.String(64), nullable=False),
        sa.Column("arrived_by", sa.String(36), nullable=False),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("external_id_sealed", sa.LargeBinary()),
        sa.Column("origin_external_id_sealed", sa.LargeBinary()),
        sa.Column("identity_key_version", sa.Integer(), nullable=False),
        sa.Column("etag", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("party", "arrived_by", "id", name="pk_record"),
    )
    op.create_index("ix_record_id", "record", ["id"])
    op.create_table(
        "scope",
        sa.Column("party", sa.String(64), nullable=False),
        sa.Column("handover", sa.String(36), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("snapshot", sa.String(36), nullable=False),
        sa.Column("frozen_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("as_of", sa.String(10), nullable=False),
        sa.Column("plan_hash", sa.String(71), nullable=False),
        sa.Column("cursor", sa.String(36), nullable=False),
        sa.Column("folios", sa.BigInteger(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("decision_root", sa.String(71), nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("party", "handover", name="pk_scope"),
    )
    op.create_table(
        "turn",
        sa.Column("handover", sa.String(36), nullable=False),
        sa.Column("seller", sa.String(64), nullable=False),
        sa.Column("buyer", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("turned_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("handover", name="pk_turn"),
    )
    op.create_table(
        "version",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("class", sa.String(64), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_version"),
    )
    op.create_index("ix_version_created_at", "version", ["created_at"])


def _mandate() -> None:
    op.create_table(
        "backup",
        sa.Column("handover", sa.String(36), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("folios", sa.BigInteger(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("handover", name="pk_backup"),
    )
    op.create_table(
        "batch",
        sa.Column("handover", sa.String(36), nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("first_position", sa.BigInteger(), nullable=False),
        sa.Column("last_position", sa.BigInteger(), nullable=False),
        sa.Column("folios", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("executed_at", sa.BigInteger()),
        sa.Column("verified_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("handover", "n", name="pk_batch"),
    )
    op.create_table(
        "document",
        sa.Column("handover", sa.String(36), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("role", sa.String(2), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("person", sa.String(64), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("filed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("handover", "kind", "role", name="pk_document"),
    )
    op.create_table(
        "plan",
        sa.Column("handover", sa.String(36), nullable=False),
        sa.Column("seller", sa.String(64), nullable=False),
        sa.Column("buyer", sa.String(64), nullable=False),
        sa.Column("bytes", sa.LargeBinary(), nullable=False),
        sa.Column("plan_hash", sa.String(71), nullable=False),
        sa.Column("lodged_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("handover", name="pk_plan"),
    )


def _parties() -> None:
    op.create_table(
        "actor",
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("id", sa.String(160), nullable=False),
        sa.Column("alias", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("kind", "id", name="pk_actor"),
        sa.UniqueConstraint("alias", name="uq_actor_alias"),
    )
    op.create_table(
        "assertion",
        sa.Column("jti", sa.String(128), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("jti", name="pk_assertion"),
    )
    op.create_index("ix_assertion_expires_at", "assertion", ["expires_at"])
    op.create_table(
        "client",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("party", sa.String(64), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("purposes", sa.Text(), nullable=False),
        sa.Column("default_purpose", sa.String(64)),
        sa.Column("daily_records", sa.BigInteger()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_client"),
    )
    op.create_index("ix_client_party", "client", ["party"])
    op.create_table(
        "officer",
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("party", sa.String(64), nullable=False),
        sa.Column("person", sa.String(64), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("use", sa.String(8), nullable=False),
        sa.Column("public_key", sa.LargeBinary(32), nullable=False),
        sa.Column("enrolled_by", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("key_id", name="pk_officer"),
    )
    op.create_index("ix_officer_party", "officer", ["party"])
    op.create_table(
        "network",
        sa.Column("party", sa.String(64), nullable=False),
        sa.Column("cidr", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("party", "cidr", name="pk_network"),
    )
    op.create_table(
        "party",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("region", sa.String(2), nullable=False),
        sa.Column("timezone", sa.String(64), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_party"),
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
