# SPDX-License-Identifier: Apache-2.0
"""Generates what is committed: OpenAPI, AsyncAPI, schemas, client models, references.

python -m deploy.contracts            write them into contracts/ and deploy/
python -m deploy.contracts --check    compare, and exit 1 where they differ
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from contracts.events.audit import AUDIT_EVENTS
from contracts.events.lane import LANE_EVENTS
from contracts.events.payload import Payload
from contracts.events.topics import PARTITIONS, TOPICS
from contracts.events.transfer import TRANSFER_EVENTS
from contracts.events.vault import VAULT_EVENTS
from deploy import client_models, dashboard, metrics_reference, settings_reference
from services.chassis.clock import SystemClock
from services.vault.host import init
from services.vault.settings import VaultSettings

ROOT: Final = Path(__file__).parents[1] / "contracts"
SERVICES: Final = ("vault", "transfer", "audit")
EVENTS: Final[dict[str, tuple[type[Payload], ...]]] = {
    "vault": LANE_EVENTS + VAULT_EVENTS,
    "transfer": LANE_EVENTS + TRANSFER_EVENTS,
    "audit": LANE_EVENTS + AUDIT_EVENTS,
}


def _text(document: Any) -> str:
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def data_schema(payload: type[Payload]) -> dict[str, Any]:
    """The JSON Schema of an event's `data`: the payload and the numbered parties."""
    schema = payload.model_json_schema(by_alias=True)
    schema["properties"]["parties"] = {
        "type": "array",
        "description": "The parties concerned; `pseq` is gapless per lane and party.",
        "items": {
            "type": "object",
            "additionalProperties": False,
            "required": ["party", "pseq"],
            "properties": {
                "party": {"type": "string"},
                "pseq": {"type": "integer", "minimum": 1},
            },
        },
    }
    schema["required"] = sorted({*schema.get("required", []), "parties"})
    return schema


def event_schema(service: str, payload: type[Payload]) -> dict[str, Any]:
    """The JSON Schema of one event document of a service."""
    text = {"type": "string"}
    properties = {
        "specversion": {"const": "1.0"},
        "id": {**text, "description": "<lane>/<seq>"},
        "source": {**text, "pattern": f"^urn:keyturn:[0-9a-z-]+:{service}$"},
        "type": {"const": payload.TYPE},
        "time": {**text, "format": "date-time"},
        "dataclassification": {"const": payload.CLASSIFICATION},
        "lane": {**text, "pattern": "^[0-9a-f]{32}$"},
        "seq": {"type": "integer", "minimum": 1},
        "prev": {**text, "description": "Base64 leaf hash of the previous event."},
        "data": data_schema(payload),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": payload.TYPE,
        "type": "object",
        "additionalProperties": False,
        "required": sorted(properties),
        "properties": properties,
    }


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3.1 document of the three topics."""
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    for service, topic in TOPICS.items():
        names = {}
        for payload in EVENTS[service]:
            name = f"{service}.{payload.TYPE}"
            messages[name] = {
                "name": payload.TYPE,
                "title": payload.TYPE.removeprefix("org.keyturn."),
                "summary": (payload.__doc__ or "").split("\n")[0],
                "contentType": "application/cloudevents+json; charset=UTF-8",
                "headers": {
                    "type": "object",
                    "properties": {
                        "ce_id": {"type": "string"},
                        "ce_specversion": {"type": "string"},
                        "content-type": {"type": "string"},
                        "kt-head": {
                            "type": "string",
                            "description": "On the last event of a group commit: the "
                            "source's Ed25519 signature of its lane's head.",
                        },
                    },
                },
                # AsyncAPI names no newer draft; these schemas mean the same in both,
                # which tests/contract proves.
                "payload": {
                    "schemaFormat": "application/schema+json;version=draft-07",
                    "schema": {"$ref": f"../schemas/{service}/{payload.TYPE}.json"},
                },
            }
            names[payload.TYPE] = {"$ref": f"#/components/messages/{name}"}
        channels[service] = {
            "address": topic,
            "description": f"Written by {service}. The message key is the lane.",
            "messages": names,
            "bindings": {
                "kafka": {"partitions": PARTITIONS, "bindingVersion": "0.5.0"}
            },
        }
        operations[f"{service}.events"] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{service}"},
        }
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "Keyturn events",
            "version": "1",
            "description": "Every access and every step of a handover, as CloudEvents. "
            "The message value is the log's leaf, byte for byte.",
        },
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages},
    }


def openapi() -> Iterator[tuple[str, dict[str, Any]]]:
    """The OpenAPI document of each service, from its own application."""
    with tempfile.TemporaryDirectory() as folder:
        environ = {
            "KEYTURN_STATE_DIR": f"{folder}/state",
            "KEYTURN_KEYS_DIR": f"{folder}/keys",
            "KEYTURN_INSTALLATION": "0000000000000000",
        }
        init(VaultSettings.from_environ(environ), SystemClock())
        for service in SERVICES:
            module = importlib.import_module(f"services.{service}.app")
            yield service, module.openapi(environ)


def documents() -> Iterator[tuple[Path, str]]:
    """Every generated file with its text."""
    yield ROOT / "asyncapi" / "asyncapi.json", _text(asyncapi())
    for service, payloads in EVENTS.items():
        for payload in payloads:
            path = ROOT / "schemas" / service / f"{payload.TYPE}.json"
            yield path, _text(event_schema(service, payload))
    for service, document in openapi():
        yield ROOT / "openapi" / f"{service}.json", _text(document)
        yield client_models.document(service, document)
    yield settings_reference.PATH, settings_reference.text()
    yield metrics_reference.PATH, metrics_reference.text()
    yield dashboard.PATH, dashboard.text()


def main() -> int:
    """Write or compare; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    wrong = []
    for path, text in documents():
        if check:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                wrong.append(path)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for path in wrong:
        print(f"{path.relative_to(ROOT.parent)} is stale: run make contracts")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
