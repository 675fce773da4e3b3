# SPDX-License-Identifier: Apache-2.0
"""Tables of records, folios, versions and custody, and of what turns them.

`arrived_by` and `left_by` name a handover or are `''`. The state of custody is
derived, never stored per row: see `custody.state`. B-tree keys are time-ordered.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from services.vault.schema import RECORDS

record = Table(
    "record",
    RECORDS,
    Column("party", String(64), primary_key=True),
    Column("arrived_by", String(36), primary_key=True),
    Column("id", String(36), primary_key=True),
    Column("external_id_sealed", LargeBinary),
    Column("origin_external_id_sealed", LargeBinary),
    Column("identity_key_version", Integer, nullable=False),
    Column("etag", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("ix_record_id", "id"),
)

#: The unit of eligibility. `tags` is canonical JSON; `retention` and
#: `last_activity` are ISO dates; `entries` and `bytes` bound an entry volume.
folio = Table(
    "folio",
    RECORDS,
    Column("party", String(64), primary_key=True),
    Column("record", String(36), primary_key=True),
    Column("class", String(64), primary_key=True),
    Column("volume", String(16), primary_key=True),
    Column("current_version", String(36), nullable=False),
    Column("basis", String(32), nullable=False),
    Column("last_activity", String(10)),
    Column("retention", String(10)),
    Column("tags", Text, nullable=False),
    Column("entries", Integer, nullable=False),
    Column("bytes", Integer, nullable=False),
)

#: Immutable. `digest` is SHA-256 of the sealed payload.
version = Table(
    "version",
    RECORDS,
    Column("id", String(36), primary_key=True),
    Column("class", String(64), nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_version_created_at", "created_at"),
)

#: What lets a party open a version. `terms` is canonical JSON: basis, purposes,
#: denied_purposes, retention.
custody = Table(
    "custody",
    RECORDS,
    Column("party", String(64), primary_key=True),
    Column("record", String(36), primary_key=True),
    Column("class", String(64), primary_key=True),
    Column("volume", String(16), primary_key=True),
    Column("version", String(36), primary_key=True),
    Column("key_version", Integer, nullable=False),
    Column("wrap", LargeBinary, nullable=False),
    Column("terms", Text, nullable=False),
    Column("arrived_by", String(36), nullable=False),
    Column("left_by", String(36), nullable=False),
    Column("destroyed_at", BigInteger),
    Index("ix_custody_version", "version"),
)

#: One row per handover; when it flips to `turned`, all its custody changes state.
#: State: open, turned, cancelling, cancelled, revoked, thawed.
turn = Table(
    "turn",
    RECORDS,
    Column("handover", String(36), primary_key=True),
    Column("seller", String(64), nullable=False),
    Column("buyer", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("turned_at", BigInteger),
)

#: The freeze flag and the decision's summary. State: deciding, decided, mandated,
#: turned, released. `secret_sealed` salts the decision's leaves.
scope = Table(
    "scope",
    RECORDS,
    Column("party", String(64), primary_key=True),
    Column("handover", String(36), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("snapshot", String(36), nullable=False),
    Column("frozen_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("as_of", String(10), nullable=False),
    Column("plan_hash", String(71), nullable=False),
    Column("cursor", String(36), nullable=False),
    Column("folios", BigInteger, nullable=False),
    Column("summary", Text, nullable=False),
    Column("decision_root", String(71), nullable=False),
    Column("secret_sealed", LargeBinary, nullable=False),
)

#: One row per folio of a frozen scope, sorted by record; `dropped` is '' or a
#: reason: objected, withdrawn, corrected, erased. The partial indexes serve queries
#: that spell the same condition with literals (`store.decisions`).
decision = Table(
    "decision",
    RECORDS,
    Column("handover", String(36), primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("record", String(36), nullable=False),
    Column("new_record", String(36), nullable=False),
    Column("class", String(64), nullable=False),
    Column("volume", String(16), nullable=False),
    Column("version", String(36), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("rule", String(64), nullable=False),
    Column("reason", String(32), nullable=False),
    Column("dropped", String(16), nullable=False),
    Index("ix_decision_record", "record"),
    Index(
        "ix_decision_moving",
        "handover",
        "position",
        sqlite_where=text("outcome IN ('transfer', 'archive_only')"),
        postgresql_where=text("outcome IN ('transfer', 'archive_only')"),
    ),
    Index(
        "ix_decision_dropped",
        "handover",
        "class",
        "dropped",
        sqlite_where=text("dropped <> ''"),
        postgresql_where=text("dropped <> ''"),
    ),
)

#: `unique_slot` is '' for fields the catalogue calls unique and the record's id for
#: others, so that one constraint serves both. `arrived_by` is never NULL: NULLs
#: would never collide.
index_entry = Table(
    "index_entry",
    RECORDS,
    Column("party", String(64), primary_key=True),
    Column("field", String(64), primary_key=True),
    Column("value", LargeBinary(16), primary_key=True),
    Column("arrived_by", String(36), primary_key=True),
    Column("unique_slot", String(36), primary_key=True),
    Column("record", String(36), nullable=False),
    Index("ix_index_entry_record", "party", "record"),
)

#: A random name of a record for one party; erasable.
alias = Table(
    "alias",
    RECORDS,
    Column("alias", String(32), primary_key=True),
    Column("party", String(64), nullable=False),
    Column("record", String(36), nullable=False),
    UniqueConstraint("party", "record"),
)

#: `kind` is separate, optin, bundled, ...; `recipient` a party id or ''; `class` a
#: class name (for optin: the purpose).
consent = Table(
    "consent",
    RECORDS,
    Column("party", String(64), primary_key=True),
    Column("record", String(36), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("recipient", String(64), primary_key=True),
    Column("class", String(64), primary_key=True),
    Column("given_at", BigInteger, nullable=False),
    Column("withdrawn_at", BigInteger),
    Column("evidence", String(71), nullable=False),
)

#: `recipient` and `handover` are '' where the objection names none.
objection = Table(
    "objection",
    RECORDS,
    Column("party", String(64), primary_key=True),
    Column("record", String(36), primary_key=True),
    Column("recipient", String(64), primary_key=True),
    Column("handover", String(36), primary_key=True),
    Column("objected_at", BigInteger, nullable=False),
    Column("withdrawn_at", BigInteger),
    Column("evidence", String(71), nullable=False),
)

#: How far the index entries that came with a turned handover are native ones of
#: `party`, the buyer. State: running, settled. `cursor` is the last record settled.
settlement = Table(
    "settlement",
    RECORDS,
    Column("handover", String(36), primary_key=True),
    Column("party", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("cursor", String(36), nullable=False),
    Column("records", BigInteger, nullable=False),
    Column("collisions", BigInteger, nullable=False),
)

#: Two records of a party that share a value of a unique field, never the value.
#: `record` arrived with the handover. State: open, settled, void (one was erased, or
#: they share nothing any more). `decision` is '' or keep_both, merge; `kept` '' or
#: one of the two.
collision = Table(
    "collision",
    RECORDS,
    Column("handover", String(36), primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("party", String(64), nullable=False),
    Column("field", String(64), nullable=False),
    Column("record", String(36), nullable=False),
    Column("other", String(36), nullable=False),
    Column("state", String(16), nullable=False),
    Column("decision", String(16), nullable=False),
    Column("kept", String(36), nullable=False),
    Column("settled_at", BigInteger),
    Index("ix_collision_record", "record"),
    Index("ix_collision_other", "other"),
)
