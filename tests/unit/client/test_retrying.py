# SPDX-License-Identifier: Apache-2.0
"""Promise: a call goes again where that helps, and never where it may do harm."""

from __future__ import annotations

import httpx
import pytest

from keyturn_client import Call, Retries, transfer, vault
from keyturn_client.errors import Conflict, Refused, TooMany, Unavailable, Unreachable
from keyturn_client.retrying import worth_another
from tests.unit.client.house import RECORD, playing, problem, scripted, written

REFUSED = httpx.ConnectError("refused")
BROKEN = httpx.ReadError("broken")
BUSY = ("busy", 503)


def busy() -> httpx.Response:
    return problem(503, "audit-unavailable")


def test_a_key_is_made_once_and_kept_over_every_try() -> None:
    with playing(scripted(BROKEN, busy(), written(), written())) as (keyturn, played):
        keyturn.records.create({})
        keyturn.records.create({})
    keys = [request.headers["Idempotency-Key"] for request in played.requests]
    assert len(set(keys[:3])) == 1
    assert keys[3] != keys[0]
    assert len(keys[0]) >= 16
    assert len({request.content for request in played.requests}) == 1


def test_a_callers_own_key_is_kept() -> None:
    with playing(scripted(busy(), written())) as (keyturn, played):
        keyturn.records.upsert({"external_id": "C-1"}, key="import-C-1")
    keys = {request.headers["Idempotency-Key"] for request in played.requests}
    assert keys == {"import-C-1"}


@pytest.mark.parametrize(
    "failure",
    [BROKEN, httpx.ReadTimeout("late"), busy()],
    ids=["broken", "late", "503"],
)
def test_a_patch_that_may_have_been_done_never_goes_again(
    failure: httpx.Response | Exception,
) -> None:
    with (
        playing(scripted(failure)) as (keyturn, played),
        pytest.raises((Unreachable, Unavailable)),
    ):
        keyturn.records.patch(RECORD, {}, etag="1")
    assert len(played.requests) == 1


@pytest.mark.parametrize(
    "failure", [REFUSED, problem(429, "quota-exceeded")], ids=["never-sent", "429"]
)
def test_a_patch_that_was_not_done_goes_again(
    failure: httpx.Response | Exception,
) -> None:
    done = httpx.Response(200, json={"id": RECORD, "etag": "2", "created": False})
    with playing(scripted(failure, done)) as (keyturn, played):
        assert keyturn.records.patch(RECORD, {}, etag="1").body["etag"] == "2"
    assert [r.headers["If-Match"] for r in played.requests] == ['"1"', '"1"']


def test_what_is_wrong_with_a_request_is_said_at_once() -> None:
    with (
        playing(scripted(problem(422, "validation"))) as (keyturn, played),
        pytest.raises(Refused),
    ):
        keyturn.records.create({})
    assert len(played.requests) == 1


def test_a_key_in_use_is_waited_for() -> None:
    in_use = problem(409, "idempotency-key-in-use")
    with playing(scripted(in_use, written())) as (keyturn, _):
        assert keyturn.records.create({}).status == 201


def test_patience_ends() -> None:
    with (
        playing(scripted(*[busy()] * 3), retries=Retries(attempts=3)) as (
            keyturn,
            played,
        ),
        pytest.raises(Unavailable),
    ):
        keyturn.records.read(RECORD)
    assert len(played.requests) == 3


def test_a_service_is_waited_for_as_long_as_it_asks() -> None:
    hook = Retries(longest_pause=30).hook(vault.read_record(RECORD))
    assert hook(TooMany(429, "quota-exceeded", "", retry_after=12.0)) == 12.0
    assert hook(TooMany(429, "quota-exceeded", "", retry_after=31.0)) is False
    assert hook(Unavailable(503, "busy", "")) is True


def test_the_pause_a_service_asks_for_is_read_from_its_answer() -> None:
    answer = problem(429, "quota-exceeded", headers={"Retry-After": "3600"})
    with (
        playing(scripted(answer)) as (keyturn, played),
        pytest.raises(TooMany) as refused,
    ):
        keyturn.records.read(RECORD)
    assert refused.value.retry_after == 3600.0
    assert len(played.requests) == 1


@pytest.mark.parametrize(
    ("call", "again"),
    [
        pytest.param(vault.read_record(RECORD), True, id="read"),
        pytest.param(vault.create_record({}), True, id="keyed"),
        pytest.param(vault.look_up_records([]), True, id="look-up"),
        pytest.param(vault.put_class("basic", {"form": "document"}), True, id="put"),
        pytest.param(vault.erase_record(RECORD), False, id="erase"),
        pytest.param(vault.patch_record(RECORD, {}, etag="1"), False, id="patch"),
        pytest.param(transfer.act_on_handover(RECORD, "cancel"), False, id="step"),
        pytest.param(
            transfer.create_handover(
                {
                    "seller": "a",
                    "buyer": "b",
                    "deal_type": "asset_sale",
                    "path": "separate_consent",
                }
            ),
            True,
            id="draft",
        ),
    ],
)
def test_only_what_may_be_done_twice_goes_again(
    call: Call[object], again: bool
) -> None:
    lost = Unreachable("", maybe_done=True)
    assert worth_another(call, lost) is again
    assert worth_another(call, Unavailable(503, "busy", "")) is again
    assert worth_another(call, Unreachable("", maybe_done=False))
    assert not worth_another(call, Conflict(409, "folio-frozen", ""))
