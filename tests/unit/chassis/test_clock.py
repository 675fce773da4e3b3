# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from services.chassis import clock
from services.chassis.clock import Clock, SystemClock
from tests.fakes.clock import SettableClock


@pytest.mark.parametrize("make", [SystemClock, SettableClock])
def test_every_clock_gives_aware_utc_and_never_runs_backwards(make: type) -> None:
    port: Clock = make()
    assert port.now().utcoffset() == timedelta(0)
    first = port.monotonic()
    assert port.monotonic() >= first


def test_fake_moves_both_clocks_and_notices_abuse() -> None:
    fake = SettableClock()
    before, origin = fake.now(), fake.monotonic()
    fake.advance(2.5)
    assert fake.now() - before == timedelta(seconds=2.5)
    assert fake.monotonic() - origin == 2.5
    with pytest.raises(AssertionError):
        fake.advance(-1)
    fake.set(datetime(2020, 1, 1, tzinfo=UTC))
    assert fake.monotonic() - origin == 2.5


def test_milliseconds_and_text_of_a_moment_agree() -> None:
    moment = datetime(2026, 3, 2, 9, 0, 0, 123_999, tzinfo=UTC)
    assert clock.milliseconds(moment) == 1_772_442_000_123
    assert clock.rfc3339(moment) == "2026-03-02T09:00:00.123Z"
    shanghai = moment.astimezone(timezone(timedelta(hours=8)))
    assert clock.rfc3339(shanghai) == "2026-03-02T09:00:00.123Z"
    assert clock.milliseconds(shanghai) == clock.milliseconds(moment)


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        clock.milliseconds(datetime(2026, 3, 2))  # noqa: DTZ001


def test_ids_grow_and_aliases_are_128_random_bits() -> None:
    ids = [clock.uuid7() for _ in range(1000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 1000
    assert ids[0].version == 7
    aliases = {clock.random_alias() for _ in range(1000)}
    assert len(aliases) == 1000
    assert all(len(bytes.fromhex(a)) == 16 and a == a.lower() for a in aliases)


@pytest.mark.parametrize(
    "text", ["2026-03-02T09:00:00Z", "1900-01-01T00:00:00.000001+14:00"]
)
def test_a_moment_is_read_with_its_offset(text: str) -> None:
    moment = clock.parse_rfc3339(text)
    assert moment == datetime.fromisoformat(text)


@pytest.mark.parametrize(
    "text",
    [
        "1700000000",
        "2026-03-02",
        "2026-03-02T09:00:00",
        "2026-03-02 09:00:00Z",
        "2026-03-02t09:00:00z",
        "2026-02-30T09:00:00Z",
        "2026-03-02T25:00:00Z",
        "2026-03-02T09:00:00.1234567Z",
        "2026-03-02T09:00:00+25:00",
        "0000-01-01T00:00:00Z",
        "1899-12-31T23:59:59Z",
        "9999-12-31T23:59:59-14:00",
        "\u0662026-03-02T09:00:00Z",
        "",
    ],
)
def test_a_text_that_is_no_moment_of_any_calendar_is_none(text: str) -> None:
    assert clock.parse_rfc3339(text) is None
