# SPDX-License-Identifier: Apache-2.0
"""Promise: of two records one goes on, and nothing of the other is lost by accident."""

from typing import Any

from services.vault.custody import CustodyState, CustodyTerms, HeldFolio, Place
from services.vault.custody.merging import Merged, Opened, merge, stricter
from services.vault.custody.store.absorbing import (
    stricter_consent,
    stricter_objection,
)
from services.vault.custody.store.rights import FiledConsent, FiledObjection

OWN = CustodyTerms("contract")
ARRIVED = CustodyTerms(
    "consent", ("customer_service", "invoicing"), ("marketing",), "2030-01-01"
)


def opened(
    record: str,
    class_: str,
    volume: str,
    content: Any,
    terms: CustodyTerms = OWN,
    tags: tuple[str, ...] = (),
) -> Opened:
    held = HeldFolio(
        place=Place("buyer", record, class_, volume),
        version=f"v-{record}-{class_}-{volume}",
        state=CustodyState.ACTIVE,
        key_version=1,
        wrap=b"",
        payload=b"",
        digest=b"",
        terms=terms,
        basis=terms.basis,
        last_activity=None,
        retention=terms.retention,
        tags=tags,
        entries=0,
        created_at=0,
    )
    return Opened(held, content)


def entry(id_: str, product: str, written_at: int = 1) -> dict[str, Any]:
    return {
        "entry_id": id_,
        "at": "2025-03-01T10:00:00Z",
        "written_at": written_at,
        "fields": {"product": product},
    }


def merged(kept: list[Opened], absorbed: list[Opened]) -> Merged:
    return merge(kept, absorbed)


def test_the_kept_record_wins_each_field_it_has() -> None:
    done = merged(
        [opened("k", "basic", "0", {"name": "Kept", "city": "A"})],
        [opened("a", "basic", "0", {"name": "Other", "phone": "1"}, ARRIVED)],
    )
    (folio,) = done.folios
    assert folio.content == {"name": "Kept", "city": "A", "phone": "1"}
    assert (folio.base, done.taken) == ("v-k-basic-0", {"phone"})
    # A field came that was agreed for some purposes only: so is the document now.
    assert folio.terms == CustodyTerms(
        "contract", ("customer_service", "invoicing"), ("marketing",), "2030-01-01"
    )


def test_a_document_that_gets_nothing_is_left_alone_with_its_terms() -> None:
    done = merged(
        [opened("k", "basic", "0", {"name": "Kept"})],
        [opened("a", "basic", "0", {"name": "Other"}, ARRIVED)],
    )
    assert (list(done.folios), done.taken) == ([], frozenset())


def test_a_class_that_the_kept_record_lacks_comes_under_its_own_terms() -> None:
    done = merged([], [opened("a", "habits", "0", {"favourite": "Tee"}, ARRIVED)])
    (folio,) = done.folios
    assert (folio.base, folio.terms) == ("", ARRIVED)


def test_entries_keep_their_volumes_and_the_terms_they_came_under() -> None:
    done = merged(
        [opened("k", "purchases", "2025", [entry("o-1", "Kessel")])],
        [
            opened("a", "purchases", "2025", [entry("o-2", "Kanne")], ARRIVED),
            opened("a", "purchases", "2024", [entry("o-3", "Tasse")], ARRIVED),
        ],
    )
    names = {f.volume: [e["entry_id"] for e in f.content] for f in done.folios}
    assert names == {"2025-2": ["o-2"], "2024": ["o-3"]}
    assert {f.terms for f in done.folios} == {ARRIVED}
    assert {f.base for f in done.folios} == {""}


def test_entries_that_clash_are_both_kept_and_equal_ones_once() -> None:
    done = merged(
        [
            opened(
                "k",
                "purchases",
                "2025",
                [entry("o-1", "Kessel"), entry("same", "Tasse", 5)],
            )
        ],
        [
            opened(
                "a",
                "purchases",
                "2025",
                [entry("o-1", "Kanne"), entry("same", "Tasse", 9), entry("o-1~2", "?")],
            )
        ],
    )
    (folio,) = done.folios
    assert [(e["entry_id"], e["fields"]["product"]) for e in folio.content] == [
        ("o-1~3", "Kanne"),
        ("o-1~2", "?"),
    ]


def test_a_long_id_stays_an_id() -> None:
    long = "x" * 64
    done = merged(
        [opened("k", "purchases", "2025", [entry(long, "Kessel")])],
        [opened("a", "purchases", "2025", [entry(long, "Kanne")])],
    )
    (folio,) = done.folios
    assert [e["entry_id"] for e in folio.content] == ["x" * 62 + "~2"]


def test_tags_are_those_of_both() -> None:
    done = merged(
        [opened("k", "basic", "0", {}, tags=("vip",))],
        [opened("a", "basic", "0", {}, tags=("new", "vip"))],
    )
    assert done.tags == ("new", "vip")


def test_stricter_terms_allow_what_both_allow() -> None:
    both = CustodyTerms("contract", ("invoicing",), (), "2031-01-01")
    assert stricter(both, ARRIVED).purposes == ("invoicing",)
    assert stricter(ARRIVED, both).retention == "2030-01-01"
    assert stricter(OWN, OWN) == OWN


def consent(kind: str, withdrawn: int | None) -> FiledConsent:
    return FiledConsent(kind, "buyer", ("habits",), 1, withdrawn, "")


def test_a_withdrawal_counts_and_so_does_an_opt_out_that_stands() -> None:
    given, withdrawn = consent("separate", None), consent("separate", 2)
    for pair in ((given, withdrawn), (withdrawn, given)):
        assert stricter_consent(*pair) is withdrawn
    stands, taken_back = consent("optout", None), consent("optout", 2)
    for pair in ((stands, taken_back), (taken_back, stands)):
        assert stricter_consent(*pair) is stands


def test_an_objection_on_either_holds() -> None:
    stands = FiledObjection("", "", 1, None, "")
    taken_back = FiledObjection("", "", 1, 2, "")
    for pair in ((stands, taken_back), (taken_back, stands)):
        assert stricter_objection(*pair) is stands
