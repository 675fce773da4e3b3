# SPDX-License-Identifier: Apache-2.0
"""Promise: the committed documents are valid, agree with each other, and fit events.

The documents are what `make contracts` wrote; that they are not stale is checked by
`make contracts-check`. Events of a whole run are checked by tests/e2e.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from contracts.events import vault as vault_events
from contracts.events.topics import TOPICS
from contracts.purposes import GIVEN
from deploy.contracts import EVENTS
from tests.fakes.evidence import Lane

CONTRACTS = Path(__file__).parents[2] / "contracts"
SERVICES = ("vault", "transfer", "audit")
DRAFTS = (Draft202012Validator, Draft7Validator)
SCHEMAS = sorted(CONTRACTS.glob("schemas/*/*.json"))


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def events() -> list[dict[str, Any]]:
    """A small log: a lane that opens, is used, and closes."""
    lane = Lane("a")
    used = [
        vault_events.RecordErased(client="crm", record="ab" * 16, classes=["basic"]),
        vault_events.RecordRead(
            client="crm",
            purpose="contract",
            record="ab" * 16,
            classes=["basic"],
            view="full",
            policy="p1",
        ),
    ]
    raws = [lane.open(), *(lane.write(event.draft("seller")) for event in used)]
    raws.append(lane.close())
    return [json.loads(raw) for raw in raws]


def broken(event: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The same event, each time with one thing that must be refused."""
    yield {**event, "seq": 0}
    yield {**event, "lane": "A" * 32}
    yield {**event, "specversion": "0.3"}
    yield {**event, "source": event["source"].replace(":vault", ":audit")}
    yield {**event, "name": "Li"}
    yield {**event, "data": {**event["data"], "name": "Li"}}
    yield {**event, "data": {**event["data"], "parties": [{"party": "seller"}]}}
    for member in event:
        yield {name: value for name, value in event.items() if name != member}


# -- OpenAPI ------------------------------------------------------------------


@pytest.mark.parametrize("service", SERVICES)
def test_each_openapi_document_is_valid(service: str) -> None:
    document = read(CONTRACTS / "openapi" / f"{service}.json")
    assert document["openapi"].startswith("3.1.")
    found = OpenAPIV31SpecValidator(document).iter_errors()
    assert [error.message for error in found] == []


@pytest.mark.parametrize("service", SERVICES)
def test_each_guarded_route_takes_a_pasted_token_too(service: str) -> None:
    document = read(CONTRACTS / "openapi" / f"{service}.json")
    assert set(document["components"]["securitySchemes"]) == {"keyturn", "token"}
    guarded = [
        operation["security"]
        for item in document["paths"].values()
        for operation in item.values()
        if "security" in operation
    ]
    assert guarded
    for ways in guarded:
        names = [next(iter(way)) for way in ways]
        assert set(names[:-1]) == {"keyturn"}  # more than one are alternatives
        assert names[-1] == "token"


@pytest.mark.parametrize("service", SERVICES)
def test_each_operation_says_what_it_does_and_shows_a_body_that_fits(
    service: str,
) -> None:
    document = read(CONTRACTS / "openapi" / f"{service}.json")
    for path, item in document["paths"].items():
        for verb, operation in item.items():
            assert operation.get("summary"), f"{verb} {path}"
            body = operation.get("requestBody", {}).get("content", {})
            if "application/json" not in body:
                continue
            reference = body["application/json"]["schema"]["$ref"]
            schema = document["components"]["schemas"][reference.split("/")[-1]]
            whole = {"$ref": reference, "components": document["components"]}
            assert schema.get("examples"), f"{verb} {path}"
            for example in schema["examples"]:
                Draft202012Validator(whole).validate(example)


def test_each_record_route_is_described_and_lists_the_purposes() -> None:
    document = read(CONTRACTS / "openapi" / "vault.json")
    written = [
        operation
        for path, item in document["paths"].items()
        for operation in item.values()
        if path.startswith(("/v1/records", "/v1/aliases"))
        and not path.endswith("/history")
    ]
    assert all(operation.get("description") for operation in written)
    headers = [
        parameter
        for operation in written
        for parameter in operation["parameters"]
        if parameter["name"] == "Keyturn-Purpose"
    ]
    assert headers
    for header in headers:
        assert all(purpose in header["description"] for purpose in GIVEN)


# -- Events -------------------------------------------------------------------


def test_each_filter_of_events_is_explained() -> None:
    search = read(CONTRACTS / "openapi" / "audit.json")["paths"]["/v1/events"]["get"]
    queries = [one for one in search["parameters"] if one["in"] == "query"]
    assert [one["name"] for one in queries if not one.get("description")] == []
    type_ = next(one["schema"] for one in queries if one["name"] == "type")
    told = {name for known in EVENTS.values() for name in (one.TYPE for one in known)}
    assert set(type_["anyOf"][0]["enum"]) == told | {"unreadable"}


def test_each_patch_is_documented_as_merge_patch_too() -> None:
    routes = read(CONTRACTS / "openapi" / "vault.json")["paths"].values()
    bodies = [item["patch"]["requestBody"] for item in routes if "patch" in item]
    assert bodies
    taken = {"application/json", "application/merge-patch+json"}
    assert all(set(body["content"]) == taken for body in bodies)


def test_there_is_a_schema_for_each_event_and_no_other() -> None:
    known = {
        (service, payload.TYPE)
        for service, payloads in EVENTS.items()
        for payload in payloads
    }
    assert {(path.parent.name, path.stem) for path in SCHEMAS} == known


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_each_event_schema_is_a_valid_schema_in_both_drafts(path: Path) -> None:
    """AsyncAPI's document calls them draft 07, they call themselves 2020-12."""
    schema = read(path)
    for draft in DRAFTS:
        draft.check_schema(schema)
    assert schema["additionalProperties"] is False
    assert schema["properties"]["data"]["additionalProperties"] is False


@pytest.mark.parametrize("draft", DRAFTS)
def test_events_fit_their_schemas_and_broken_ones_do_not(draft: Any) -> None:
    for event in events():
        schema = read(CONTRACTS / "schemas" / "vault" / f"{event['type']}.json")
        checked = draft(schema, format_checker=draft.FORMAT_CHECKER)
        assert [error.message for error in checked.iter_errors(event)] == []
        assert not any(checked.is_valid(wrong) for wrong in broken(event))


# -- AsyncAPI -----------------------------------------------------------------


def test_asyncapi_names_each_topic_and_resolves_each_reference() -> None:
    path = CONTRACTS / "asyncapi" / "asyncapi.json"
    document = read(path)
    assert document["asyncapi"] == "3.1.0"
    channels = document["channels"]
    assert {name: c["address"] for name, c in channels.items()} == dict(TOPICS)
    messages = document["components"]["messages"]
    named = [
        reference["$ref"].removeprefix("#/components/messages/")
        for channel in channels.values()
        for reference in channel["messages"].values()
    ]
    assert sorted(named) == sorted(messages)
    files = {
        (path.parent / message["payload"]["schema"]["$ref"]).resolve()
        for message in messages.values()
    }
    assert files == set(SCHEMAS)
    for operation in document["operations"].values():
        assert operation["channel"]["$ref"].removeprefix("#/channels/") in channels
