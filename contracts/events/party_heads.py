# SPDX-License-Identifier: Apache-2.0
"""Party heads: how far a source's lanes go for one party, signed by that source.

With them a party's own view of the log is provably complete: its `pseq` must run from
1 without a gap up to the number signed for each lane, and the list names every lane
that ever held an event of the party. Owns the signed bytes and their strict parse.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from nacl.signing import SigningKey, VerifyKey

from contracts import base64text
from contracts.signature import is_signed

DOMAIN: Final = "keyturn-party-heads/1"
MAX_STATEMENT_BYTES: Final = 16 * 1024 * 1024  # about 200,000 lanes

_HASH_SIZE: Final = 32
_HEADER_LINES: Final = 8
_INSTALLATION: Final = re.compile(r"[0-9a-z-]{1,64}")
_SERVICE: Final = re.compile(r"vault|transfer|audit")
_PARTY: Final = re.compile(r"[a-z0-9-]{1,64}")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{3}Z")
_LANE: Final = re.compile(r"[0-9a-f]{32}")
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,15}")
_MAX_NUMBER: Final = 2**53 - 1  # as every number of an event


class PartyHeadsMalformed(ValueError):  # noqa: N818 - a state of the bytes
    """The bytes are no statement in its one form; the message says which rule."""


@dataclass(frozen=True, slots=True)
class PartyLane:
    """One lane of a statement.

    Attributes:
        lane: 32 lower hex digits.
        seq: The lane's last sequence number of any party's event, from 1.
        pseq: The party's last number on this lane, from 1; never above `seq`.
    """

    lane: str
    seq: int
    pseq: int


@dataclass(frozen=True, slots=True)
class PartyHeads:
    """A source's claim: these are all its lanes that hold events of the party.

    Attributes:
        installation: The installation's id.
        service: The source: vault, transfer or audit.
        party: Whose numbers these are.
        time: When, by the source's clock: RFC 3339, UTC, milliseconds.
        size: Leaves of the checkpoint that the asker showed.
        root: Its root, 32 bytes. Nobody knows it earlier than the log signs it, so
            the statement is younger than that checkpoint, and covers each event of
            this source among its leaves.
        lanes: By ascending lane; none twice. Empty where the party has no event.
    """

    installation: str
    service: str
    party: str
    time: str
    size: int
    root: bytes
    lanes: tuple[PartyLane, ...]

    def __post_init__(self) -> None:
        for rule, pattern, text in (
            ("installation", _INSTALLATION, self.installation),
            ("service", _SERVICE, self.service),
            ("party", _PARTY, self.party),
            ("time", _TIME, self.time),
        ):
            _require(pattern.fullmatch(text) is not None, rule)
        _require(0 <= self.size <= _MAX_NUMBER, "size")
        _require(len(self.root) == _HASH_SIZE, "root")
        before = ""
        for item in self.lanes:
            _require(_LANE.fullmatch(item.lane) is not None, "lane")
            _require(item.lane > before, "lanes are not ascending")
            _require(1 <= item.pseq <= item.seq <= _MAX_NUMBER, "seq or pseq")
            before = item.lane

    def message(self) -> bytes:
        """Return the bytes that are signed; the first line is the domain string.

        The eight lines before the lanes: domain, installation, service, party, time,
        size, root (base64), number of lanes. Then `<lane> <seq> <pseq>` for each.
        """
        root = base64text.encode(self.root)
        lines = [DOMAIN, self.installation, self.service, self.party, self.time]
        lines += [str(self.size), root, str(len(self.lanes))]
        lines += [f"{item.lane} {item.seq} {item.pseq}" for item in self.lanes]
        return "".join(f"{line}\n" for line in lines).encode()

    def sign(self, key: SigningKey) -> bytes:
        """Return the 64-byte Ed25519 signature."""
        return key.sign(self.message()).signature

    def verifies(self, signature: bytes, key: VerifyKey) -> bool:
        """Whether `signature` (64 bytes) is `key`'s signature of this statement."""
        return is_signed(self.message(), signature, key)


@dataclass(frozen=True, slots=True)
class SignedPartyHeads:
    """A statement with its signature, as a source answers and an export holds it."""

    heads: PartyHeads
    signature: bytes

    def to_json(self) -> bytes:
        """Return `{"statement": <the signed text>, "signature": <base64>}`."""
        document = {
            "statement": self.heads.message().decode(),
            "signature": base64text.encode(self.signature),
        }
        return json.dumps(document).encode() + b"\n"

    @classmethod
    def from_json(cls, raw: bytes) -> SignedPartyHeads:
        """Read what `to_json` wrote; checks no signature.

        Raises:
            PartyHeadsMalformed: Not such a document, or no statement in it.
        """
        _require(len(raw) <= 2 * MAX_STATEMENT_BYTES, "too large")
        try:
            document = json.loads(raw)
            statement = document["statement"].encode()
            signature = base64text.decode(document["signature"])
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as exc:
            raise PartyHeadsMalformed("no signed statement") from exc
        return cls(parse(statement), signature)


def parse(raw: bytes) -> PartyHeads:
    """Parse the signed bytes strictly; checks no signature.

    Raises:
        PartyHeadsMalformed: Not the bytes that `message` gives for their content:
            another domain, lanes out of order or twice, anything after the last.
    """
    _require(len(raw) <= MAX_STATEMENT_BYTES, "too large")
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError as exc:
        raise PartyHeadsMalformed("not ASCII") from exc
    lines = text.split("\n")
    _require(len(lines) > _HEADER_LINES and not lines.pop(), "cut off")
    domain, installation, service, party, time, size, root, count = lines[:8]
    _require(domain == DOMAIN, "another domain")
    items = lines[_HEADER_LINES:]
    _require(_number(count) == len(items), "the number of lanes")
    try:
        octets = base64text.decode(root)
    except ValueError as exc:
        raise PartyHeadsMalformed("root") from exc
    lanes = tuple(_lane(item) for item in items)
    return PartyHeads(installation, service, party, time, _number(size), octets, lanes)


def _lane(line: str) -> PartyLane:
    parts = line.split(" ")
    if len(parts) != 3:
        raise PartyHeadsMalformed("a lane has three words")
    return PartyLane(parts[0], _number(parts[1]), _number(parts[2]))


def _number(text: str) -> int:
    # One spelling of each number, and int() never sees a long text.
    _require(_DECIMAL.fullmatch(text) is not None, "a number is not decimal")
    return int(text)


def _require(condition: bool, rule: str) -> None:  # noqa: FBT001
    if not condition:
        raise PartyHeadsMalformed(rule)
