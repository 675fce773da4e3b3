# SPDX-License-Identifier: Apache-2.0
"""A seller's and a buyer's CRM at a running vault, and what they send."""

from dataclasses import dataclass
from typing import Any

import httpx

from contracts.officers import OfficerRole
from contracts.purposes import GIVEN, Purpose
from contracts.scopes import Scope
from tests.integration.vault.house import House, Vault

CLASSES = {"basic": "document", "habits": "document", "purchases": "entries"}
FIELDS: dict[str, dict[str, Any]] = {
    "name": {"class": "basic", "kind": "name"},
    "email": {"class": "basic", "kind": "email", "searchable": True, "unique": True},
    "phone": {"class": "basic", "kind": "phone", "searchable": True},
    "city": {"class": "basic", "kind": "text", "mask": "none"},
    "illness": {"class": "habits", "kind": "text", "grade": "sensitive"},
    "favourite": {"class": "habits", "kind": "text"},
    "product": {"class": "purchases", "kind": "text", "mask": "none"},
    "amount": {"class": "purchases", "kind": "amount"},
}
SCOPES = [
    Scope.CATALOGUE_READ,
    Scope.CATALOGUE_WRITE,
    Scope.RECORDS_APPEND,
    Scope.RECORDS_CREATE,
    Scope.RECORDS_ERASE,
    Scope.RECORDS_LIST,
    Scope.RECORDS_LOOKUP,
    Scope.RECORDS_PATCH,
    Scope.RECORDS_READ,
    Scope.CONSENTS_WRITE,
    Scope.OBJECTIONS_WRITE,
    Scope.ALIASES_RESOLVE,
]
JANE: dict[str, Any] = {
    "external_id": "C-1001",
    "tags": ["vip"],
    "documents": {
        "basic": {
            "name": "Jane Quillfeather",
            "email": "jane.quillfeather@example.org",
            "phone": "+49 171 1234567",
            "city": "Musterhausen",
        },
        "habits": {"favourite": "Zimtschnecken"},
    },
    "entries": {
        "purchases": [
            {
                "entry_id": "o-1",
                "at": "2025-12-31T23:30:00Z",
                "product": "Teekessel Modell Rotkehlchen",
                "amount": "12.50",
            }
        ]
    },
}


def enrol(house: House) -> None:
    for party, client in (("seller", "crm"), ("buyer", "erp")):
        house.party(party)
        house.client(
            party,
            client,
            SCOPES,
            GIVEN,
            Purpose.CUSTOMER_SERVICE,
        )
    house.client("seller", "narrow", SCOPES, [Purpose.INVOICING])


@dataclass
class Crm:
    """One client's side of the wire."""

    vault: Vault
    headers: dict[str, str]

    async def send(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.vault.http.request(
            method,
            path,
            headers={**self.headers, **named},
            **({} if body is None else {"json": body}),
        )

    async def create(self, record: dict[str, Any]) -> str:
        answer = await self.send("POST", "/v1/records", record)
        assert answer.status_code in {200, 201}, answer.text
        return str(answer.json()["id"])

    async def read(self, id_: str, **headers: str) -> httpx.Response:
        return await self.send("GET", f"/v1/records/{id_}", **headers)


@dataclass
class Shop:
    """Seller and buyer at one vault."""

    vault: Vault
    seller: Crm
    buyer: Crm
    narrow: Crm

    async def officer(self, party: str, role: OfficerRole) -> Crm:
        person = self.vault.house.officer(party, f"{role.value}-person", role)
        return Crm(self.vault, await self.vault.as_officer(person))


async def open_shop(vault: Vault) -> Shop:
    shop = Shop(
        vault,
        Crm(vault, await vault.as_client("crm")),
        Crm(vault, await vault.as_client("erp")),
        Crm(vault, await vault.as_client("narrow")),
    )
    for crm in (shop.seller, shop.buyer):
        for name, form in CLASSES.items():
            answer = await crm.send(
                "PUT", f"/v1/catalogue/classes/{name}", {"form": form}
            )
            assert answer.status_code == 200, answer.text
        for name, field in FIELDS.items():
            answer = await crm.send("PUT", f"/v1/catalogue/fields/{name}", field)
            assert answer.status_code == 200, answer.text
    return shop


def person(number: int) -> dict[str, Any]:
    """A further customer, unlike every other."""
    return {
        "external_id": f"C-{number}",
        "documents": {
            "basic": {"name": f"Person {number}", "email": f"p{number}@example.org"}
        },
    }
