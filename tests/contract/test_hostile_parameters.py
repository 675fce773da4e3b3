# SPDX-License-Identifier: Apache-2.0
"""Bad addresses, queries and headers: the same promises as for bodies (M4)."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.contract import corpus
from tests.contract.answers import refused
from tests.contract.corpus import CANARIES, CANARY, DIGITS
from tests.contract.operations import Operation, operations, rows
from tests.contract.sending import send
from tests.contract.site import TILL, Site
from tests.contract.traces import left, nothing_written, shown, spoken

pytestmark = pytest.mark.attack("T8")

NAMES = sorted(rows())


class Refusals:
    """Collects answers that are not what a hostile request must get."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._wrong: list[Any] = []
        self.sent = 0
        spoken(site)
        self._before = left(site)

    def check(
        self,
        kind: str,
        answer: httpx.Response,
        *codes: str,
        operation: Operation | None = None,
    ) -> None:
        self.sent += 1
        try:
            document = refused(answer, operation)
            assert not codes or document["code"] in codes, document
            text = shown(answer)
            assert not [c for c in CANARIES if c in text], "echoed"
        except (AssertionError, KeyError, ValueError) as error:
            self._wrong.append((kind, answer.status_code, str(error)[:300]))

    def settle(self) -> None:
        assert not self._wrong, f"{len(self._wrong)} of {self.sent}: {self._wrong[:8]}"
        nothing_written(self._before, left(self._site))
        said = spoken(self._site)
        assert not [c for c in CANARIES if c in said], "in a log line or a metric"


def test_every_parameter_of_every_path(site: Site) -> None:
    refusals = Refusals(site)
    for operation in operations(site):
        row = rows()[operation.name]
        for parameter in operation.parameters("path"):
            schema = operation.schema(parameter["schema"])
            path = row.values(site, row.path)
            for kind, text in corpus.of_parameter(schema):
                changed = {**path, parameter["name"]: text}
                answer = send(site, operation, row.right, path=changed)
                refusals.check(
                    f"{operation.name} {parameter['name']} {kind}",
                    answer,
                    "validation",
                    "bad-request",
                    "not-found",
                    "method-not-allowed",
                )
    refusals.settle()
    assert refusals.sent > 500


def test_every_parameter_of_every_query(site: Site) -> None:
    refusals = Refusals(site)
    for operation in operations(site):
        row = rows()[operation.name]
        path = operation.address(row.values(site, row.path))
        for parameter in operation.parameters("query"):
            schema = operation.schema(parameter["schema"])
            for kind, text in corpus.of_parameter(schema):
                others = row.values(site, row.query)
                others.pop(parameter["name"], None)
                rest = "".join(f"&{name}={value}" for name, value in others.items())
                url = f"{path}?{parameter['name']}={text}{rest}"
                answer = site.call(operation.service, operation.method, url, row.right)
                codes = ["bad-request", "validation"]
                if parameter["name"] == "limit":
                    codes = ["bad-request", "limit-out-of-range"]
                where = f"{operation.name} {parameter['name']} {kind}"
                refusals.check(where, answer, *codes, operation=operation)
    refusals.settle()
    assert refusals.sent > 200


PAGES = {"livez", "readyz", "metrics_text"} | {
    "describe_problem",
    "describe_service",
    "list_problems",
}
"""Operations that probes and browsers call, with queries of their own."""


def test_a_parameter_that_no_operation_has(site: Site) -> None:
    refusals = Refusals(site)
    for operation in operations(site):
        if operation.item["operationId"] in PAGES:
            continue
        row = rows()[operation.name]
        query = row.values(site, row.query)
        declared = sorted(one["name"] for one in operation.parameters("query"))
        for name in (CANARY, f"{CANARY}[]", "Limit", "limit ", ""):
            answer = send(site, operation, row.right, query={name: CANARY})
            refusals.check(
                f"{operation.name} {name}", answer, "validation", operation=operation
            )
            [fault] = [f for f in answer.json()["errors"] if f["in"] == "query"]
            assert (fault["pointer"], fault["code"]) == ("/*", "extra_forbidden")
            assert fault["msg"].endswith(" " + (", ".join(declared) or "none"))
        for name in declared:
            twice = [*query.items(), (name, DIGITS), (name, DIGITS)]
            answer = send(site, operation, row.right, query=twice)
            where = f"{operation.name} {name} twice"
            refusals.check(where, answer, "validation", operation=operation)
            assert f"/{name}" in [f["pointer"] for f in answer.json()["errors"]]
    refusals.settle()
    assert refusals.sent > 200


CURSORS = [
    CANARY,
    "AAAA",
    "bGVhZjotMQ",  # leaf:-1
    "bGVhZjox_",
    "eyJhIjoxfQ==",
    "0",
    "-1",
    "9" * 300,
    "A" * 1024,
    "v1." + "A" * 60,
]


@pytest.mark.parametrize(
    "name", ["vault.list_records", "transfer.list_handovers", "audit.find_events"]
)
def test_a_cursor_that_was_not_given_here_is_refused(site: Site, name: str) -> None:
    operation = next(one for one in operations(site) if one.name == name)
    refusals = Refusals(site)
    for cursor in CURSORS:
        answer = send(site, operation, rows()[name].right, query={"cursor": cursor})
        refusals.check(cursor, answer, "cursor-invalid", operation=operation)
    refusals.settle()


HEADERS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "purpose unknown": ({"Keyturn-Purpose": CANARY}, ("purpose-unknown",)),
    "purpose empty": ({"Keyturn-Purpose": ""}, ("purpose-unknown",)),
    "purpose long": ({"Keyturn-Purpose": CANARY * 20}, ("validation",)),
    "purpose of latin": (
        {"Keyturn-Purpose": f"{CANARY}\xe9".encode("latin-1")},
        ("purpose-unknown",),
    ),
    "purpose of the system": ({"Keyturn-Purpose": "handover"}, ("purpose-not-given",)),
    "purpose denied": ({"Keyturn-Purpose": "advertising"}, ("purpose-not-given",)),
}


@pytest.mark.parametrize("kind", HEADERS)
def test_purposes_that_are_none(site: Site, kind: str) -> None:
    headers, codes = HEADERS[kind]
    refusals = Refusals(site)
    for operation in operations(site):
        names = {one["name"] for one in operation.parameters("header")}
        if "Keyturn-Purpose" in names:
            row = rows()[operation.name]
            answer = send(site, operation, row.right, headers=headers)
            refusals.check(operation.name, answer, *codes, operation=operation)
    assert refusals.sent == 11
    refusals.settle()


def test_a_client_without_default_purpose_must_name_one(site: Site) -> None:
    refusals = Refusals(site)
    for operation in operations(site):
        names = {one["name"] for one in operation.parameters("header")}
        if "Keyturn-Purpose" in names:
            headers = {"Keyturn-Purpose": None}
            answer = send(site, operation, "purposeless", headers=headers)
            refusals.check(
                operation.name, answer, "purpose-missing", operation=operation
            )
    assert refusals.sent == 11
    refusals.settle()


@pytest.mark.parametrize(
    ("etag", "code"),
    [
        (None, "etag-required"),
        ('"999999999"', "etag-stale"),
        ('"0"', "etag-stale"),
        (f'"{CANARY}"', "etag-stale"),
        (CANARY, "validation"),
        ("*", "validation"),
        ('W/"1"', "validation"),
        ('"1', "validation"),
        ('"1", "2"', "validation"),
        (f'"{"9" * 40}"', "etag-stale"),
        (f'"{CANARY * 20}"', "validation"),
    ],
    ids=str,
)
def test_an_etag_that_is_missing_stale_or_none(
    site: Site, etag: str | None, code: str
) -> None:
    refusals = Refusals(site)
    for name in ("vault.patch_record", "vault.erase_record"):
        if etag is None and name == "vault.erase_record":
            continue  # a person's erasure is of every version, so it may name none
        operation = next(one for one in operations(site) if one.name == name)
        headers = {"If-Match": etag}
        answer = send(site, operation, rows()[name].right, headers=headers)
        refusals.check(f"{name} {etag}", answer, code, operation=operation)
    refusals.settle()


@pytest.mark.parametrize(
    "key",
    ["", '"', '"' + CANARY, "x" * 256, f"{CANARY}\xe9".encode("latin-1"), '"\\n"'],
)
def test_an_idempotency_key_that_is_none(site: Site, key: str | bytes) -> None:
    refusals = Refusals(site)
    for name in (
        "vault.create_record",
        "vault.batch_records",
        "vault.append_entries",
        "transfer.create_handover",
    ):
        operation = next(one for one in operations(site) if one.name == name)
        headers = {"Idempotency-Key": key}
        answer = send(site, operation, rows()[name].right, headers=headers)
        refusals.check(name, answer, "idempotency-key-invalid", operation=operation)
    refusals.settle()


def test_a_handover_without_idempotency_key(site: Site) -> None:
    refusals = Refusals(site)
    name = "transfer.create_handover"
    operation = next(one for one in operations(site) if one.name == name)
    answer = send(site, operation, "SO", headers={"Idempotency-Key": None})
    refusals.check(name, answer, "idempotency-key-required", operation=operation)
    refusals.settle()


RAW_HEADERS: dict[str, tuple[list[tuple[Any, Any]], str]] = {
    "foreign host": ([("host", f"{CANARY}.example")], "bad-request"),
    "host of a path": ([("host", "a/../b?x")], "bad-request"),
    "no host": ([("host", "")], "bad-request"),
    "length twice": (
        [("content-length", "0"), ("content-length", "1")],
        "bad-request",
    ),
    "length and chunks": (
        [("content-length", "0"), ("transfer-encoding", "chunked")],
        "bad-request",
    ),
    "token twice": ([("authorization", f"Bearer {CANARY}")], "bad-request"),
    "large": ([("x-filler", CANARY * 4_000)], "header-too-large"),
}


@pytest.mark.parametrize("kind", RAW_HEADERS)
@pytest.mark.parametrize("service", ["vault", "transfer", "audit"])
def test_headers_that_two_servers_could_read_differently(
    site: Site, service: str, kind: str
) -> None:
    headers, code = RAW_HEADERS[kind]
    refusals = Refusals(site)
    answer = site.call(service, "GET", "/v1/nothing", TILL, headers)
    refusals.check(kind, answer, code)
    refusals.settle()


@pytest.mark.parametrize("service", ["vault", "transfer", "audit"])
def test_addresses_and_methods_that_do_not_exist(site: Site, service: str) -> None:
    refusals = Refusals(site)
    for path in (
        f"/{CANARY}",
        f"/v1/{CANARY}?{CANARY}={CANARY}",
        "//v1/records",
        "/v1/records/../../etc/passwd",
        f"/docs/..%2f{CANARY}",
        f"/problems/{CANARY}",
        f"/livez/{CANARY}",
        f"/v1/%00{CANARY}",
    ):
        answer = site.call(service, "GET", path, TILL)
        refusals.check(path, answer, "not-found", "bad-request", "validation")
    for method in ("TRACE", "CONNECT", "OPTIONS", "PUT", CANARY):
        answer = site.call(service, method, "/livez", TILL)
        refusals.check(method, answer, "method-not-allowed")
        assert "GET" in answer.headers["allow"]
    refusals.settle()


def test_a_request_id_that_is_no_uuid_is_replaced(site: Site) -> None:
    headers = {"Request-Id": CANARY}
    answer = site.call("vault", "GET", "/v1/nothing", TILL, headers)
    assert CANARY not in shown(answer)
    assert CANARY not in spoken(site)
