# SPDX-License-Identifier: Apache-2.0
"""Models of request bodies: strict JSON, of which times and days are texts."""

from __future__ import annotations

from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import AwareDatetime, TypeAdapter, ValidationError, create_model

from services.chassis.body import Body, Day, Digits, Instant, Whole


class Colour(StrEnum):
    RED = "red"


class Inner(Body):
    day: Day
    instant: Instant
    until: Instant | None = None


class Outer(Body):
    id: UUID
    colour: Colour = Colour.RED
    size: Whole = 0
    inner: list[Inner]
    days: dict[str, Day]


INNER = {
    "day": "2026-03-02",
    "instant": "2026-03-02T09:00:00Z",
    "until": "2026-03-02T09:00:00.5Z",
}
OUTER: dict[str, Any] = {
    "id": "0192f0c1-2222-7333-8444-555566667777",
    "colour": "red",
    "size": 1.0,
    "inner": [INNER],
    "days": {"basic": "2026-03-02"},
}


def read(value: Any, model: Any = Outer) -> Any:
    """Validate as FastAPI does: Python values that came from JSON."""
    return TypeAdapter(model).validate_python(value, from_attributes=True)


def test_times_and_days_are_read_at_any_depth() -> None:
    found = read(OUTER)
    assert found.days == {"basic": date(2026, 3, 2)}
    assert found.inner[0].day == date(2026, 3, 2)
    assert found.inner[0].instant == datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert found.inner[0].until == datetime(2026, 3, 2, 9, 0, 0, 500_000, tzinfo=UTC)
    assert (found.size, found.colour) == (1, Colour.RED)


def test_a_body_is_written_as_what_it_is() -> None:
    found = read(OUTER)
    assert found.model_dump()["inner"][0]["day"] == date(2026, 3, 2)
    written = found.model_dump(mode="json")["inner"][0]
    assert (written["day"], written["instant"]) == (INNER["day"], INNER["instant"])
    assert read(found) is found


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("day", 20_514),
        ("day", "2026-02-30"),
        ("day", "20260302"),
        ("day", "1772442000"),
        ("instant", 1_772_442_000),
        ("instant", "1772442000.5"),
        ("instant", "2026-03-02T09:00:00"),
        ("instant", "2026-03-02"),
        ("until", "0001-01-01T00:00:00+14:00"),
        ("instant", None),
    ],
)
def test_what_is_no_time_or_day_is_refused_where_it_stands(
    place: str, value: Any
) -> None:
    with pytest.raises(ValidationError) as caught:
        read({**OUTER, "inner": [{**INNER, place: value}]})
    assert [error["loc"] for error in caught.value.errors()] == [("inner", 0, place)]


@pytest.mark.parametrize(
    "change",
    [{"size": "1"}, {"size": True}, {"id": 7}, {"colour": "blue"}, {"more": 1}],
    ids=str,
)
def test_nothing_is_coerced(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read({**OUTER, **change})


@pytest.mark.parametrize("value", [None, 1, "x", [], [OUTER]])
def test_what_is_no_object_is_no_body(value: Any) -> None:
    with pytest.raises(ValidationError):
        read(value)


@pytest.mark.parametrize(
    "text", ["1.0", "1_0", " 1", "+1", "1e2", "\u0661", "9" * 5_000, "", "0x1"]
)
def test_an_integer_of_an_address_has_one_spelling(text: str) -> None:
    adapter = TypeAdapter(Annotated[int, Digits])
    assert adapter.validate_python("-12") == -12
    with pytest.raises(ValidationError):
        adapter.validate_python(text)


@pytest.mark.parametrize(
    "annotation",
    [date, datetime, AwareDatetime, date | None, list[date], dict[str, datetime]],
    ids=str,
)
def test_a_member_that_no_request_could_fill_stops_the_start(annotation: Any) -> None:
    with pytest.raises(TypeError, match="use Day or Instant"):
        create_model("Wrong", __base__=Body, member=(annotation, ...))


def test_a_schema_says_what_a_body_is() -> None:
    schema = Outer.model_json_schema()
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["Inner"]["properties"]["instant"]["format"] == "date-time"
    assert schema["properties"]["days"]["additionalProperties"]["format"] == "date"
