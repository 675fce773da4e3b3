# SPDX-License-Identifier: Apache-2.0
"""Tables of parties, their clients and officers, and the actors' aliases."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, String, Table, Text

from services.vault.schema import RECORDS

#: `epoch` is bumped by freeze, thaw, turn, consent, key and policy changes: a read
#: compares it after its event is durable, and decides again if it moved.
party = Table(
    "party",
    RECORDS,
    Column("id", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("region", String(2), nullable=False),
    Column("timezone", String(64), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

#: The party's allow-list, in CIDR notation.
network = Table(
    "network",
    RECORDS,
    Column("party", String(64), primary_key=True),
    Column("cidr", String(64), primary_key=True),
)

#: `secret_hash` is a keyed hash of a random 256-bit secret; scopes and purposes are
#: canonical JSON lists.
client = Table(
    "client",
    RECORDS,
    Column("id", String(64), primary_key=True),
    Column("party", String(64), nullable=False, index=True),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("purposes", Text, nullable=False),
    Column("default_purpose", String(64)),
    Column("daily_records", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)

#: One row per key: an officer has two, `use` sign and login, and the first is never
#: accepted for tokens.
officer = Table(
    "officer",
    RECORDS,
    Column("key_id", String(64), primary_key=True),
    Column("party", String(64), nullable=False, index=True),
    Column("person", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    Column("use", String(8), nullable=False),
    Column("public_key", LargeBinary(32), nullable=False),
    Column("enrolled_by", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)

#: `kind` is client or officer, `id` the client id or `<party>/<person>`; an erasable
#: map.
actor = Table(
    "actor",
    RECORDS,
    Column("kind", String(8), primary_key=True),
    Column("id", String(160), primary_key=True),
    Column("alias", String(32), nullable=False, unique=True),
)

#: Login assertions used once (`private_key_jwt`); rows go when they expire.
assertion = Table(
    "assertion",
    RECORDS,
    Column("jti", String(128), primary_key=True),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
