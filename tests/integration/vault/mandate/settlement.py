# SPDX-License-Identifier: Apache-2.0
"""A deal after its turn, seen from the buyer: what arrived, and what collides."""

from dataclasses import dataclass
from typing import Any

import httpx
from sqlalchemy import select

from services.vault.custody.tables import index_entry
from tests.integration.vault.mandate.deal import Deal
from tests.integration.vault.records.shop import JANE, Crm

EMAIL = JANE["documents"]["basic"]["email"]
OWN: dict[str, Any] = {
    "external_id": "E-7",
    "tags": ["regular"],
    "documents": {"basic": {"name": "J. Quillfeather", "email": EMAIL}},
    "entries": {
        "purchases": [
            {"entry_id": "o-1", "at": "2026-01-05T10:00:00Z", "product": "Kanne"}
        ]
    },
}


@dataclass
class Turned:
    """A deal that turned; the buyer's compliance officer decides."""

    deal: Deal
    officer: Crm

    @property
    def path(self) -> str:
        return f"{self.deal.path}/collisions"

    async def listed(self, query: str = "") -> list[dict[str, Any]]:
        answer = await self.officer.send("GET", self.path + query)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def settle(
        self, keep: str, decision: str = "merge", position: int = 1
    ) -> httpx.Response:
        body = {"decision": decision, "keep": keep}
        return await self.officer.send("POST", f"{self.path}/{position}:settle", body)

    async def found(self, field: str = "email", value: str = EMAIL) -> list[str]:
        body = {"identifiers": [{"field": field, "value": value}]}
        answer = await self.deal.shop.buyer.send("POST", "/v1/records/lookup", body)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"][0]["records"])

    async def shown(self, record: str) -> dict[str, Any]:
        answer = await self.deal.shop.buyer.read(record)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


async def officer_of(deal: Deal, role: str = "BC") -> Crm:
    return Crm(deal.vault, await deal.vault.as_officer(getattr(deal.people, role)))


async def turned(deal: Deal, *sold: dict[str, Any]) -> Turned:
    """Hand customers over, settle, and return the buyer's view."""
    for one in sold or (JANE,):
        await deal.consent(await deal.shop.seller.create(one))
    await deal.turned()
    await deal.room.settled()
    return Turned(deal, await officer_of(deal))


async def slots(deal: Deal, party: str = "buyer") -> dict[tuple[str, str], list[str]]:
    """Return (arrived_by, slot is unique) of e-mail entries, by record."""

    def look(connection: Any) -> dict[tuple[str, str], list[str]]:
        found: dict[tuple[str, str], list[str]] = {}
        for row in connection.execute(
            select(index_entry).where(
                index_entry.c.party == party, index_entry.c.field == "email"
            )
        ):
            kind = "unique" if row.unique_slot == "" else "beside"
            arrived = "arrived" if row.arrived_by else "native"
            found.setdefault((arrived, kind), []).append(row.record)
        return {key: sorted(records) for key, records in found.items()}

    return await deal.vault.rooms.changes.read(look)
