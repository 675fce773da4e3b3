# SPDX-License-Identifier: Apache-2.0
"""Bodies that keep the schema and break the catalogue: refused by code and place."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.contract.bodies import CONSENT, ENTRY, RECORD
from tests.contract.corpus import CANARY, DIGITS
from tests.contract.operations import operations
from tests.contract.site import TILL, Site
from tests.contract.test_hostile_parameters import Refusals

pytestmark = pytest.mark.attack("T8")

PHONES = [
    CANARY,
    "",
    "+",
    "0",
    "+49",
    "+999 1234567",
    f"+49 171 {CANARY}",
    "+49" + "1" * 60,
    "\uff0b\uff14\uff19",
    "tel:;ext=1",
]


def record(class_: str, field: str, value: Any) -> dict[str, Any]:
    body = copy.deepcopy(RECORD)
    body["external_id"] = "C-hostile"
    body["documents"].setdefault(class_, {})[field] = value
    return body


@pytest.mark.parametrize("phone", PHONES)
def test_a_phone_nobody_can_dial_is_refused_and_its_field_named(
    site: Site, phone: str
) -> None:
    refusals = Refusals(site)
    tries = [
        ("POST", "/v1/records", record("basic", "phone", phone), {}),
        (
            "PATCH",
            f"/v1/records/{site.values['record']}",
            {"documents": {"basic": {"phone": phone}}},
            {"If-Match": site.values["record_etag"]},
        ),
    ]
    for method, path, body, headers in tries:
        answer = site.call("vault", method, path, TILL, headers, json=body)
        refusals.check(f"{method} {phone!r}", answer, "phone-unparsable", "validation")
        assert bool(phone) == (answer.json()["code"] == "phone-unparsable")
        assert "/documents/basic/phone" in str(answer.json()["errors"]), answer.text
    refusals.settle()


PLAIN = {"documents": {"basic": {"name": "Kim"}}}
CONTENTS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "unknown class": (record("canaryclass", "name", CANARY), ("field-unknown",)),
    "unknown field": (record("basic", "canaryfield", CANARY), ("field-unknown",)),
    "field of another class": (
        record("habits", "email", "a@example.org"),
        ("field-unknown",),
    ),
    "number for a name": (record("basic", "name", int(DIGITS)), ("validation",)),
    "truth for a name": (record("basic", "name", True), ("validation",)),
    "list for a number": (record("purchases", "amount", [CANARY]), ("validation",)),
    "empty list": (record("basic", "city", []), ("validation",)),
    "no mail": (record("basic", "email", CANARY), ("validation",)),
    "two mails": (record("basic", "email", f"{CANARY}@a@b"), ("validation",)),
    "mail of 4,000": (
        record("basic", "email", f"{CANARY * 300}@a.de"),
        ("validation",),
    ),
    "NUL": (record("basic", "city", f"{CANARY}\x00"), ("malformed-json",)),
    "long text": (record("basic", "city", CANARY * 10_000), ("validation",)),
    "bell": (record("basic", "city", f"{CANARY}\x07"), ("validation",)),
    "entry without id": (
        {**RECORD, "entries": {"purchases": [{"at": ENTRY["at"]}]}},
        ("validation",),
    ),
    "entry without time": (
        {**RECORD, "entries": {"purchases": [{"entry_id": CANARY}]}},
        ("validation",),
    ),
    "entry of no day": (
        {**RECORD, "entries": {"purchases": [{**ENTRY, "at": "2026-02-30T00:00:00Z"}]}},
        ("validation",),
    ),
    "entry of year 0": (
        {**RECORD, "entries": {"purchases": [{**ENTRY, "at": "0000-01-01T00:00:00Z"}]}},
        ("validation",),
    ),
    "entry of the last second": (
        {
            **RECORD,
            "entries": {"purchases": [{**ENTRY, "at": "9999-12-31T23:59:59-14:00"}]},
        },
        ("validation",),
    ),
    "entries of a document class": (
        {**RECORD, "entries": {"basic": [ENTRY]}},
        ("validation", "field-unknown"),
    ),
    "no amount": (
        {**RECORD, "entries": {"purchases": [{**ENTRY, "amount": CANARY}]}},
        ("validation",),
    ),
    "huge amount": (
        {**RECORD, "entries": {"purchases": [{**ENTRY, "amount": DIGITS * 200}]}},
        ("validation",),
    ),
    "basis of no class": (
        {**PLAIN, "basis": {"canaryclass": "contract"}},
        ("field-unknown", "validation"),
    ),
    "retention of no class": (
        {**PLAIN, "retention": {"canaryclass": "2030-01-01"}},
        ("field-unknown", "validation"),
    ),
}


@pytest.mark.parametrize("kind", CONTENTS)
def test_a_record_the_catalogue_does_not_know(site: Site, kind: str) -> None:
    body, codes = CONTENTS[kind]
    refusals = Refusals(site)
    answer = site.call("vault", "POST", "/v1/records", TILL, json=body)
    refusals.check(kind, answer, *codes)
    refusals.settle()


@pytest.mark.parametrize("kind", CONTENTS)
def test_the_same_record_in_a_batch_is_refused_alone(site: Site, kind: str) -> None:
    """A batch answers item by item, and echoes no more than its `ref`."""
    body, codes = CONTENTS[kind]
    if "malformed-json" in codes:
        pytest.skip("refused before there is a batch")
    refusals = Refusals(site)
    wrapped = {"items": [{"ref": "a", "record": body}]}
    answer = site.call("vault", "POST", "/v1/records:batch", TILL, json=wrapped)
    if answer.status_code == 207:
        (item,) = answer.json()["items"]
        assert item["problem"]["code"] in codes, item
        assert CANARY not in answer.text
    else:
        refusals.check(kind, answer, *codes)
    refusals.settle()


@pytest.mark.parametrize("members", [{"name": CANARY}, {}], ids=["full", "empty"])
def test_a_change_of_classes_nobody_knows_makes_no_keys(
    site: Site, members: dict[str, str]
) -> None:
    refusals = Refusals(site)
    path = f"/v1/records/{site.values['record']}"
    patch = {"documents": {f"canary{n}": members for n in range(20)}}
    etag = {"If-Match": site.values["record_etag"]}
    answer = site.call("vault", "PATCH", path, TILL, etag, json=patch)
    refusals.check("documents", answer, "field-unknown")
    entries = {"class": "canaryclass", "entries": [ENTRY]}
    answer = site.call("vault", "POST", f"{path}/entries", TILL, json=entries)
    refusals.check("entries", answer, "field-unknown")
    refusals.settle()


CONSENTS: dict[str, dict[str, Any]] = {
    "given on no day": {"given_at": "2026-02-30T00:00:00Z"},
    "given by a number": {"given_at": "1700000000"},
    "given at a local time": {"given_at": "2026-02-03T04:05:06"},
    "given in year 0": {"given_at": "0000-01-01T00:00:00Z"},
    "given at the last second": {"given_at": "9999-12-31T23:59:59-14:00"},
}


@pytest.mark.parametrize("kind", CONSENTS)
def test_a_consent_that_cannot_be(site: Site, kind: str) -> None:
    operation = next(o for o in operations(site) if o.name == "vault.put_consent")
    body = {**CONSENT, **CONSENTS[kind]}
    path = operation.address({"id": site.values["record"]})
    refusals = Refusals(site)
    answer = site.call("vault", "PUT", path, TILL, json=body)
    refusals.check(kind, answer, "validation", "field-unknown", operation=operation)
    refusals.settle()


STEPS: dict[str, dict[str, Any]] = {
    "unknown step": {"path": "canarystep"},
    "member of another step": {"body": {"plan": {"canary": CANARY}}},
    "document where none is": {
        "body": {
            "document": {
                "payload": "e30=",
                "payloadType": CANARY,
                "signatures": [{"keyid": "ab" * 32, "sig": CANARY}],
            }
        }
    },
}


@pytest.mark.parametrize("kind", STEPS)
def test_a_step_that_cannot_be(site: Site, kind: str) -> None:
    operation = next(
        o for o in operations(site) if o.name == "transfer.act_on_handover"
    )
    step = STEPS[kind]
    refusals = Refusals(site)
    answer = site.call(
        "transfer",
        "POST",
        operation.address(
            {"handover": site.values["handover"], "event": step.get("path", "submit")}
        ),
        "SO",
        json=step.get("body", {}),
    )
    refusals.check(kind, answer, operation=operation)
    refusals.settle()
