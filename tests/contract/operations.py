# SPDX-License-Identifier: Apache-2.0
"""The operations of each service as its OpenAPI document lists them, and one row each.

A row says how an operation is called rightly, and what becomes of a stranger who calls
it with somebody else's ids. `test_inventory` fails without one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tests.contract.bodies import (
    CONSENT,
    ENTRY,
    NO_ID,
    OBJECTION,
    RECORD,
    STEP,
)
from tests.contract.site import OUTSIDER, TILL, Site

SERVICES = ("vault", "transfer", "audit")
PLAN = "application/vnd.keyturn.plan.v1+json"
FORM = "application/x-www-form-urlencoded"
WHOLE_LOG = "shows the whole installation; only the platform's client holds its scope"
OWN_ONLY = "answers with the caller's own things, whoever calls"


@dataclass(frozen=True)
class Operation:
    """One operation of an OpenAPI document."""

    service: str
    method: str
    path: str
    document: Mapping[str, Any] = field(repr=False)
    item: Mapping[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        return f"{self.service}.{self.item['operationId']}"

    @property
    def scopes(self) -> list[str] | None:
        """The scopes it needs; None if it is public."""
        if not (security := self.item.get("security")):
            return None
        # Only OAuth 2 has a place for scopes; a pasted token has none.
        return [s for one in security for s in one.get("keyturn", ())]

    @property
    def media_type(self) -> str | None:
        return next(iter(self.item.get("requestBody", {}).get("content", {})), None)

    @property
    def body_schema(self) -> dict[str, Any]:
        return self.schema(self.item["requestBody"]["content"][self.media_type]["schema"])  # fmt: skip

    def schema(self, inner: Mapping[str, Any]) -> dict[str, Any]:
        """Return a schema that stands alone, with what it refers to."""
        return {**inner, "components": self.document["components"]}

    def parameters(self, place: str) -> list[Mapping[str, Any]]:
        found = self.item.get("parameters", [])
        return [parameter for parameter in found if parameter["in"] == place]

    def address(self, values: Mapping[str, Any]) -> str:
        """Return its path with `values` put in; each is percent-encoded already."""
        return self.path.format_map({k: str(v) for k, v in values.items()})


def operations(site: Site) -> Iterator[Operation]:
    """Every operation of every service."""
    for service in SERVICES:
        document = site.apps[service].openapi()
        for path, methods in document["paths"].items():
            for method, item in methods.items():
                yield Operation(service, method.upper(), path, document, item)


Body = Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True)
class Row:
    """How an operation is called.

    Attributes:
        right: Who may call it; None for a public operation.
        status: What the right caller is answered, one of these.
        path: Values of the address: literals, or `$name` of the site's values.
        body: A right body, from the site's values.
        fullest: A body with every member, well-formed but perhaps not possible.
        foreign: What a stranger with every scope is answered for the same ids.
        why: Why a stranger is not answered 404.
        random: Path values that name nothing at all.
    """

    right: str | None
    status: tuple[int, ...] = (200,)
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    fullest: Body | None = None
    stranger: str = OUTSIDER
    foreign: tuple[int, ...] = (404,)
    why: str = ""
    random: Mapping[str, str] = field(default_factory=dict)

    def values(self, site: Site, names: Mapping[str, str]) -> dict[str, str]:
        return {
            name: str(site.values[text[1:]]) if text.startswith("$") else text
            for name, text in names.items()
        }

    def content(self, site: Site) -> Any:
        return None if self.body is None else copy.deepcopy(self.body(site.values))

    def every_member(self, site: Site) -> Any:
        body = self.fullest or self.body
        return None if body is None else copy.deepcopy(body(site.values))


_RECORD = {"path": {"id": "$record"}, "random": {"id": NO_ID}}
_DEAL = {"path": {"handover": "$custody"}, "random": {"handover": NO_ID}}
_BATCH = {name: {**ids, "n": "1"} for name, ids in _DEAL.items()}
_COLLISION = {name: {**ids, "position": "1"} for name, ids in _DEAL.items()}
_HANDOVER = {
    "path": {"handover": "$handover"},
    "random": {"handover": NO_ID},
    "stranger": "XO+",
}
_LEAF = {
    "path": {"lane": "$lane", "seq": "$seq"},
    "random": {"lane": "ab" * 16, "seq": "1"},
}
_ETAG = {"If-Match": "$record_etag"}
_PUBLIC = {"foreign": (200,), "why": "public"}
_PAGES = ("describe_service", "list_problems", "livez", "readyz")
_OWN = {"foreign": (200,), "why": OWN_ONLY}
_WHOLE = {"foreign": (200,), "why": WHOLE_LOG}


@cache
def rows() -> Mapping[str, Row]:
    """The row of each operation, by `<service>.<operation id>`."""
    found = {**_vault_rows(), **_custody_rows(), **_transfer_rows(), **_audit_rows()}
    seen = {"size": "1", "root": "sha256:" + "ab" * 32}
    asked, lane = {"party": "seller", **seen}, {"lane": "ab" * 16}
    for service in SERVICES:
        found |= {
            **{f"{service}.{name}": Row(None, **_PUBLIC) for name in _PAGES},
            f"{service}.metrics_text": Row("audit", **_WHOLE),
            f"{service}.describe_problem": Row(
                None, path={"code": "not-found"}, random={"code": "nothing"}, **_PUBLIC
            ),
            f"{service}.read_outbox": Row("audit", query=lane, **_WHOLE),
            f"{service}.read_heads": Row("audit", **_WHOLE),
            f"{service}.read_party_heads": Row("audit", query=asked, **_WHOLE),
            f"{service}.read_own_party_heads": Row("crm", query=seen, **_OWN),
        }
    return found


def _vault_rows() -> dict[str, Row]:
    batch = {
        "all_or_none": True,
        "items": [
            {
                "ref": "a",
                "record": {**RECORD, "external_id": "C-77"},
                "consents": [CONSENT],
                "objections": [OBJECTION],
            }
        ],
    }
    return {
        "vault.issue_token": Row(
            None, (401,), body=lambda v: dict(TOKEN_FORM), foreign=(401,), why="public"
        ),
        "vault.read_jwks": Row(None, **_PUBLIC),
        "vault.read_installation": Row(None, **_PUBLIC),
        "vault.list_officers": Row(
            "SO", path={"party": "seller"}, random={"party": "nobody"}
        ),
        "vault.read_revocations": Row("transfer", **_WHOLE),
        "vault.revoke_officer": Row(
            "SO",
            path={"key_id": "$spare_key"},
            random={"key_id": "ab" * 32},
            stranger="XO+",
        ),
        "vault.read_catalogue": Row(TILL, **_OWN),
        "vault.put_class": Row(
            TILL, path={"name": "basic"}, body=lambda v: {"form": "document"}, **_OWN
        ),
        "vault.put_field": Row(
            TILL,
            path={"name": "city"},
            body=lambda v: {"class": "basic", "kind": "text", "mask": "none"},
            fullest=lambda v: {
                "class": "basic",
                "grade": "general",
                "kind": "text",
                "mask": "none",
                "searchable": False,
                "unique": False,
            },
            foreign=(200, 422),
            why=OWN_ONLY,
        ),
        "vault.create_record": Row(
            TILL,
            (201,),
            body=lambda v: {**RECORD, "external_id": "C-new"},
            foreign=(422,),
            why="writes into the caller's own catalogue, which has no such fields",
        ),
        "vault.batch_records": Row(
            TILL, (207,), body=lambda v: batch, foreign=(207,), why=OWN_ONLY
        ),
        "vault.list_records": Row(TILL, **_OWN),
        "vault.look_up_records": Row(
            TILL,
            body=lambda v: {
                "identifiers": [
                    {"field": "email", "value": "p1@example.org"},
                    {"field": "external_id", "value": "C-1"},
                ]
            },
            foreign=(422,),
            why="searches the caller's own catalogue, which has no such fields",
        ),
        "vault.aggregate_records": Row(
            TILL,
            body=lambda v: {"class": "basic", "measure": "count"},
            fullest=lambda v: {
                "class": "purchases",
                "measure": "sum",
                "field": "amount",
                "group_by": "at.month",
                "period": "2026",
            },
            **_OWN,
        ),
        "vault.resolve_aliases": Row(
            TILL,
            body=lambda v: {"records": [v["record"]], "aliases": [v["alias"]]},
            **_OWN,
        ),
        "vault.read_record": Row(TILL, **_RECORD),
        "vault.read_history": Row(TILL, **_RECORD),
        "vault.append_entries": Row(
            TILL,
            body=lambda v: {"class": "purchases", "entries": [ENTRY]},
            **_RECORD,
        ),
        "vault.put_consent": Row(TILL, body=lambda v: CONSENT, **_RECORD),
        "vault.put_objection": Row(TILL, body=lambda v: OBJECTION, **_RECORD),
        "vault.patch_record": Row(
            TILL,
            (200, 412),
            headers=_ETAG,
            body=lambda v: {
                "tags": ["vip"],
                "documents": {"basic": {"city": "Musterstadt"}},
            },
            **_RECORD,
        ),
        "vault.erase_record": Row(
            TILL,
            headers={
                "If-Match": "$erasable_etag",
                "Keyturn-Purpose": "rights_request",
            },
            path={"id": "$erasable"},
            random={"id": NO_ID},
        ),
    }


TOKEN_FORM = {
    "grant_type": "client_credentials",
    "scope": "records:read",
    "client_id": TILL,
    "client_secret": "not the secret of this client at all",
}


def _custody_rows() -> dict[str, Row]:
    transfer: dict[str, Any] = {"right": "transfer", **_DEAL}
    batch: dict[str, Any] = {"right": "transfer", **_BATCH}
    approvals, both = {"approvals": True}, {"approvals": True, "releases": True}
    merge = {"decision": "merge", "keep": NO_ID}

    def signed(names: Mapping[str, bool]) -> Body:
        return lambda v: {name: v[name] for name in names}

    return {
        "vault.lodge_plan": Row(body=lambda v: v["plan"], **transfer),
        "vault.freeze_scope": Row(status=(202,), body=signed(approvals), **transfer),
        "vault.read_custody": Row(**transfer),
        "vault.read_decision": Row(**transfer),
        "vault.list_decision_rows": Row("SC", **_DEAL),
        "vault.put_mandate": Row(body=signed(both), **transfer),
        "vault.list_batches": Row(**transfer),
        "vault.execute_batch": Row(body=lambda v: {"digest": v["digest"]}, **batch),
        "vault.verify_batch": Row(status=(200, 409), **batch),
        "vault.back_up": Row(status=(202, 409), **transfer),
        "vault.list_collisions": Row("BC", (409,), **_DEAL),  # it did not turn
        "vault.settle_collision": Row("BC", (409,), body=lambda _: merge, **_COLLISION),
        "vault.turn_custody": Row(status=(200, 409), **transfer),
        "vault.cancel_custody": Row(status=(202, 409), **transfer),
        "vault.revoke_custody": Row(status=(202, 409), **transfer),
        "vault.thaw_custody": Row(status=(202, 409), **transfer),
    }


def _transfer_rows() -> dict[str, Row]:
    reads = ("get_handover", "get_history", "get_report", "get_documents")
    papers = ("get_plan", "get_scope")
    new = {
        "seller": "seller",
        "buyer": "buyer",
        "reviewer": "stranger",
        "deal_type": "asset_sale",
        "path": "separate_consent",
        "note": "a note",
    }
    path = {"handover": "$handover", "event": "submit"}
    return {
        "transfer.create_handover": Row(
            "SO",
            (201,),
            headers={"Idempotency-Key": "a-second-one"},
            body=lambda v: new,
            stranger="XO+",
            foreign=(403,),
            why="names the seller in its body; only the seller's owner may",
        ),
        "transfer.list_handovers": Row("SO", stranger="XO+", **_OWN),
        **{f"transfer.{name}": Row("SO", **_HANDOVER) for name in reads},
        **{
            f"transfer.{name}": Row("SO", (200, 404, 409), **_HANDOVER)
            for name in papers
        },
        "transfer.follow_handover": Row("SO", **_HANDOVER),
        "transfer.act_on_handover": Row(
            "SO",
            body=lambda v: {},
            fullest=lambda v: STEP,
            path=path,
            random={**path, "handover": NO_ID},
            stranger="XO+",
        ),
    }


def _audit_rows() -> dict[str, Row]:
    tile = {"level": "0", "place": "000.p/1"}
    return {
        "audit.read_checkpoint": Row(None, **_PUBLIC),
        "audit.read_tile": Row(
            None, path=tile, random={"level": "0", "place": "x999/999"}, **_PUBLIC
        ),
        "audit.read_bundle": Row(
            "audit",
            path={"place": "000.p/1"},
            random={"place": "x999/999"},
            foreign=(403,),
            why="bundles are of the whole log, for the installation's own people",
        ),
        "audit.read_lanes": Row("audit", foreign=(403,), why="how busy all are"),
        "audit.read_lane_end": Row(
            None, path={"lane": "$lane"}, random={"lane": "ab" * 16}, **_PUBLIC
        ),
        "audit.read_alerts": Row("crm", foreign=(200,), why="codes, no content"),
        "audit.find_events": Row("crm", **_OWN),
        "audit.read_event": Row("crm", **_LEAF),
        "audit.read_proof": Row("crm", **_LEAF),
        "audit.follow_log": Row("crm", query={"from": "0"}, **_OWN),
        "audit.export_log": Row("crm", body=lambda v: {"handover": NO_ID}, **_OWN),
    }
