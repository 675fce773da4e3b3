# SPDX-License-Identifier: Apache-2.0
"""Promise: a consumer that is not ours reads all three topics, by their contracts.

`kcat` (Debian) speaks Kafka through librdkafka and knows nothing of Keyturn.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest

from contracts.events.topics import TOPICS
from keyturn_client import Keyturn
from tests.integration.client.standing import Standing

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("kcat") is None, reason="kcat is not installed: make test-scaled"
    ),
]
SCHEMAS: Final = Path(__file__).parents[3] / "contracts" / "schemas"
#: CloudEvents 1.0.2: names of attributes, and what every event has.
ATTRIBUTE: Final = re.compile(r"[a-z0-9]+")
REQUIRED: Final = {"specversion", "id", "source", "type"}
DESCRIBED: Final = "application/cloudevents+json; charset=UTF-8"


def consumed(servers: str, topic: str) -> list[dict[str, Any]]:
    """Return every message of a topic, as kcat tells it."""
    command = ("kcat", "-C", "-q", "-J", "-e", "-o", "beginning", "-b", servers)
    done = subprocess.run(
        (*command, "-t", topic), check=True, capture_output=True, timeout=60
    )
    # The header `kt-head` is a signature's raw bytes: no UTF-8, in no way harmful.
    lines = done.stdout.decode("utf-8", "replace").split("\n")
    return [json.loads(line) for line in lines if line]


def happenings(stands: Standing) -> dict[str, str]:
    """Make something happen on every topic; return the events' names by service."""
    with Keyturn(stands.house, stands.login) as system:
        made = system.records.create({})
        named = {"vault": system.records.read(made.body["id"]).audit_event}
        named["audit"] = system.log.page().audit_event
    with Keyturn(stands.house, stands.owner) as owner:
        draft = owner.handovers.create(
            {
                "seller": "acme",
                "buyer": "birch",
                "deal_type": "asset_sale",
                "path": "separate_consent",
            }
        )
        named["transfer"] = draft.audit_event
    return {service: str(name) for service, name in named.items()}


def test_kcat_reads_every_topic(stands: Standing) -> None:
    wanted = happenings(stands)
    with Keyturn(stands.house, stands.login) as system:
        installation = system.installation().body["installation"]
        for service, topic in TOPICS.items():
            leaf = system.log.prove(stands.view, wanted[service]).event.raw
            source = f"urn:keyturn:{installation}:{service}"
            ours = [
                message
                for message in consumed(stands.servers, topic)
                if json.loads(message["payload"])["source"] == source
            ]
            assert leaf.decode() in {message["payload"] for message in ours}
            for message in ours:
                check(service, message)
            assert any("kt-head" in headers(message) for message in ours)


def headers(message: dict[str, Any]) -> dict[str, str]:
    flat = message["headers"]
    return dict(zip(flat[::2], flat[1::2], strict=True))


def check(service: str, message: dict[str, Any]) -> None:
    """Hold a message to CloudEvents (structured, Kafka binding) and to its schema."""
    event = json.loads(message["payload"])
    told = headers(message)
    assert event.keys() >= REQUIRED
    assert all(ATTRIBUTE.fullmatch(name) for name in event)
    assert told["content-type"] == DESCRIBED
    assert (told["ce_id"], told["ce_specversion"]) == (event["id"], "1.0")
    assert message["key"] == event["lane"]
    assert datetime.fromisoformat(event["time"]).tzinfo is not None
    schema = SCHEMAS / service / f"{event['type']}.json"
    jsonschema.validate(event, json.loads(schema.read_text(encoding="utf-8")))
