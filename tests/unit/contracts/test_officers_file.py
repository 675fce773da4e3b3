# SPDX-License-Identifier: Apache-2.0
"""Promise: an officer's key file is read whole and strictly, or refused without an echo."""

import json
from typing import Any

import pytest

from contracts.officers import (
    KeyPair,
    OfficerFile,
    OfficerFileMalformed,
    OfficerRole,
    format_file,
    key_id,
    parse_file,
)

OFFICER = OfficerFile(
    installation="0011223344556677",
    party="alpha",
    person="so",
    role=OfficerRole.OWNER,
    login=KeyPair(bytes(range(32))),
    sign=KeyPair(bytes(range(1, 33))),
)


def changed(**members: Any) -> bytes:
    document = json.loads(format_file(OFFICER))
    for name, value in members.items():
        inner, _, last = name.rpartition("__")
        target = document[inner] if inner else document
        if value is None:
            del target[last]
        else:
            target[last] = value
    return json.dumps(document).encode()


def test_what_is_written_is_read_back() -> None:
    assert parse_file(format_file(OFFICER)) == OFFICER


def test_the_file_has_the_documented_members() -> None:
    document = json.loads(format_file(OFFICER))
    assert set(document) == {
        "installation",
        "party",
        "person",
        "role",
        "login",
        "sign",
    }
    assert set(document["sign"]) == {"key_id", "public_key", "seed"}
    assert document["sign"]["key_id"] == key_id(OFFICER.sign.public_key)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b"[" * 3000,
        b" " * 5000,
        changed(role="king"),
        changed(role=7),
        changed(party="Alpha"),
        changed(person="So Mebody"),
        changed(installation=""),
        changed(extra=1),
        changed(login=None),
        changed(login__seed="AAAA"),
        changed(login__seed=7),
        changed(login__seed=None),
        changed(
            login__public_key=json.loads(format_file(OFFICER))["sign"]["public_key"]
        ),
        changed(sign__key_id="0" * 64),
        changed(sign=json.loads(format_file(OFFICER))["login"]),
    ],
)
def test_anything_else_is_refused_and_shows_no_seed(raw: bytes) -> None:
    with pytest.raises(OfficerFileMalformed) as caught:
        parse_file(raw)
    seed = json.loads(format_file(OFFICER))["login"]["seed"]
    assert seed not in str(caught.value)
    assert caught.value.__cause__ is None


def test_no_repr_shows_a_seed() -> None:
    shown = f"{OFFICER!r} {OFFICER.login!r}"
    assert repr(OFFICER.login.seed) not in shown
    assert OFFICER.login.seed.hex() not in shown
