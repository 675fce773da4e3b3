# SPDX-License-Identifier: Apache-2.0
"""Promise: a stream is the same however its bytes were cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn_client import EventParser, ServerSentEvent
from keyturn_client.errors import AnswerMalformed
from keyturn_client.sse import MAX_EVENT_CHARACTERS

LINES = [
    ": ping",
    "",
    "event: a",
    'data: {"n": "M\u00fcller \u4e2d"}',
    "id: 7",
    "",
    "data: one",
    "data:two",
    "",
    "retry: 10",
    "id: 8",
    "",
    "data",
    "",
    "data: unfinished",
]
EVENTS = [
    ServerSentEvent("a", '{"n": "M\u00fcller \u4e2d"}', "7"),
    ServerSentEvent("message", "one\ntwo", "7"),
    ServerSentEvent("message", "", "8"),
]


@given(
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    cuts=st.lists(st.integers(0, 200), max_size=12),
    mark=st.booleans(),
)
def test_any_cut_and_any_line_end_give_the_same_events(
    end: str, cuts: list[int], mark: bool
) -> None:
    octets = (("\ufeff" if mark else "") + end.join(LINES)).encode()
    places = sorted({0, *(cut for cut in cuts if cut < len(octets)), len(octets)})
    parser = EventParser()
    found = [
        event
        for start, stop in pairwise(places)
        for event in parser.feed(octets[start:stop])
    ]
    assert found == EVENTS


def test_every_byte_alone_gives_the_same_events() -> None:
    parser = EventParser()
    octets = "\r\n".join(LINES).encode()
    assert [e for byte in octets for e in parser.feed(bytes([byte]))] == EVENTS


def test_an_id_with_nul_is_no_id() -> None:
    assert EventParser("3").feed(b"id: 4\0\ndata: x\n\n")[0].id == "3"


@pytest.mark.parametrize(
    ("first", "piece"),
    [
        pytest.param(b"data: ", b"x" * 65_536, id="one-line"),
        pytest.param(b"data: x\ndata: ", b"x" * 65_536, id="a-second-line"),
        pytest.param(b"", b"data:" + b"x" * 65_530 + b"\n", id="lines"),
        pytest.param(b"", b"data\n" * 13_107, id="empty-lines"),
    ],
)
def test_an_endless_event_fills_no_memory(first: bytes, piece: bytes) -> None:
    def read() -> None:
        parser = EventParser()
        parser.feed(first)
        for _ in range(MAX_EVENT_CHARACTERS // 65_000 + 2):
            parser.feed(piece)

    with pytest.raises(AnswerMalformed):
        read()


def test_the_data_of_an_event_is_in_no_repr() -> None:
    assert "one" not in repr(ServerSentEvent("a", "one", "1"))
