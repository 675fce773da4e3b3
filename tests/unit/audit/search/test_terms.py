# SPDX-License-Identifier: Apache-2.0
"""Every leaf has terms, whatever its bytes are, and no longer one than a column holds."""

from hypothesis import given
from hypothesis import strategies as st

from contracts.events.payload import EventDraft
from services.audit.search.terms import UNREADABLE, Terms, terms_of
from tests.fakes.evidence import Lane

SELLER_ALIAS, OTHER_ALIAS = "ab" * 16, "cd" * 16


def written(*parties: str, **data: object) -> bytes:
    draft = EventDraft("org.keyturn.record.read.v1", "restricted", parties, data)
    return Lane("a").write(draft)


def test_an_event_is_found_by_what_it_names() -> None:
    raw = written(
        "seller",
        "buyer",
        handover="h1",
        actor="ef" * 16,
        client="crm",
        record=SELLER_ALIAS,
        records=[OTHER_ALIAS, SELLER_ALIAS],
    )
    assert terms_of(raw) == Terms(
        at=1_795_514_400_000,
        type="org.keyturn.record.read.v1",
        handover="h1",
        actor="ef" * 16,
        client="crm",
        parties=("seller", "buyer"),
        aliases=(SELLER_ALIAS, OTHER_ALIAS),
    )


def test_terms_of_another_shape_are_no_terms() -> None:
    raw = written(handover=7, actor="x" * 65, client=["crm"], record="short", records=3)
    found = terms_of(raw)
    assert (found.handover, found.actor, found.client) == ("", "", "")
    assert found.aliases == ()


def test_a_time_that_is_no_day_does_not_stop_the_projection() -> None:
    raw = written().replace(b"2026-11-24T", b"2026-13-24T")
    assert terms_of(raw).at == 0


@given(st.binary(max_size=300))
def test_no_bytes_are_without_terms(raw: bytes) -> None:
    assert terms_of(raw).type == UNREADABLE
