# SPDX-License-Identifier: Apache-2.0
"""An officer's key file: two Ed25519 keys of one person, login and sign. Pure.

The file stays with the person; enrolment at the vault takes the public halves only.
The signing key seals documents and is never accepted for a token. Key ids are hex
SHA-256 of the raw public key. Ed25519: RFC 8032.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from nacl.signing import SigningKey

from contracts import base64text

SEED_BYTES: Final = 32
MAX_FILE_BYTES: Final = 4_096

_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_PERSON: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_MEMBERS: Final = frozenset(
    {"installation", "party", "person", "role", "login", "sign"}
)
_KEY_MEMBERS: Final = frozenset({"key_id", "public_key", "seed"})


class OfficerRole(StrEnum):
    """What a person is in a party; with the party's side it gives SO, SC, SR, ..."""

    OWNER = "owner"
    COMPLIANCE = "compliance"
    OPERATOR = "operator"
    REVIEWER = "reviewer"
    MONITOR = "monitor"


class OfficerFileMalformed(ValueError):  # noqa: N818 - a state of the bytes
    """The bytes are no officer's key file; the message names the rule, no value."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """One Ed25519 key of a person, with its secret half.

    Attributes:
        seed: 32 bytes; in no repr.
    """

    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.seed) != SEED_BYTES:
            raise OfficerFileMalformed("a seed is 32 bytes")

    @property
    def public_key(self) -> bytes:
        """The raw public key, 32 bytes."""
        return bytes(SigningKey(self.seed).verify_key)

    @property
    def key_id(self) -> str:
        """Hex SHA-256 of the raw public key."""
        return key_id(self.public_key)

    def signing_key(self) -> SigningKey:
        """Return the key that signs."""
        return SigningKey(self.seed)


@dataclass(frozen=True, slots=True)
class OfficerFile:
    """What an officer's key file holds."""

    installation: str
    party: str
    person: str
    role: OfficerRole
    login: KeyPair
    sign: KeyPair

    def __post_init__(self) -> None:
        _require(_ID.fullmatch(self.installation) is not None, "installation")
        _require(_ID.fullmatch(self.party) is not None, "party")
        _require(is_person(self.person), "person")
        _require(self.login.seed != self.sign.seed, "login and sign are one key")


def key_id(public_key: bytes) -> str:
    """Return the id of a raw Ed25519 public key: its hex SHA-256."""
    return hashlib.sha256(public_key).hexdigest()


def is_person(name: str) -> bool:
    """Whether `name` may name a person: `[a-z0-9._-]`, at most 64 characters.

    It stands in signed documents and the officer table; a role name or initials
    serve better than a full name.
    """
    return _PERSON.fullmatch(name) is not None


def format_file(officer: OfficerFile) -> bytes:
    """Return the bytes of a key file. They hold both seeds: mode 0600."""
    document = {
        "installation": officer.installation,
        "party": officer.party,
        "person": officer.person,
        "role": officer.role.value,
        "login": _key_members(officer.login),
        "sign": _key_members(officer.sign),
    }
    return json.dumps(document, indent=2).encode() + b"\n"


def parse_file(raw: bytes) -> OfficerFile:
    """Return the officer of a key file.

    Raises:
        OfficerFileMalformed: Not JSON, unknown or missing members, or a public key
            or key id that is not the seed's.
    """
    _require(len(raw) <= MAX_FILE_BYTES, "too large")
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        # `from None`: the cause would carry the text, and with it the seeds.
        raise OfficerFileMalformed("not JSON") from None
    members = _members(document, _MEMBERS, "the file")
    for name in ("installation", "party", "person", "role"):
        _require(isinstance(members[name], str), name)
    _require(members["role"] in set(OfficerRole), "role")
    return OfficerFile(
        installation=members["installation"],
        party=members["party"],
        person=members["person"],
        role=OfficerRole(members["role"]),
        login=_key_pair(members["login"], "login"),
        sign=_key_pair(members["sign"], "sign"),
    )


def _key_members(pair: KeyPair) -> dict[str, str]:
    return {
        "key_id": pair.key_id,
        "public_key": base64text.encode(pair.public_key),
        "seed": base64text.encode(pair.seed),
    }


def _key_pair(value: Any, name: str) -> KeyPair:
    members = _members(value, _KEY_MEMBERS, name)
    try:
        pair = KeyPair(base64text.decode(members["seed"]))
        public_key = base64text.decode(members["public_key"])
    except (ValueError, TypeError):
        raise OfficerFileMalformed(f"{name} is not base64 of a key") from None
    _require(public_key == pair.public_key, f"{name}: not the seed's public key")
    _require(members["key_id"] == pair.key_id, f"{name}: not the key's id")
    return pair


def _members(value: Any, expected: frozenset[str], name: str) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != expected:
        raise OfficerFileMalformed(f"{name}: unknown or missing member")
    return value


def _require(condition: bool, rule: str) -> None:  # noqa: FBT001
    if not condition:
        raise OfficerFileMalformed(rule)
