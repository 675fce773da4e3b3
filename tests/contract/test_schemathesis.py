# SPDX-License-Identifier: Apache-2.0
"""Schemathesis against the three applications: answers keep their OpenAPI document.

Generated requests, positive and negative, for every operation, as the caller who may:
no 5xx but a documented 503, documented statuses and media types, bodies that keep
their schemas, and nothing accepted that the schema forbids.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import CheckFunction
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.attack.figures import figure
from tests.contract.operations import Operation, operations, rows
from tests.contract.site import TILL, Site

pytestmark = pytest.mark.attack("T7")

#: Requests per operation and mode; the release run sets thousands.
EXAMPLES = int(os.environ.get("KEYTURN_TEST_EXAMPLES", figure(6, 6, 1_200)))
CHECKS: list[CheckFunction] = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
NEGATIVE: list[CheckFunction] = [*CHECKS, negative_data_rejection]
OFFICERS = {"transfer": "SO", "vault": "SO+"}


def send(site: Site, operation: Operation, who: str, case: Case) -> httpx.Response:
    """Send a case as the application's own client would, headers and all."""
    arguments: Mapping[str, Any] = case.as_transport_kwargs("http://127.0.0.1")
    prepared = requests.Request(
        **{name: arguments[name] for name in arguments if name != "timeout"}
    ).prepare()
    headers = [
        (name, value)
        for name, value in prepared.headers.items()
        if name.lower() not in {"authorization", "content-length", "host"}
    ]
    return site.call(
        operation.service,
        str(prepared.method),
        str(prepared.url),
        who,
        headers,
        content=prepared.body or b"",
    )


def can_be_negated(operation: Operation) -> bool:
    """Whether anything that can be sent would break the operation's schemas."""
    free = {"type": "string"}
    schemas = [
        {key: value for key, value in one["schema"].items() if key != "title"}
        for one in operation.item.get("parameters", [])
    ]
    return bool(operation.media_type) or any(schema != free for schema in schemas)


MODES = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]


@pytest.mark.parametrize("mode", MODES, ids=[mode.value for mode in MODES])
@pytest.mark.parametrize("name", sorted(rows()))
def test_answers_keep_the_document(
    own_site: Site, name: str, mode: GenerationMode
) -> None:
    operation = next(one for one in operations(own_site) if one.name == name)
    if mode is GenerationMode.NEGATIVE and not can_be_negated(operation):
        pytest.skip("takes nothing that could be wrong")
    schema = schemathesis.openapi.from_dict(operation.document)
    target = schema[operation.path][operation.method]
    row = rows()[name]
    people = sorted({row.right or TILL, OFFICERS.get(operation.service, TILL)})
    checks = NEGATIVE if mode is GenerationMode.NEGATIVE else CHECKS
    if "event-stream" in str(operation.item["responses"].get("200")):
        # OpenAPI 3.1 has a schema for the whole stream only, and the check takes it
        # for that of each event.
        checks = [check for check in checks if check is not response_schema_conformance]
    strategy = target.as_strategy(generation_mode=mode)

    @given(case=strategy, who=st.sampled_from(people))
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def keeps(case: Case, who: str) -> None:
        answer = send(own_site, operation, who, case)
        assert answer.status_code < 500 or answer.status_code == 503, answer.text
        case.validate_response(answer, checks=checks)

    keeps()
