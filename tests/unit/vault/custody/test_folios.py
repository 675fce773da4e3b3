# SPDX-License-Identifier: Apache-2.0
"""Promise: a sealed folio opens in its own place and nowhere else."""

import hashlib
from dataclasses import dataclass, field, replace

import pytest

from services.vault.custody import (
    CustodyState,
    CustodyTerms,
    HeldFolio,
    Place,
    SealedVersion,
    keyed_digest,
    open_folio,
    open_identity,
    seal_folio,
    seal_identity,
)
from services.vault.errors import SealBroken
from services.vault.keys.sealing import Key

HOME = Place("seller", "r1", "basic", "0")
DOCUMENT = {"name": "Jane Quillfeather", "tags": ["a", "b"], "age": 41}


@dataclass(frozen=True)
class ClassKey:
    version: int = 1
    key: Key = field(default_factory=lambda: Key(b"k" * 32))


def counted() -> "Counter":
    return Counter()


class Counter:
    """Bytes that never repeat, so that a test is the same each time."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, size: int) -> bytes:
        self.calls += 1
        return hashlib.shake_256(bytes([self.calls])).digest(size)


def sealed(place: Place = HOME, version: str = "v1") -> SealedVersion:
    return seal_folio(
        place,
        DOCUMENT,
        version=version,
        base="",
        key=ClassKey(),
        random_bytes=counted(),
    )


def held(one: SealedVersion) -> HeldFolio:
    return HeldFolio(
        place=one.place,
        version=one.id,
        state=CustodyState.ACTIVE,
        key_version=one.key_version,
        wrap=one.wrap,
        payload=one.payload,
        digest=one.digest,
        terms=CustodyTerms("contract"),
        basis="contract",
        last_activity=None,
        retention=None,
        tags=(),
        entries=0,
        created_at=0,
    )


def test_what_was_sealed_is_opened_and_not_shown_in_between() -> None:
    one = sealed()
    assert open_folio(held(one), ClassKey().key) == DOCUMENT
    assert b"Quillfeather" not in one.payload + one.wrap
    assert "Quillfeather" not in repr(one) + repr(held(one))
    assert one.digest == hashlib.sha256(one.payload).digest()


@pytest.mark.parametrize(
    "moved",
    [
        HOME._replace(party="buyer"),
        HOME._replace(record="r2"),
        HOME._replace(class_="habits"),
        HOME._replace(volume="2026"),
    ],
)
def test_a1_a_row_moved_to_another_place_does_not_open(moved: Place) -> None:
    with pytest.raises(SealBroken):
        open_folio(replace(held(sealed()), place=moved), ClassKey().key)


@pytest.mark.parametrize("change", ["version", "key_version", "payload", "digest"])
def test_a1_a_row_with_one_foreign_column_does_not_open(change: str) -> None:
    own, other = held(sealed()), held(sealed(HOME._replace(record="r2"), "v2"))
    values = {
        "version": "v2",
        "key_version": 2,
        "payload": other.payload + b"x",
        "digest": hashlib.sha256(b"x").digest(),
    }
    with pytest.raises(SealBroken):
        open_folio(replace(own, **{change: values[change]}), ClassKey().key)


def test_another_class_key_opens_nothing() -> None:
    with pytest.raises(SealBroken):
        open_folio(held(sealed()), Key(b"x" * 32))


def test_an_external_id_opens_in_its_own_column_only() -> None:
    key = ClassKey()
    number = seal_identity("seller", "r1", "C-1", key=key, random_bytes=counted())

    def opened(party: str, record: str, column: str) -> str:
        return open_identity(party, record, number, key=key, column=column)

    assert opened("seller", "r1", "external_id") == "C-1"
    for party, record, column in (
        ("buyer", "r1", "external_id"),
        ("seller", "r2", "external_id"),
        ("seller", "r1", "origin_external_id"),
    ):
        with pytest.raises(SealBroken):
            opened(party, record, column)


def test_terms_survive_their_json_and_an_empty_list_is_no_freedom() -> None:
    for terms in (
        CustodyTerms("contract"),
        CustodyTerms("consent", (), ("advertising",), "2030-12-31"),
        CustodyTerms("consent", ("invoicing",)),
    ):
        assert CustodyTerms.from_json(terms.as_json()) == terms
    assert CustodyTerms("contract", ()).purposes is not None


def test_a_digest_in_an_event_is_worth_nothing_without_the_alias() -> None:
    digest = sealed().digest
    first, second = (keyed_digest(digest, one * 32) for one in "ab")
    assert first != second
    assert len(first) == 32
    assert digest.hex() not in first
