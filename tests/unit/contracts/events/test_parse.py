# SPDX-License-Identifier: Apache-2.0
"""The quick way through an event's bytes reads what the strict way reads, no more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contracts.events import envelope
from contracts.events.envelope import Event, EventMalformed, PartySeq

RAW = envelope.encode(
    source=envelope.source_urn("0-a", "vault"),
    type_="org.keyturn.record.read.v1",
    time="2026-03-04T05:06:07.089Z",
    classification="confidential",
    lane="0123456789abcdef" * 2,
    seq=12,
    prev=bytes(range(32)),
    parties=[PartySeq("acme", 1)],
    data={"a": 1, "text": 'é"\\\n', "many": [True, None, {"x": -1}]},
)

_SWAPS = [
    (b'"a":1', b'"a":1.5'),
    (b'"a":1', b'"a":01'),
    (b'"a":1', b'"a":NaN'),
    (b'"a":1', b'"a":1,"a":1'),
    (b'"a":1', b'"a": 1'),
    (b'"a":1', b'"b":1'),
    (b'"a":1', b'"a":"\\ud800"'),
    (b'"a":1', b'"a":' + b"[" * 5000 + b"]" * 5000),
    (b'"pseq":1', b'"pseq":0'),
    (b'"seq":12', b'"seq":13'),
    (b'"1.0"', b'"1x0"'),
    (b'v1"}', b'v1"} '),
    (b'v1"}', b'v1"}\n'),
    (b'v1"}', b'v1","zone":""}'),
    (b"8=", b"9="),
    (RAW, b'{"data":{}}'),
    (RAW, b""),
]


def _changed() -> Iterator[bytes]:
    """Each byte turned into a few others, and what no turned byte shows."""
    for at in range(len(RAW)):
        for octet in {RAW[at] ^ 1, RAW[at] ^ 32, ord('"'), ord("9"), 0x80}:
            yield RAW[:at] + bytes([octet]) + RAW[at + 1 :]
        yield RAW[:at]
        yield RAW[:at] + RAW[at + 1 :]
    for old, new in _SWAPS:
        yield RAW.replace(old, new)


def _strict(raw: bytes) -> Event | None:
    try:
        return envelope._any(raw)
    except EventMalformed:
        return None


def _parsed(raw: bytes) -> Event | None:
    try:
        return envelope.parse(raw)
    except EventMalformed:
        return None


def test_a_sound_event_takes_the_quick_way() -> None:
    assert envelope._plain(RAW) == envelope._any(RAW)


def test_no_change_of_the_bytes_is_read_another_way() -> None:
    for raw in _changed():
        assert _parsed(raw) == _strict(raw), raw


@pytest.mark.parametrize("seq", [1, 2**53 - 1])
def test_the_ends_of_a_lane_are_read_the_same(seq: int) -> None:
    document = envelope._any(RAW)
    raw = envelope.encode(
        source=document.source,
        type_=document.type,
        time=document.time,
        classification=document.classification,
        lane=document.lane,
        seq=seq,
        prev=b"" if seq == 1 else document.prev,
        parties=document.parties,
        data=document.data,
    )
    assert envelope._plain(raw) == envelope._any(raw)
    beyond = raw.replace(str(seq).encode(), str(2**53).encode())
    assert _parsed(beyond) == _strict(beyond)
