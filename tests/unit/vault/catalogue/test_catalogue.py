# SPDX-License-Identifier: Apache-2.0
"""Promise: a document is checked whole, refused by place and rule, and never echoed."""

from collections.abc import Mapping
from typing import Any

import pytest

from services.vault.catalogue import (
    Catalogue,
    DataClass,
    DocumentRefused,
    Field,
    Form,
    Grade,
    Kind,
    listed,
)
from services.vault.errors import FieldUnparsable


def field(
    name: str,
    kind: Kind,
    class_: str = "basic",
    grade: Grade = Grade.GENERAL,
    *,
    search: bool = False,
    unique: bool = False,
) -> Field:
    return Field(name, class_, grade, kind, "none", search, unique)


FIELDS = [
    field("name", Kind.NAME),
    field("email", Kind.EMAIL, search=True, unique=True),
    field("phone", Kind.PHONE, search=True),
    field("note", Kind.TEXT, grade=Grade.SENSITIVE),
    field("born", Kind.DATE),
    field("orders", Kind.INTEGER, "purchases"),
    field("amount", Kind.AMOUNT, "purchases"),
]
CATALOGUE = Catalogue(
    party="alpha",
    region="DE",
    timezone="Europe/Berlin",
    classes={
        "basic": DataClass("basic", Form.DOCUMENT),
        "purchases": DataClass("purchases", Form.ENTRIES),
    },
    fields={known.name: known for known in FIELDS},
)


def refused(documents: Mapping[str, Mapping[str, Any]]) -> DocumentRefused:
    with pytest.raises(DocumentRefused) as caught:
        CATALOGUE.check_documents(documents)
    return caught.value


def places(error: DocumentRefused) -> list[tuple[str, str]]:
    return [(fault.pointer, fault.code) for fault in error.faults]


def test_searchable_fields_give_their_normal_forms() -> None:
    terms = CATALOGUE.check_documents(
        {"basic": {"name": "Ö", "email": "A+b@EXAMPLE.org", "phone": "030 1234567"}}
    )
    assert [(t.field, t.class_, t.normalised, t.unique) for t in terms] == [
        ("email", "basic", "a+b@example.org", True),
        ("phone", "basic", "+49301234567", False),
    ]


def test_each_of_several_addresses_is_found() -> None:
    terms = CATALOGUE.check_documents(
        {"basic": {"email": ["a@example.org", "b@example.org"]}}
    )
    assert [term.normalised for term in terms] == ["a@example.org", "b@example.org"]


def test_an_unknown_field_or_class_is_named_by_its_position_only() -> None:
    error = refused({"basic": {"name": "x", "Secret Name": "y"}})
    assert places(error) == [("/documents/basic/*", "unknown_field")]
    assert error.faults[0].msg.startswith("member 2 ")
    assert "it has born, " in error.faults[0].msg
    assert "orders" not in error.faults[0].msg  # a field of another class
    assert error.problem.code == "field-unknown"
    assert "Secret" not in repr(error.faults)
    error = refused({"basic": {}, "Secret Class": {}})
    assert places(error) == [("/documents/*", "unknown_class")]
    assert "it has basic, " in error.faults[0].msg
    # A field of another class is as unknown here.
    error = refused({"basic": {"orders": 1}})
    assert places(error) == [("/documents/basic/*", "unknown_field")]


def test_of_many_names_the_first_are_told_and_how_many_more() -> None:
    told = listed(f"n{i:04}" for i in range(1_000))
    assert told.startswith("n0000, n0001")
    assert told.endswith("n0019, 980 more (`GET /v1/catalogue`)")
    assert listed([]) == "none"


def test_every_fault_is_told_at_once_without_a_value() -> None:
    error = refused(
        {"basic": {"name": 7, "born": "31.12.1999", "note": "a\x00b", "email": ""}}
    )
    assert places(error) == [
        ("/documents/basic/name", "string_type"),
        ("/documents/basic/born", "date_parsing"),
        ("/documents/basic/note", "control_character"),
        ("/documents/basic/email", "string_length"),
    ]
    assert error.problem.code == "validation"
    assert "1999" not in repr(error.faults)


def test_what_cannot_be_indexed_is_refused_and_never_left_unindexed() -> None:
    error = refused({"basic": {"phone": "call me"}})
    assert places(error) == [("/documents/basic/phone", "phone_unparsable")]
    assert error.problem.code == "phone-unparsable"
    error = refused({"basic": {"email": "a b@example.org"}})
    assert places(error) == [("/documents/basic/email", "unparsable")]
    error = refused({"basic": {"email": "a b@example.org", "phone": "x"}})
    assert error.problem.code == "validation"


def test_a_class_of_entries_takes_no_document() -> None:
    error = refused({"purchases": {"orders": 1}})
    assert places(error) == [("/documents/purchases", "wrong_form")]
    with pytest.raises(DocumentRefused):
        CATALOGUE.require_form("basic", Form.ENTRIES, "/entries", 0)


def test_entries_have_an_id_once_and_a_moment_with_its_offset() -> None:
    good = {"entry_id": "1-2", "at": "2026-01-01T00:30:00+01:00", "orders": 2}
    [entry] = CATALOGUE.check_entries("purchases", [good], "/entries/purchases")
    assert (entry.entry_id, entry.fields) == ("1-2", {"orders": 2})
    assert entry.at.isoformat() == "2026-01-01T00:30:00+01:00"
    for bad, place, code in (
        ({**good, "entry_id": "a b"}, "entry_id", "entry_id"),
        ({**good, "entry_id": 7}, "entry_id", "entry_id"),
        ({**good, "at": "2026-01-01T00:30:00"}, "at", "entry_at"),
        ({**good, "at": "2026-13-01T00:30:00Z"}, "at", "entry_at"),
        ({**good, "orders": 2.5}, "orders", "int_type"),
        ({**good, "amount": "1,5"}, "amount", "decimal_parsing"),
        ({**good, "wrong": 1}, "1", "unknown_field"),
    ):
        with pytest.raises(DocumentRefused) as caught:
            CATALOGUE.check_entries("purchases", [bad], "/entries")
        expected = f"/entries/0/{place}"
        if code == "unknown_field":
            expected = "/entries/0/*"
        assert (expected, code) in places(caught.value)
    with pytest.raises(DocumentRefused) as caught:
        CATALOGUE.check_entries("purchases", [good, good], "/entries")
    assert places(caught.value) == [("/entries/1/entry_id", "entry_id")]


def test_a_look_up_by_a_field_that_has_no_index_finds_nothing_to_ask() -> None:
    assert CATALOGUE.term("name", "x") is None
    assert CATALOGUE.term("nothing", "x") is None
    term = CATALOGUE.term("phone", "+49 30 1234567")
    assert term is not None
    assert term.normalised == "+49301234567"
    assert "1234567" not in repr(term)
    with pytest.raises(FieldUnparsable):
        CATALOGUE.term("phone", "x")


def test_a_class_has_every_grade_of_its_fields() -> None:
    assert CATALOGUE.grades("basic") == {Grade.GENERAL, Grade.SENSITIVE}
    assert CATALOGUE.grades("nothing") == {Grade.GENERAL}
    assert CATALOGUE.masks("purchases") == {"orders": "none", "amount": "none"}


def test_at_most_fifty_faults_are_told() -> None:
    error = refused({"basic": {f"x{n}": 1 for n in range(200)}})
    assert len(error.faults) == 50
