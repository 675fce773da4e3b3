# SPDX-License-Identifier: Apache-2.0
"""Fake of the vault's custody contract over HTTP, as transfer calls it.

It believes signatures only and keeps the contract's promises: every call repeated
gives the first answer, a batch with another digest is refused, no turn while a batch
is unverified. It notices abuse and can be away, slow, or lose an answer after the
effect. Officers' keys, tokens and the issuer's keys come from here too.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
from joserfc.jwk import OKPKey

from contracts import base64text
from contracts.custody.decision import (
    DecisionRow,
    FrozenDecision,
    decision_root,
    summarise,
    summary_bytes,
)
from contracts.custody.mandate import MandateRefused, check_approvals, check_mandate
from contracts.custody.officers import OfficerKey
from contracts.custody.plan import parse_plan, plan_hash

Handler = Callable[["Custody", dict[str, Any]], tuple[int, dict[str, Any]]]
SECRET = bytes(range(32))
PER_BATCH = 4


class Refused(Exception):  # noqa: N818 - an answer
    def __init__(self, status: int, code: str, reason: str = "") -> None:
        self.status, self.code, self.reason = status, code, reason


@dataclass
class Custody:
    """One handover at the vault."""

    plan: bytes = b""
    state: str = "planned"
    snapshot: str = ""
    as_of: str = ""
    polls: int = 0
    rows: list[DecisionRow] = field(default_factory=list)
    backup: dict[str, Any] = field(default_factory=lambda: {"state": "none"})
    executed: dict[int, dict[str, Any]] = field(default_factory=dict)
    verified: set[int] = field(default_factory=set)
    dropped: set[int] = field(default_factory=set)

    def moving(self) -> list[DecisionRow]:
        return [row for row in self.rows if row.outcome == "transfer"]

    def batches(self) -> list[dict[str, Any]]:
        moving = self.moving()
        slices = [moving[i : i + PER_BATCH] for i in range(0, len(moving), PER_BATCH)]
        return [
            {
                "n": n,
                "folios": len(part),
                "digest": plan_hash(repr([row.position for row in part]).encode()),
            }
            for n, part in enumerate(slices, start=1)
        ]

    def decision(self) -> FrozenDecision:
        summary = summarise(self.rows, SECRET)
        return FrozenDecision(
            self.snapshot, decision_root(summary), summary.counts(), self.as_of
        )


class CustodyVault:
    """The vault, as far as transfer sees it.

    Attributes:
        calls: How often each route was called.
        turns: How often custody really turned; more than one per handover is abuse.
    """

    def __init__(self, installation: str, now: Callable[[], datetime]) -> None:
        self.installation = installation
        self.now = now
        self.issuer = OKPKey.generate_key("Ed25519", {"use": "sig"}, auto_kid=True)
        self.officers: list[OfficerKey] = []
        self.revocations: list[dict[str, Any]] = []
        self.roles: dict[str, str] = {}
        self.custodies: dict[str, Custody] = {}
        self.calls: Counter[str] = Counter()
        self.turns: Counter[str] = Counter()
        self.inventory: dict[str, list[tuple[str, str]]] = {
            "basic": [("transfer", "eligible")] * 7 + [("excluded", "objected")] * 2,
            "purchases": [("transfer", "eligible")] * 6 + [("held", "consent")],
        }
        self.faults: list[Callable[[str, str], httpx.Response | None]] = []
        self.lost_answers: list[str] = []
        self.counts_lie = 0
        self.root_lies = False
        self.drills: list[str] = []
        self.after: Callable[[str, str], None] = lambda _method, _path: None

    # --- faults -------------------------------------------------------------------

    def away_once(self, pattern: str, times: int = 1) -> None:
        """Answer 503 to the next calls of a path."""
        left = [times]

        def fault(_method: str, path: str) -> httpx.Response | None:
            if left[0] and re.search(pattern, path):
                left[0] -= 1
                return httpx.Response(503, json={"code": "busy"})
            return None

        self.faults.append(fault)

    def refuse(self, pattern: str, status: int, code: str) -> None:
        """Refuse every call of a path."""

        def fault(_method: str, path: str) -> httpx.Response | None:
            if re.search(pattern, path):
                return httpx.Response(status, json={"code": code})
            return None

        self.faults.append(fault)

    # --- HTTP ---------------------------------------------------------------------

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.MockTransport(self.handle), base_url="http://vault.test"
        )

    def handle(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.calls[f"{request.method} {_shape(path)}"] += 1
        for fault in self.faults:
            answer = fault(request.method, path)
            if answer is not None:
                return answer
        try:
            status, body = self._route(request, path)
        except Refused as refused:
            members = {"code": refused.code, "reason": refused.reason}
            return httpx.Response(refused.status, json=members)
        self.after(request.method, path)
        for pattern in self.lost_answers:
            if re.search(pattern, path):
                self.lost_answers.remove(pattern)
                raise httpx.ReadTimeout("the answer was lost", request=request)
        return httpx.Response(status, json=body)

    def _route(self, request: httpx.Request, path: str) -> tuple[int, dict[str, Any]]:
        if path == "/v1/token":
            return 200, {"access_token": "t", "token_type": "Bearer", "expires_in": 600}
        if path == "/v1/jwks":
            return 200, {"keys": [self.issuer.as_dict(private=False)]}
        if match := re.fullmatch(r"/v1/parties/([a-z0-9-]+)/officers", path):
            return 200, {"items": self._officers(match[1])}
        assert request.headers["authorization"] == "Bearer t"
        if path == "/v1/revocations":
            return 200, {"items": self.revocations}
        match = re.fullmatch(r"/v1/custody/([0-9a-f-]{36})(.*)", path)
        assert match is not None, path
        rest = match[2]
        if rest == "/plan":
            return self._plan(match[1], request.content)
        custody = self.custodies.get(match[1])
        if custody is None:
            raise Refused(404, "not-found")
        body = json.loads(request.content) if request.content else {}
        if found := re.fullmatch(r"/batches/(\d+)(:verify)?", rest):
            act = self._verify if found[2] else self._execute
            return act(custody, int(found[1]), body)
        routes: dict[str, Handler] = {
            "": self._status,
            "/snapshot": self._snapshot,
            "/decision": self._decision,
            "/backup": self._backup,
            "/mandate": self._mandate,
            ":turn": self._turn,
            ":cancel": self._cancel,
        }
        if rest == "/batches":
            return self._batches(custody, dict(request.url.params))
        return routes[rest](custody, body)

    # --- the contract -------------------------------------------------------------

    def _officers(self, party: str) -> list[dict[str, Any]]:
        if party not in {key.party for key in self.officers}:
            raise Refused(404, "not-found")
        return [
            {
                "key_id": key.key_id,
                "party": key.party,
                "person": key.person,
                "role": self.roles[key.key_id],
                "use": key.use,
                "public_key": base64text.encode(key.public_key),
                "revoked": key.revoked_at is not None,
            }
            for key in self.officers
            if key.party == party
        ]

    def _plan(self, handover: str, raw: bytes) -> tuple[int, dict[str, Any]]:
        plan = parse_plan(raw)
        assert plan.handover == handover
        custody = self.custodies.get(handover)
        if custody is None:
            self.custodies[handover] = Custody(plan=raw)
            return 201, {"plan_hash": plan_hash(raw)}
        if custody.plan != raw and custody.snapshot:
            raise Refused(409, "state-conflict", "snapshot-exists")
        custody.plan = raw
        return 200, {"plan_hash": plan_hash(raw)}

    def _snapshot(self, custody: Custody, body: dict[str, Any]) -> Any:
        if custody.state != "planned":
            raise Refused(409, "state-conflict", custody.state)
        plan = parse_plan(custody.plan)
        try:
            check_approvals(plan, body["approvals"], self.officers, self.now())
        except MandateRefused as refused:
            raise Refused(403, "mandate-refused", refused.code.value) from refused
        custody.snapshot = f"snapshot-{plan.handover[-4:]}"
        custody.as_of = plan.as_of or self.now().date().isoformat()
        position = 0
        for name in plan.classes:
            for index, (outcome, reason) in enumerate(self.inventory.get(name, [])):
                custody.rows.append(
                    DecisionRow(
                        position, f"r{index}", f"n{index}", name, "0",
                        f"v{position}", outcome, "line-1/rule", reason,
                    )
                )  # fmt: skip
                position += 1
        custody.state = "deciding"
        return 202, {"snapshot_id": custody.snapshot, "state": custody.state}

    def _status(self, custody: Custody, _body: dict[str, Any]) -> Any:
        custody.polls += 1
        if custody.state == "deciding" and custody.polls % 2 == 0:
            custody.state = "decided"
        if custody.state == "cancelling" and custody.polls % 2 == 0:
            custody.state = "cancelled"
        if custody.backup["state"] == "running":
            drill = self.drills.pop(0) if self.drills else "passed"
            custody.backup = {
                "state": drill,
                "digest": plan_hash(b"b"),
                "folios": 9,
                "drill": drill,
            }
        return 200, {
            "state": custody.state,
            "plan_hash": plan_hash(custody.plan),
            "snapshot_id": custody.snapshot or None,
            "as_of": custody.as_of or None,
            "batches": {"total": len(custody.batches())},
            "backup": custody.backup,
        }

    def _decision(self, custody: Custody, _body: dict[str, Any]) -> Any:
        summary = summarise(custody.rows, SECRET)
        root = decision_root(summary)
        return 200, {
            "plan_hash": plan_hash(custody.plan),
            "snapshot_id": custody.snapshot,
            "as_of": custody.as_of,
            "decision_root": plan_hash(b"lie") if self.root_lies else root,
            "counts": json.loads(summary_bytes(summary)),
            "folios": len(custody.rows),
        }

    def _backup(self, custody: Custody, _body: dict[str, Any]) -> Any:
        custody.backup = {"state": "running"}
        return 202, {}

    def _mandate(self, custody: Custody, body: dict[str, Any]) -> Any:
        if custody.state not in {"decided", "mandated"}:
            raise Refused(409, "state-conflict", custody.state)
        try:
            check_mandate(
                parse_plan(custody.plan),
                body["approvals"],
                body["releases"],
                self.officers,
                custody.decision(),
                self.now(),
            )
        except MandateRefused as refused:
            raise Refused(403, "mandate-refused", refused.code.value) from refused
        custody.state = "mandated"
        return 200, {}

    def _batches(self, custody: Custody, query: dict[str, str]) -> Any:
        first = int(query.get("cursor", "0"))
        found = custody.batches()
        more = first + 2 < len(found)  # two a page, so that paging is tried
        return 200, {
            "items": found[first : first + 2],
            "next_cursor": str(first + 2) if more else None,
        }

    def _execute(self, custody: Custody, n: int, body: dict[str, Any]) -> Any:
        if custody.state != "mandated":
            raise Refused(409, "state-conflict", custody.state)
        batch = custody.batches()[n - 1]
        if body["digest"] != batch["digest"]:
            raise Refused(409, "batch-digest-mismatch")
        custody.executed.setdefault(n, {**batch, "dropped": 0})
        return 200, custody.executed[n]

    def _verify(self, custody: Custody, n: int, _body: dict[str, Any]) -> Any:
        if custody.state != "mandated" or n not in custody.executed:
            raise Refused(409, "state-conflict", custody.state)
        custody.verified.add(n)
        return 200, {"n": n, "folios": custody.executed[n]["folios"]}

    def _turn(self, custody: Custody, _body: dict[str, Any]) -> Any:
        handover = parse_plan(custody.plan).handover
        if custody.state != "turned":
            if custody.state != "mandated":
                raise Refused(409, "state-conflict", custody.state)
            if len(custody.verified) < len(custody.batches()):
                raise Refused(409, "turn-refused", "unverified")
            custody.state = "turned"
            self.turns[handover] += 1
        counts: dict[str, Any] = {}
        for row in custody.rows:
            outcome, reason = row.outcome, row.reason
            if row.position in custody.dropped:
                outcome, reason = "excluded", "withdrawn"
            reasons = counts.setdefault(row.class_, {}).setdefault(outcome, {})
            reasons[reason] = reasons.get(reason, 0) + 1
        if self.counts_lie:
            counts["basic"]["transfer"]["eligible"] -= self.counts_lie
        return 200, {
            "handover": handover,
            "turned_at": "2026-11-24T10:00:00.000Z",
            "counts": counts,
        }

    def _cancel(self, custody: Custody, _body: dict[str, Any]) -> Any:
        if custody.state == "turned":
            raise Refused(409, "state-conflict", "turned")
        if custody.state != "cancelled":
            custody.state = "cancelling"
        return 202, {}


def _shape(path: str) -> str:
    return re.sub(r"/\d+", "/N", re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "H", path))
