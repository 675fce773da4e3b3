# SPDX-License-Identifier: Apache-2.0
"""Party heads have one byte form, and one key's signature counts for one source."""

import dataclasses
import json
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from contracts import base64text
from contracts.events.head import Head
from contracts.events.party_heads import (
    MAX_STATEMENT_BYTES,
    PartyHeads,
    PartyHeadsMalformed,
    PartyLane,
    SignedPartyHeads,
    parse,
)
from tests.fakes.evidence import SOURCE_KEYS

VECTORS = Path(__file__).parents[4] / "contracts" / "vectors" / "events"
VECTOR = json.loads((VECTORS / "party_heads.json").read_bytes())
KEY = SigningKey(bytes.fromhex(VECTOR["seed_hex"]))
HEADS = PartyHeads(
    VECTOR["installation"],
    VECTOR["service"],
    VECTOR["party"],
    VECTOR["time"],
    VECTOR["size"],
    base64text.decode(VECTOR["root"]),
    (PartyLane("a" * 32, 301, 299), PartyLane("c" * 32, 9, 1)),
)
LINES = HEADS.message().decode().splitlines(keepends=True)


@pytest.mark.parametrize("statement", VECTOR["statements"])
def test_the_vectors_bytes_and_signatures_are_ours(statement: dict[str, str]) -> None:
    lanes = tuple(PartyLane(*words) for words in statement["lanes"])
    heads = dataclasses.replace(HEADS, lanes=lanes)
    raw = statement["message"].encode()
    assert heads.message() == raw
    assert parse(raw) == heads
    assert base64text.encode(heads.sign(KEY)) == statement["signature"]
    assert bytes(KEY.verify_key) == base64text.decode(VECTOR["public_key"])


@pytest.mark.parametrize(
    "change",
    [
        {"installation": "other"},
        {"service": "transfer"},
        {"party": "buyer"},
        {"time": "2026-11-24T10:00:00.001Z"},
        {"size": 16},
        {"root": bytes(32)},
        {"lanes": HEADS.lanes[:1]},
        {"lanes": (*HEADS.lanes[:1], PartyLane("c" * 32, 9, 2))},
    ],
)
def test_a_signature_is_of_these_words_alone(change: dict[str, object]) -> None:
    signature = HEADS.sign(KEY)
    assert HEADS.verifies(signature, KEY.verify_key)
    other = dataclasses.replace(HEADS, **change)
    assert not other.verifies(signature, KEY.verify_key)


def test_another_sources_key_and_a_cut_signature_do_not_verify() -> None:
    signature = HEADS.sign(KEY)
    assert not HEADS.verifies(signature, SOURCE_KEYS["transfer"].verify_key)
    assert not HEADS.verifies(signature[:-1], KEY.verify_key)


def test_a_lanes_head_signs_no_party_heads() -> None:
    head = Head("demo", "a" * 32, 301, bytes(32))
    assert not HEADS.verifies(head.sign(KEY), KEY.verify_key)
    with pytest.raises(PartyHeadsMalformed, match="cut off"):
        parse(head.message())


def changed(line: int, text: str) -> bytes:
    return "".join([*LINES[:line], text, *LINES[line + 1 :]]).encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        HEADS.message()[:-1],
        HEADS.message() + b"\n",
        HEADS.message() + b"x",
        HEADS.message().replace(b"\n", b"\r\n"),
        HEADS.message() + "ä".encode(),
        b"x" * (MAX_STATEMENT_BYTES + 1),
        "".join(LINES[:-1]).encode(),
        "".join([*LINES, LINES[-1]]).encode(),
        "".join([*LINES[:-2], LINES[-1], LINES[-2]]).encode(),
        "".join([*LINES[:-1], LINES[-2]]).encode(),
        changed(0, "keyturn-party-heads/2\n"),
        changed(0, "keyturn-head/1\n"),
        changed(1, "de mo\n"),
        changed(2, "cli\n"),
        changed(3, "Seller\n"),
        changed(4, "2026-11-24T10:00:00Z\n"),
        changed(5, "015\n"),
        changed(5, "-1\n"),
        changed(5, f"{2**53}\n"),
        changed(5, "9" * 5000 + "\n"),
        changed(6, "AAAA\n"),
        changed(6, "!\n"),
        changed(7, "02\n"),
        changed(8, "a" * 32 + " 301 0\n"),
        changed(8, "a" * 32 + " 3 4\n"),
        changed(8, "a" * 32 + "  301 299\n"),
        changed(8, "a" * 32 + " 301 299 1\n"),
        changed(8, "A" * 32 + " 301 299\n"),
        changed(8, "a" * 31 + " 301 299\n"),
    ],
)
def test_no_other_bytes_are_a_statement(raw: bytes) -> None:
    with pytest.raises(PartyHeadsMalformed):
        parse(raw)


def test_a_signed_statement_is_read_as_it_was_written() -> None:
    signed = SignedPartyHeads(HEADS, HEADS.sign(KEY))
    assert SignedPartyHeads.from_json(signed.to_json()) == signed


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"{}", b"[" * 100_000, b'{"statement": 1, "signature": ""}'],
)
def test_no_other_document_is_a_signed_statement(raw: bytes) -> None:
    with pytest.raises(PartyHeadsMalformed):
        SignedPartyHeads.from_json(raw)
