# SPDX-License-Identifier: Apache-2.0
"""What people sign is read strictly, each kind as itself only."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import rfc8785

from contracts.custody.document import DocumentMalformed
from contracts.custody.signing import parse_approval, parse_release
from tests.unit.contracts.custody.factories import SC, SO, approval, plan_of, release

APPROVAL = approval(SO, plan_of())
RELEASE = release(SC, plan_of())


def payload_of(document: bytes) -> dict[str, Any]:
    members: dict[str, Any] = json.loads(
        base64.b64decode(json.loads(document)["payload"])
    )
    return members


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("domain", "keyturn-release/1"),
        ("domain", None),
        ("role", "XX"),
        ("person", ""),
        ("person", "a\nb"),
        ("expires", "tomorrow"),
        ("more", 1),
    ],
)
def test_an_approval_out_of_bounds_is_refused(member: str, value: Any) -> None:
    members = payload_of(APPROVAL)
    assert parse_approval(rfc8785.dumps(members)).person == "so-1"
    with pytest.raises(DocumentMalformed):
        parse_approval(rfc8785.dumps({**members, member: value}))


def test_a_payload_names_its_domain() -> None:
    members = payload_of(APPROVAL)
    del members["domain"]
    with pytest.raises(DocumentMalformed, match="spelling"):
        parse_approval(rfc8785.dumps(members))


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("domain", "keyturn-approval/1"),
        ("counts", {"basic": {"transfer": {"eligible": -1}}}),
        ("counts", {"basic": {"transfer": {"eligible": True}}}),
        ("counts", {"basic": 1}),
        ("checkpoint", ""),
        ("as_of", "2018-02-30"),
    ],
)
def test_a_release_out_of_bounds_is_refused(member: str, value: Any) -> None:
    members = payload_of(RELEASE)
    assert parse_release(rfc8785.dumps(members)).as_of == "2018-01-31"
    with pytest.raises(DocumentMalformed):
        parse_release(rfc8785.dumps({**members, member: value}))
