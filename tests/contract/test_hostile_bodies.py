# SPDX-License-Identifier: Apache-2.0
"""Bad bytes and bad bodies: refused by code, never echoed, nothing written (M4)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from urllib.parse import quote

import pytest

from services.vault.parties.assertions import ASSERTION_TYPE
from tests.contract import corpus
from tests.contract.answers import refused
from tests.contract.corpus import CANARIES, CANARY, Hostile
from tests.contract.operations import FORM, PLAN, Operation, operations, rows
from tests.contract.sending import send
from tests.contract.site import Site
from tests.contract.traces import left, nothing_written, shown, spoken

pytestmark = pytest.mark.attack("T8")

LIMIT = 1_048_576
WITH_BODY = sorted(name for name, row in rows().items() if row.body is not None)
WITH_JSON = [n for n in WITH_BODY if n not in {"vault.issue_token", "vault.lodge_plan"}]


def named(site: Site, name: str) -> Operation:
    return next(one for one in operations(site) if one.name == name)


def refuses_all(site: Site, operation: Operation, bodies: Iterable[Hostile]) -> None:
    """Send each body; check each answer, and after all of them every trace."""
    spoken(site)
    before = left(site)
    wrong = []
    sent = 0
    for one in bodies:
        answer = send(
            site,
            operation,
            rows()[operation.name].right,
            content=one.content,
            headers=one.headers,
        )
        sent += 1
        try:
            refused(answer, operation)
            assert answer.status_code in one.status, answer.text
            text = shown(answer)
            assert not [c for c in CANARIES if c in text], "echoed"
        except (AssertionError, KeyError, ValueError) as error:
            wrong.append((one.kind, answer.status_code, str(error)[:300]))
    assert sent
    assert not wrong, f"{len(wrong)} of {sent}: {wrong[:8]}"
    nothing_written(before, left(site))
    said = spoken(site)
    assert not [c for c in CANARIES if c in said], "in a log line or a metric"


def test_the_list_of_bodies_is_complete(site: Site) -> None:
    """An operation that takes a body and sends none here would be left out."""
    taking = {one.name for one in operations(site) if one.media_type}
    assert taking == set(WITH_BODY)


@pytest.mark.parametrize("name", WITH_JSON)
def test_bytes_that_are_no_strict_json(site: Site, name: str) -> None:
    body = rows()[name].every_member(site)
    operation = named(site, name)
    refuses_all(site, operation, corpus.of_encoding(body, LIMIT))
    refuses_all(site, operation, corpus.of_scalars(body))


@pytest.mark.parametrize("name", WITH_JSON)
def test_bodies_under_a_wrong_media_type(site: Site, name: str) -> None:
    body = rows()[name].every_member(site)
    refuses_all(site, named(site, name), corpus.of_media_type(body))


@pytest.mark.parametrize("name", WITH_JSON)
def test_bodies_that_break_the_schema(site: Site, name: str) -> None:
    operation = named(site, name)
    body = rows()[name].every_member(site)
    refuses_all(site, operation, corpus.of_values(body, operation.body_schema))


def test_plans_that_are_no_plans(site: Site) -> None:
    operation = named(site, "vault.lodge_plan")
    raw: bytes = site.values["plan"]
    document = json.loads(raw)
    kinds = {
        "empty": b"",
        "text": CANARY.encode(),
        "array": b"[]",
        "cut off": raw[:-1],
        "white space": raw + b"\n",
        "byte order mark": b"\xef\xbb\xbf" + raw,
        "utf-16": raw.decode().encode("utf-16"),
        "unknown member": json.dumps({**document, CANARY: 1}).encode(),
        "wrong party": raw.replace(
            b'"seller":"seller"', f'"seller":"{CANARY}"'.encode()
        ),
        "NaN": raw.replace(b'"profile":"standard"', b'"profile":NaN'),
        "key twice": b'{"profile":"standard",' + raw[1:],
        "NUL": raw.replace(b"standard", b"stand\\u0000ard"),
        "lone surrogate": raw.replace(b"standard", b"stand\\ud800ard"),
        "deep": b"[" * 10_000 + b"]" * 10_000,
        "huge number": raw.replace(b'"standard"', b"9" * 5_000),
        "binary": bytes(range(256)) * 4,
    }
    refuses_all(
        site,
        operation,
        [
            *(Hostile(kind, content, {}, (422,)) for kind, content in kinds.items()),
            Hostile("too large", raw + b" " * LIMIT, {}, (413,)),
            *(
                Hostile(f"type {media}", raw, {"Content-Type": media}, (415,))
                for media in ("application/json", "text/plain", "", None, CANARY)
            ),
        ],
    )


def test_forms_that_ask_for_no_token(site: Site) -> None:
    right = "grant_type=client_credentials&client_id=till&client_secret=x"
    kinds = {
        "empty": ("", (400,)),
        "json": (json.dumps({"grant_type": CANARY}), (400,)),
        "unknown member": (f"{right}&{CANARY}=1", (400,)),
        "field twice": (f"{right}&client_id={CANARY}", (400,)),
        "unknown grant": (f"grant_type={CANARY}", (400,)),
        "two ways": (f"{right}&client_assertion={CANARY}", (400,)),
        "NUL": (f"{right}&scope={CANARY}%00", (400,)),
        "0xff": (f"{right}&scope={CANARY}%ff", (400,)),
        "surrogate": (f"{right}&scope={CANARY}%ed%a0%80", (400,)),
        "many fields": ("&".join(f"{CANARY}{n}=1" for n in range(100)), (400,)),
        "unknown client": (f"{right}{CANARY}".replace("till", CANARY), (401,)),
        "long client": (right.replace("till", CANARY * 10_000), (400, 401)),
        "too large": (f"{right}&scope={CANARY * 100_000}", (413,)),
        "bad assertion": (
            f"grant_type=client_credentials&client_assertion={CANARY}"
            "&client_assertion_type=" + quote(ASSERTION_TYPE),
            (401,),
        ),
    }
    refuses_all(
        site,
        named(site, "vault.issue_token"),
        [
            *(
                Hostile(kind, text.encode(), {}, status)
                for kind, (text, status) in kinds.items()
            ),
            Hostile("not ASCII", f"{right}&scope=\xe9".encode("latin-1"), {}, (400,)),
            *(
                Hostile(
                    f"type {media}", right.encode(), {"Content-Type": media}, (415,)
                )
                for media in (
                    "application/json",
                    "text/plain",
                    None,
                    f"{FORM}; charset=utf-16",
                )
            ),
        ],
    )


def test_the_corpus_can_fail(site: Site) -> None:
    """A body that is right is not refused, and `refuses_all` says so."""
    operation = named(site, "vault.look_up_records")
    content = json.dumps(rows()[operation.name].content(site)).encode()
    with pytest.raises(AssertionError):
        refuses_all(site, operation, [Hostile("right", content, {}, (400,))])
    assert PLAN != FORM
