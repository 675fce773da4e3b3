# SPDX-License-Identifier: Apache-2.0
"""Preparing a batch: the crypto, before any transaction.

Of each folio only the frozen version's data key is wrapped again, for the buyer: no
older version and no payload moves. What the buyer will find records by is computed
under the buyer's index keys, from the opened documents.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.vault.catalogue import IDENTITY, Catalogue, Field, Form
from services.vault.custody import Place, open_identity, seal_identity
from services.vault.custody.folios import CustodyTerms
from services.vault.custody.handover import (
    FrozenFolio,
    NamedRecord,
    PendingFolio,
    PendingRecord,
)
from services.vault.errors import FieldUnparsable
from services.vault.keys.blind_index import index_value
from services.vault.keys.keyring import KeyVersion, PartyKeys
from services.vault.keys.normalise import normalise
from services.vault.keys.sealing import (
    NONCE_BYTES,
    Key,
    open_sealed,
    payload_context,
    unwrap_key,
    wrap_context,
    wrap_key,
)


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """A folio wrapped for the buyer, with its index entries (field, value)."""

    folio: FrozenFolio
    place: Place
    key_version: int
    wrap: bytes = field(repr=False)
    values: Sequence[tuple[str, bytes]] = field(repr=False)
    unindexed: int

    def pending(self, terms: CustodyTerms) -> PendingFolio:
        """Return the buyer's custody under `terms`."""
        return PendingFolio(
            place=self.place,
            version=self.folio.version,
            key_version=self.key_version,
            wrap=self.wrap,
            terms=terms,
            last_activity=self.folio.last_activity,
            tags=self.folio.tags,
            entries=self.folio.entries,
            size=self.folio.size,
        )


@dataclass(frozen=True)
class Rewrapping:
    """The keys and catalogues of both sides of one handover."""

    seller_keys: PartyKeys
    buyer_keys: PartyKeys
    seller: Catalogue
    buyer: Catalogue
    random_bytes: Callable[[int], bytes]
    _fields: dict[str, Sequence[Field]] = field(default_factory=dict, init=False)

    def indexed_classes(self, classes: set[str]) -> set[str]:
        """Return those of `classes` whose documents the buyer will find records by."""
        return {
            name
            for name in classes
            if self.buyer.classes[name].form is Form.DOCUMENT and self._indexed(name)
        }

    def folio(self, folio: FrozenFolio, payload: bytes | None) -> Rewrapped:
        """Wrap a folio's data key for the buyer.

        Args:
            folio: The seller's, at its frozen version.
            payload: Its sealed document, if the buyer indexes the class.

        Raises:
            SealBroken: The row was altered, or belongs to another place.
        """
        class_ = folio.place.class_
        context = wrap_context(*folio.place, folio.version, folio.key_version)
        class_key = self.seller_keys.version(class_, folio.key_version)
        data_key = unwrap_key(class_key, folio.wrap, context)
        primary = self.buyer_keys.primary(class_)
        place = folio.place._replace(
            party=self.buyer_keys.party, record=folio.new_record
        )
        values: list[tuple[str, bytes]] = []
        unindexed = 0
        if payload is not None:
            document = _opened(data_key, payload, class_, folio.version)
            values, unindexed = self._values(class_, document)
        return Rewrapped(
            folio=folio,
            place=place,
            key_version=primary.version,
            wrap=wrap_key(
                primary.key,
                data_key,
                wrap_context(*place, folio.version, primary.version),
                self.random_bytes(NONCE_BYTES),
            ),
            values=values,
            unindexed=unindexed,
        )

    def record(self, known: NamedRecord, new_id: str) -> PendingRecord:
        """Return the buyer's record; the seller's number for it becomes its origin."""
        primary = self.buyer_keys.primary(IDENTITY)
        origin = None
        if known.external_id_sealed is not None:
            version = known.identity_key_version
            key = KeyVersion(version, self.seller_keys.version(IDENTITY, version))
            external_id = open_identity(
                self.seller_keys.party,
                known.id,
                known.external_id_sealed,
                key=key,
                column="external_id",
            )
            origin = seal_identity(
                self.buyer_keys.party,
                new_id,
                external_id,
                key=primary,
                random_bytes=self.random_bytes,
                column="origin_external_id",
            )
        return PendingRecord(new_id, known.id, origin, primary.version)

    def _values(
        self, class_: str, document: Mapping[str, Any]
    ) -> tuple[list[tuple[str, bytes]], int]:
        key = self.buyer_keys.index(class_)
        found: list[tuple[str, bytes]] = []
        unindexed = 0
        for one in self._indexed(class_):
            if one.name not in document:
                continue
            for text in _texts(document[one.name]):
                normal = self._normal(one, text)
                if normal is None:
                    unindexed += 1
                else:
                    found.append((one.name, index_value(key, one.name, normal)))
        return found, unindexed

    def _indexed(self, class_: str) -> Sequence[Field]:
        """Return the fields of a class that the buyer indexes, worked out once."""
        found = self._fields.get(class_)
        if found is None:
            mine = self.buyer.fields_of(class_)
            found = self._fields[class_] = [one for one in mine if one.searchable]
        return found

    def _normal(self, wanted: Field, text: str) -> str | None:
        """Return the normal form by the seller's region, where it was written."""
        for region in (self.seller.region, self.buyer.region):
            try:
                return normalise(
                    wanted.kind.value, text, field=wanted.name, region=region
                )
            except FieldUnparsable:
                continue
        return None


def _texts(value: Any) -> Iterator[str]:
    values = value if isinstance(value, list) else [value]
    return (one for one in values if isinstance(one, str))


def _opened(data_key: Key, payload: bytes, class_: str, version: str) -> Any:
    return json.loads(open_sealed(data_key, payload, payload_context(class_, version)))
