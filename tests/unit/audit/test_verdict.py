# SPDX-License-Identifier: Apache-2.0
"""Only what is under a verified head is integrated, and all of it, in order."""

from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from contracts.events import envelope
from contracts.events.head import Head
from contracts.log import merkle
from services.audit.intake.verdict import Verdict
from services.audit.log.arrivals import Position

INSTALLATION = "0011223344556677"
KEYS = {"vault": SigningKey(bytes(32)), "transfer": SigningKey(b"\x01" * 32)}
LANE = "ab" * 16


def verify(service: str, head: Head, signature: bytes) -> bool:
    return head.verifies(signature, KEYS[service].verify_key)


def chain(
    n: int, lane: str = LANE, service: str = "vault", salt: str = ""
) -> list[bytes]:
    events: list[bytes] = []
    prev = b""
    for seq in range(1, n + 1):
        raw = envelope.encode(
            source=envelope.source_urn(INSTALLATION, service),
            type_="org.keyturn.record.read.v1",
            time="2026-11-24T00:00:00.000Z",
            classification="internal",
            lane=lane,
            seq=seq,
            prev=prev,
            parties=(),
            data={"salt": salt},
        )
        events.append(raw)
        prev = merkle.leaf_hash(raw)
    return events


def head_of(events: list[bytes], lane: str = LANE) -> Head:
    return Head(INSTALLATION, lane, len(events), merkle.leaf_hash(events[-1]))


def offer_head(verdict: Verdict, events: list[bytes], service: str = "vault") -> bool:
    head = head_of(events)
    return verdict.head(service, head, head.sign(KEYS[service]))


def integrated(verdict: Verdict) -> list[bytes]:
    return [event.raw for group in verdict.ready() for event in group.events]


def test_nothing_is_integrated_without_a_head() -> None:
    verdict = Verdict(INSTALLATION, verify)
    for raw in chain(5):
        verdict.offer("vault", raw)
    assert integrated(verdict) == []
    assert verdict.parked == 5


@given(st.permutations(range(8)), st.integers(1, 8))
def test_any_order_gives_the_chain_once(order: list[int], headed: int) -> None:
    events = chain(8)
    verdict = Verdict(INSTALLATION, verify)
    got: list[bytes] = []
    assert offer_head(verdict, events[:headed])
    for index in [*order, *order]:  # everything twice
        verdict.offer("vault", events[index])
        got += integrated(verdict)
    assert got == events[:headed]
    assert offer_head(verdict, events)
    assert got + integrated(verdict) == events


def test_a_gap_holds_the_lane_and_is_named() -> None:
    events = chain(5)
    verdict = Verdict(INSTALLATION, verify)
    offer_head(verdict, events)
    for raw in events[:2] + events[3:]:
        verdict.offer("vault", raw)
    assert integrated(verdict) == []
    assert verdict.missing() == {LANE: ("vault", 1, 5)}
    verdict.offer("vault", events[2])
    assert integrated(verdict) == events
    assert verdict.missing() == {}


def test_a_bogus_event_cannot_take_a_place() -> None:
    events, bogus = chain(3), chain(3, salt="bogus")
    verdict = Verdict(INSTALLATION, verify)
    for raw in bogus + events:
        verdict.offer("vault", raw)
    offer_head(verdict, events)
    assert integrated(verdict) == events


def test_another_services_key_signs_no_head() -> None:
    events = chain(3)
    verdict = Verdict(INSTALLATION, verify)
    for raw in events:
        verdict.offer("vault", raw)
    head = head_of(events)
    assert not verdict.head("vault", head, head.sign(KEYS["transfer"]))
    assert integrated(verdict) == []


def test_a_lane_belongs_to_one_service() -> None:
    events = chain(1)
    verdict = Verdict(INSTALLATION, verify)
    offer_head(verdict, events)
    stolen = Head(INSTALLATION, LANE, 2, b"\x00" * 32)
    assert not verdict.head("transfer", stolen, stolen.sign(KEYS["transfer"]))


def test_an_event_on_another_services_topic_is_dropped() -> None:
    verdict = Verdict(INSTALLATION, verify)
    assert verdict.offer("transfer", chain(1)[0]) is None
    assert verdict.dropped == 1


def test_an_unreadable_event_under_a_head_is_integrated_byte_for_byte() -> None:
    first = chain(1)[0]
    strange = envelope.canonical_json(
        {
            "lane": LANE,
            "seq": 2,
            "prev": __import__("base64").b64encode(merkle.leaf_hash(first)).decode(),
            "specversion": "9.9",
        }
    )
    verdict = Verdict(INSTALLATION, verify)
    verdict.offer("vault", first)
    verdict.offer("vault", strange)
    offer_head(verdict, [first, strange])
    assert integrated(verdict) == [first, strange]


def test_what_is_integrated_is_not_parked_again() -> None:
    events = chain(4)
    verdict = Verdict(INSTALLATION, verify)
    verdict.place(LANE, "vault", Position(2, merkle.leaf_hash(events[1])))
    for raw in events:
        verdict.offer("vault", raw)
    assert verdict.parked == 2
    offer_head(verdict, events)
    assert integrated(verdict) == events[2:]


@given(st.binary(max_size=200))
def test_no_bytes_stop_the_intake(raw: bytes) -> None:
    verdict = Verdict(INSTALLATION, verify)
    verdict.offer("vault", raw)
    assert integrated(verdict) == []
