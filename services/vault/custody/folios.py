# SPDX-License-Identifier: Apache-2.0
"""Seal a state of a folio into a version, and open it again. Pure: no I/O, no clock.

A version has a data key of its own; custody is that key wrapped under a party's class
key and bound to the place of the row. Random bytes and ids come from the caller.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from contracts.events.envelope import canonical_json
from services.vault.custody.state import CustodyState
from services.vault.errors import SealBroken, SealFault
from services.vault.keys.sealing import (
    KEY_BYTES,
    NONCE_BYTES,
    Key,
    identity_context,
    open_sealed,
    payload_context,
    seal,
    unwrap_key,
    wrap_context,
    wrap_key,
)


class Place(NamedTuple):
    """Where a folio stands: the party's, of a record, of a class, a volume."""

    party: str
    record: str
    class_: str
    volume: str


class WrappingKey(Protocol):
    """A class key with the number of its version."""

    @property
    def version(self) -> int:
        """The number that the wrap and its context carry."""
        ...

    @property
    def key(self) -> Key:
        """The key."""
        ...


@dataclass(frozen=True, slots=True)
class SealedVersion:
    """A new version of a folio, ready to be stored.

    Attributes:
        id: The version's, a UUIDv7.
        base: The version that it follows; empty for a new folio.
        payload: The sealed document or entries.
        digest: SHA-256 of `payload`.
        wrap: The data key under the party's class key `key_version`.
    """

    place: Place
    id: str
    base: str
    payload: bytes = field(repr=False)
    digest: bytes
    key_version: int
    wrap: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class HeldFolio:
    """A folio's current version as a party holds it.

    Attributes:
        state: Derived; see `state.custody_state`.
        terms: What the custody allows.
        created_at: When the version was made, milliseconds.
        tags: Of the record, kept with each folio as a fact.
    """

    place: Place
    version: str
    state: CustodyState
    key_version: int
    wrap: bytes = field(repr=False)
    payload: bytes = field(repr=False)
    digest: bytes
    terms: CustodyTerms
    basis: str
    last_activity: str | None
    retention: str | None
    tags: tuple[str, ...]
    entries: int
    created_at: int


@dataclass(frozen=True, slots=True)
class CustodyTerms:
    """What a custody allows.

    Attributes:
        purposes: For which it may be read; None leaves that to policy.
        denied_purposes: For which it may not, unless the person opted in.
        retention: The last day of keeping, ISO; None for no end.
    """

    basis: str
    purposes: tuple[str, ...] | None = None
    denied_purposes: tuple[str, ...] = ()
    retention: str | None = None

    def as_json(self) -> str:
        """Return the canonical JSON that the table keeps."""
        return canonical_json(
            {
                "basis": self.basis,
                "purposes": None if self.purposes is None else list(self.purposes),
                "denied_purposes": list(self.denied_purposes),
                "retention": self.retention,
            }
        ).decode()

    @classmethod
    def from_json(cls, text: str) -> CustodyTerms:
        """Return the terms of the table's JSON."""
        value = json.loads(text)
        purposes = value.get("purposes")
        return cls(
            basis=value["basis"],
            purposes=None if purposes is None else tuple(purposes),
            denied_purposes=tuple(value.get("denied_purposes", ())),
            retention=value.get("retention"),
        )


RandomBytes = Callable[[int], bytes]


def seal_folio(
    place: Place,
    content: Mapping[str, Any] | list[Any],
    *,
    version: str,
    base: str,
    key: WrappingKey,
    random_bytes: RandomBytes,
) -> SealedVersion:
    """Seal `content` as a new version under a fresh data key.

    Args:
        place: Where the folio stands.
        content: Fields of a document, or a list of entries; canonical JSON values.
        version: The new version's id.
        base: The version that `content` was made from; empty for none.
        key: The party's class key now in use.
        random_bytes: The source of the data key and the two nonces.
    """
    data_key = Key(random_bytes(KEY_BYTES))
    payload = seal(
        data_key,
        canonical_json(content),
        payload_context(place.class_, version),
        random_bytes(NONCE_BYTES),
    )
    context = wrap_context(*place, version, key.version)
    return SealedVersion(
        place=place,
        id=version,
        base=base,
        payload=payload,
        digest=hashlib.sha256(payload).digest(),
        key_version=key.version,
        wrap=wrap_key(key.key, data_key, context, random_bytes(NONCE_BYTES)),
    )


def open_folio(held: HeldFolio, class_key: Key) -> Any:
    """Return what a held version contains: a document's fields or a list of entries.

    Raises:
        SealBroken: The row was altered, or belongs to another place: another record,
            class, volume, version or party.
    """
    place, version = held.place, held.version
    if hashlib.sha256(held.payload).digest() != held.digest:
        raise SealBroken(SealFault.CIPHERTEXT).at(place.record, place.class_)
    try:
        context = wrap_context(*place, version, held.key_version)
        data_key = unwrap_key(class_key, held.wrap, context)
        context = payload_context(place.class_, version)
        plain = open_sealed(data_key, held.payload, context)
    except SealBroken as broken:
        raise broken.at(place.record, place.class_) from None
    return json.loads(plain)


def seal_identity(
    party: str,
    record: str,
    external_id: str,
    *,
    key: WrappingKey,
    random_bytes: RandomBytes,
    column: str = "external_id",
) -> bytes:
    """Seal a record's number in a CRM under the class `identity`."""
    context = identity_context(party, record, column, key.version)
    return seal(key.key, external_id.encode(), context, random_bytes(NONCE_BYTES))


def open_identity(
    party: str, record: str, sealed: bytes, *, key: WrappingKey, column: str
) -> str:
    """Return the number sealed by `seal_identity`.

    Raises:
        SealBroken: Altered, or of another record, party or column.
    """
    context = identity_context(party, record, column, key.version)
    try:
        return open_sealed(key.key, sealed, context).decode()
    except SealBroken as broken:
        raise broken.at(record, "identity") from None


def keyed_digest(digest: bytes, alias: str) -> str:
    """Return a version's digest as an event may carry it: keyed by the alias, hex.

    Erasing the alias makes it meaningless: nobody can test a guess against it.
    """
    return hashlib.blake2b(digest, key=bytes.fromhex(alias), digest_size=16).hexdigest()
