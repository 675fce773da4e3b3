# SPDX-License-Identifier: Apache-2.0
"""Three services as one person's desk sees them, over `httpx.MockTransport`.

The fake is honest by default: it serves a real plan, a real decision and a real log.
A test bends one answer and sees who notices.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from contracts.custody.decision import (
    DecisionRow,
    decision_root,
    summarise,
    summary_bytes,
)
from contracts.custody.plan import canonical_bytes, plan_hash
from contracts.officers import KeyPair, OfficerFile, OfficerRole
from services.cli.http import Api
from services.cli.papers import Desk
from tests.fakes.evidence import SIGNER, honest_entries, write_log
from tests.unit.contracts.custody.factories import (
    BC,
    HANDOVER,
    SC,
    SECRET,
    Signer,
    plan_of,
    release,
)

__all__ = ["HANDOVER"]

INSTALLATION = "inst-1"
ENTRIES = honest_entries(1_000)


def officer(
    role: str = "compliance", party: str = "seller-co", person: str = "sc-1"
) -> OfficerFile:
    login, sign = KeyPair(bytes([1] * 32)), KeyPair(bytes([2] * 32))
    return OfficerFile(INSTALLATION, party, person, OfficerRole(role), login, sign)


def rows(count: int = 5) -> list[DecisionRow]:
    return [
        DecisionRow(
            position=n,
            record=f"record-{n}",
            new_record=f"new-{n}",
            class_="basic",
            volume="0",
            version=f"version-{n}",
            outcome="transfer" if n else "excluded",
            rule="line-1/transfer" if n else "line-1/objection",
            reason="eligible" if n else "objected",
        )
        for n in range(count)
    ]


@dataclass
class Deal:
    """What the services answer; `posted` is what they were sent."""

    log: Path
    plan: bytes = field(default_factory=lambda: canonical_bytes(plan_of()))
    scope: bytes = b'{"classes":["basic"]}'
    shown: dict[str, Any] = field(default_factory=dict)
    decided: dict[str, Any] = field(default_factory=dict)
    posted: list[tuple[str, Any]] = field(default_factory=list)
    releases: list[dict[str, Any]] = field(default_factory=list)
    compliance: tuple[Signer, ...] = (SC, BC)
    hidden: bool = False

    def __post_init__(self) -> None:
        write_log(self.log, ENTRIES[:300])
        self.shown = {
            "id": HANDOVER,
            "state": "approval",
            "seller": "seller-co",
            "buyer": "buyer-co",
            "reviewer": "law-firm",
            "deal_type": "asset_sale",
            "path": "separate_consent",
            "plan_hash": plan_hash(self.plan),
            "waiting_for": ["SC"],
            "signed": ["approve:SO"],
            "to_sign": [
                {
                    "event": "approve",
                    "kind": "approval",
                    "subject": plan_hash(self.plan),
                    "roles": ["BC", "BO", "SC"],
                }
            ],
        }
        summary = summarise(rows(), SECRET)
        self.decided = {
            "installation": INSTALLATION,
            "handover": HANDOVER,
            "plan_hash": plan_hash(self.plan),
            "snapshot_id": "snap-1",
            "as_of": "2018-01-31",
            "decision_root": decision_root(summary),
            "counts": json.loads(summary_bytes(summary)),
            "folios": 5,
        }

    def desk(self, who: OfficerFile, pin: Path, log_key: str | None) -> Desk:
        return Desk(
            officer=who,
            vault=Api("http://vault", transport=httpx.MockTransport(self.vault)),
            transfer=Api(
                "http://transfer", transport=httpx.MockTransport(self.transfer)
            ),
            audit=Api("http://audit", transport=httpx.MockTransport(self.audit)),
            pin=pin,
            log_key=log_key,
        )

    def vault(self, request: httpx.Request) -> httpx.Response:
        for who in self.compliance:
            if request.url.path == f"/v1/parties/{who.key.party}/officers":
                return httpx.Response(200, json={"items": [_listed(who)]})
        if self.hidden:
            return not_found()
        assert request.url.path == f"/v1/custody/{HANDOVER}/decision"
        return httpx.Response(200, json=self.decided)

    def transfer(self, request: httpx.Request) -> httpx.Response:
        base = f"/v1/handovers/{HANDOVER}"
        if request.method == "POST":
            self.posted.append((request.url.path, json.loads(request.content)))
            return httpx.Response(200, json=self.shown)
        match request.url.path.removeprefix(base):
            case "":
                return httpx.Response(200, json=self.shown)
            case "/plan":
                return httpx.Response(200, content=self.plan)
            case "/documents":
                return httpx.Response(200, json={"items": self.releases})
            case "/scope":
                return httpx.Response(200, content=self.scope)
            case _:
                return not_found()

    def audit(self, request: httpx.Request) -> httpx.Response:
        path = self.log / "log" / request.url.path.lstrip("/")
        if not path.is_file():
            return not_found()
        return httpx.Response(200, content=path.read_bytes())

    @property
    def log_key(self) -> str:
        return SIGNER.vkey

    def released_by(self, who: Signer, **changed: Any) -> None:
        """Let somebody sign the decision; transfer shows it from then on."""
        said = {
            "snapshot_id": "snap-1",
            "decision_root": self.decided["decision_root"],
            **changed,
        }
        envelope = json.loads(release(who, plan_of(), **said))
        item = {"kind": "release", "key_id": who.key.key_id, "envelope": envelope}
        self.releases.append(item)


def _listed(who: Signer) -> dict[str, Any]:
    return {
        "key_id": who.key.key_id,
        "party": who.key.party,
        "person": who.key.person,
        "role": "compliance",
        "use": "sign",
        "public_key": base64.b64encode(who.key.public_key).decode(),
        "revoked": False,
    }


def not_found() -> httpx.Response:
    problem = {"code": "not-found", "detail": "There is nothing here.", "status": 404}
    return httpx.Response(404, json=problem)
