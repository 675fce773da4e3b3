# SPDX-License-Identifier: Apache-2.0
"""Promise: every operation of every service is in the client, or left out for a reason.

A new route, parameter or header without its place in the client fails here.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts import problems
from deploy.client_models import LEFT_OUT
from keyturn_client import (
    async_client,
    audit,
    awaited,
    blocking,
    client,
    transfer,
    vault,
)
from keyturn_client.calls import Call
from keyturn_client.retrying import KEY_IN_USE

OPENAPI = Path(__file__).parents[3] / "contracts" / "openapi"
MODULES = {"vault": vault, "transfer": transfer, "audit": audit}
ID = "01a20e53-8c39-727a-a046-8322921d77d9"
EVENT = f"{'a' * 32}/7"
#: One value for each argument, so that everything that can be sent is sent.
VALUES: dict[str, Any] = {
    "aliases": ["a" * 32],
    "batch": {"items": []},
    "class_": "orders",
    "classes": ["basic", "orders"],
    "cursor": "c",
    "entries": [],
    "etag": "3",
    "event": EVENT,
    "filters": dict.fromkeys(
        ("handover", "alias", "actor", "party", "type", "since", "until", "order"), "x"
    ),
    "handover": ID,
    "identifiers": [],
    "key": "k" * 16,
    "lane": "a" * 32,
    "level": 0,
    "limit": 5,
    "must_be_new": True,
    "aggregate": {},
    "position": 3,
    "settlement": {},
    "place": "x001/067.p/5",
    "record": ID,
    "records": [ID],
    "start": 3,
    "view": "masked",
}


def documented() -> Iterator[tuple[str, str, str, str, dict[str, Any]]]:
    for service in MODULES:
        document = json.loads((OPENAPI / f"{service}.json").read_text(encoding="utf-8"))
        for path, item in document["paths"].items():
            for method, operation in item.items():
                yield service, path, method.upper(), operation["operationId"], operation


def made() -> dict[tuple[str, str], list[Call[Any]]]:
    """Make every call, with every argument."""
    found: dict[tuple[str, str], list[Call[Any]]] = {}
    for service, module in MODULES.items():
        for name, make in vars(module).items():
            if name.startswith("_") or not inspect.isfunction(make):
                continue
            if make.__module__ != module.__name__:
                continue
            call = make(**_arguments(name, make))
            found.setdefault((service, call.operation), []).append(call)
    found["audit", "follow_log"].append(audit.follow_log(last_id="4"))
    return found


def _arguments(name: str, make: Any) -> dict[str, Any]:
    given = dict(VALUES)
    if name in {"create_record", "upsert_record"}:
        given["record"] = {"external_id": "C-1"}
    if name == "create_handover":
        given["handover"] = {}
    if name == "act_on_handover":
        given["event"] = "cancel"
    return {
        parameter: given.get(parameter, "x")
        for parameter in inspect.signature(make).parameters
        if not (name == "follow_log" and parameter == "last_id")
    }


CALLS = made()
OFFERED = [one for one in documented() if one[3] not in LEFT_OUT[one[0]]]


def test_every_operation_is_offered_or_left_out_for_a_reason() -> None:
    every = {(service, name) for service, _, _, name, _ in documented()}
    left = {(service, name) for service, names in LEFT_OUT.items() for name in names}
    assert every == CALLS.keys() | left
    assert not CALLS.keys() & left
    assert all(reason for names in LEFT_OUT.values() for reason in names.values())


@pytest.mark.parametrize(
    ("service", "path", "method", "name", "operation"),
    OFFERED,
    ids=[f"{one[0]}-{one[3]}" for one in OFFERED],
)
def test_a_call_is_what_its_operation_takes(
    service: str, path: str, method: str, name: str, operation: dict[str, Any]
) -> None:
    calls = CALLS[service, name]
    assert {(call.service, call.template, call.method) for call in calls} == {
        (service, path, method)
    }
    pattern = re.sub(
        r"\{(\w+)\}",
        "(?P<_>.+)".replace("_", r"\1"),
        re.escape(path).replace(r"\{", "{").replace(r"\}", "}"),
    )
    assert all(re.fullmatch(pattern, call.path) for call in calls)
    parameters = operation.get("parameters", [])
    queries = {one["name"] for one in parameters if one["in"] == "query"}
    headers = {one["name"].lower() for one in parameters if one["in"] == "header"}
    assert {key for call in calls for key in call.query} == queries
    assert {key.lower() for call in calls for key in call.headers} == headers
    body = "requestBody" in operation
    assert all((call.body is not None) == body for call in calls)


def test_what_carries_a_key_is_repeatable() -> None:
    for calls in CALLS.values():
        for call in calls:
            if "Idempotency-Key" in call.headers:
                assert call.repeatable, call.operation
            elif call.method in {"PATCH", "DELETE"}:
                assert not call.repeatable, call.operation


def test_every_call_is_sent_by_a_method_or_followed() -> None:
    sent = {
        member.__wrapped__.__name__
        for room in vars(client).values()
        if inspect.isclass(room) and room.__module__ == client.__name__
        for member in vars(room).values()
        if hasattr(member, "__wrapped__")
    }
    followed = {"follow_log", "follow_handover"}
    alone = {"read_installation", "list_officers"}
    names = {
        name
        for module in MODULES.values()
        for name, make in vars(module).items()
        if inspect.isfunction(make)
        and make.__module__ == module.__name__
        and not name.startswith("_")
    }
    assert sent | followed | alone == names


@pytest.mark.parametrize(
    ("one", "other", "prefix"),
    [
        pytest.param(client, async_client, "Async", id="rooms"),
        pytest.param(blocking, awaited, "Async", id="senders"),
    ],
)
def test_the_twins_have_the_same_methods_with_the_same_arguments(
    one: Any, other: Any, prefix: str
) -> None:
    for name, room in vars(one).items():
        if not inspect.isclass(room) or room.__module__ != one.__name__:
            continue
        twin = getattr(other, prefix + name)
        mine, its = _methods(room), _methods(twin)
        assert mine == its, name


def _methods(room: Any) -> dict[str, list[str]]:
    return {
        name: list(inspect.signature(member).parameters)
        for name, member in vars(room).items()
        if inspect.isfunction(member) and not name.startswith("__")
    }


def test_the_code_that_is_waited_for_is_the_services_own() -> None:
    assert problems.IDEMPOTENCY_KEY_IN_USE.code == KEY_IN_USE


def test_a_value_never_leaves_its_segment_of_a_path() -> None:
    assert vault.read_record("../../v1/token?x#y").path == (
        "/v1/records/..%2F..%2Fv1%2Ftoken%3Fx%23y"
    )
