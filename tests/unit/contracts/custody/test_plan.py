# SPDX-License-Identifier: Apache-2.0
"""A plan has one spelling, and every edit of it has another hash."""

from __future__ import annotations

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.custody.document import (
    MAX_DOCUMENT_BYTES,
    DocumentMalformed,
    parse_moment,
)
from contracts.custody.plan import Filter, canonical_bytes, parse_plan, plan_hash
from tests.unit.contracts.custody.factories import PLAN, VECTORS, plan_of

CASES = json.loads((VECTORS / "plan.json").read_bytes())


@pytest.mark.parametrize("case", CASES["accepted"], ids=lambda case: case["why"])
def test_a_canonical_plan_is_read_and_written_back(case: dict[str, str]) -> None:
    raw = case["bytes"].encode()
    assert canonical_bytes(parse_plan(raw)) == raw
    assert plan_hash(raw) == case["plan_hash"]


@pytest.mark.parametrize("case", CASES["refused"], ids=lambda case: case["why"])
def test_anything_else_is_refused(case: dict[str, str]) -> None:
    with pytest.raises(DocumentMalformed):
        parse_plan(case["bytes"].encode())


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 100_000,
        b'{"seller":"\xff"}',
        b"9" * 5000,
        b'{"a":"' + b"x" * MAX_DOCUMENT_BYTES + b'"}',
    ],
    ids=["deep", "no-utf-8", "huge-number", "too-large"],
)
def test_hostile_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(DocumentMalformed):
        parse_plan(raw)


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_any_other_value_of_a_member_is_refused_or_has_another_hash(
    data: st.DataObject,
) -> None:
    name = data.draw(st.sampled_from(sorted(PLAN)))
    scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
    value = data.draw(
        scalars | st.lists(scalars, max_size=2) | st.dictionaries(st.text(), scalars)
    )
    try:
        raw = rfc8785.dumps({**PLAN, name: value})
        plan = parse_plan(raw)
    except (DocumentMalformed, ValueError):
        return
    assert canonical_bytes(plan) == raw
    assert (plan_hash(raw) == plan_hash(rfc8785.dumps(PLAN))) == (value == PLAN[name])


def test_reserved_fields_are_refused_by_name() -> None:
    raw = rfc8785.dumps({**PLAN, "fields": {}})
    with pytest.raises(DocumentMalformed, match="fields: reserved"):
        parse_plan(raw)


@pytest.mark.parametrize(
    ("member", "value", "said"),
    [
        ("seller", "ANNA@EXAMPLE.ORG", "seller: string pattern mismatch"),
        ("anna@example.org", 1, "unknown member"),
        ("retention", {"anna@example.org": 1}, "retention: "),
        ("buyer", "seller-co", "members do not fit together"),
    ],
    ids=["value", "member", "key", "together"],
)
def test_an_error_names_members_and_no_value(
    member: str, value: Any, said: str
) -> None:
    with pytest.raises(DocumentMalformed) as caught:
        parse_plan(rfc8785.dumps({**PLAN, member: value}))
    assert str(caught.value).startswith(said)
    assert "anna" not in str(caught.value).lower()
    assert caught.value.__cause__ is None


def test_filters_are_built_by_either_name_and_written_with_one() -> None:
    rule = Filter(class_="basic", fact="tag", op="eq", value="vip")
    assert rule.values == ("vip",)
    written = rule.model_dump(mode="json", by_alias=True)
    assert written == {"class": "basic", "fact": "tag", "op": "eq", "value": "vip"}


def test_a_plan_cannot_be_edited() -> None:
    with pytest.raises(ValidationError):
        plan_of().seller = "else-co"  # type: ignore[misc]


def test_a_day_is_its_first_instant() -> None:
    assert parse_moment("2018-01-31") == parse_moment("2018-01-31T00:00:00Z")
    assert parse_moment("2018-01-31") < parse_moment("2018-01-31T00:00:00.001Z")
