# SPDX-License-Identifier: Apache-2.0
"""Two companies' systems at work: what they try, and what they are told.

A client tries again only what it may: a create and an append under their
`Idempotency-Key`, a patch from an etag that it has read anew.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from deploy.bench.people import customer as made_customer
from deploy.demo.office import Office
from deploy.demo.people_of_the_deal import BUYER, BUYER_CRM, SELLER_CRM
from services.chassis.clock import uuid7
from services.cli.http import Refused
from tests.crash.checking.history import ACKNOWLEDGED, REFUSED, UNKNOWN, Attempt
from tests.crash.cycles.recorder import Recorder

TIMEOUT_SECONDS: Final = 5.0
TRIES: Final = 4
MAX_CUSTOMERS: Final = 30  # of each client: the end reads every one of them
CRM: Final = {"seller": SELLER_CRM, "buyer": BUYER_CRM}
#: What a client does next, and how often.
ACTS: Final = {
    "create": 8,
    "patch": 22,
    "append": 30,
    "read": 32,
    "consent": 5,
    "object": 2,
}
GIVEN_AT: Final = "2018-01-10T09:00:00.000Z"
OBJECTED_AT: Final = "2018-01-15T09:00:00.000Z"
EVIDENCE: Final = "sha256:" + "0" * 64
#: Errors before a byte of the request has left.
NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass
class Known:
    """A customer as its system knows it: the etag it read last, 0 where it must."""

    external_id: str
    record: str
    etag: int


@dataclass
class Shelf:
    """The customers that the clients of one party share."""

    party: str
    customers: list[Known] = field(default_factory=list)


class LoadClient:
    """One system: sequential, in a thread of its own."""

    def __init__(
        self, nth: int, shelf: Shelf, office: Office, recorder: Recorder, seed: str
    ) -> None:
        self.name = f"{shelf.party}-{nth}"
        self.shelf = shelf
        self._recorder = recorder
        self._office = office
        self._chance = random.Random(f"{seed}:{self.name}")
        self._made = 0
        self._number = 0
        self._first = 1_000_000 * nth  # no two clients make the same customer
        self._http = self._client()

    def work(self, stop: threading.Event, pause: float) -> None:
        """Try one thing after the other until told to stop."""
        while not stop.is_set():
            self.act()
            stop.wait(self._chance.uniform(0, 2 * pause))
        self._http.close()

    def act(self) -> None:
        """Try one thing; the first ones are creates, so that there is something."""
        known = self.shelf.customers
        if len(known) < 3:
            self.create()
            return
        act = self._chance.choices(list(ACTS), list(ACTS.values()))[0]
        one = self._chance.choice(known)
        if act == "create":
            if self._made < MAX_CUSTOMERS:
                self.create()
        elif act == "patch":
            self._patch(one)
        elif act == "append":
            self._append(one)
        elif act == "read":
            self._read(one)
        elif self.shelf.party == "seller":
            self._file(one, act)

    # --- what it does ------------------------------------------------------------

    def create(self) -> None:
        """Create a customer; where the answer is lost, again under the same key."""
        self._made += 1
        item = made_customer(self._first + self._made, 0, habits=self._made % 3 == 0)
        record = item["record"]
        town = self._new("town")
        record["documents"]["basic"]["city"] = town
        number, key = record["external_id"], str(uuid7())
        for _ in range(TRIES):
            told = self._try(
                "create",
                number,
                lambda: self._send("POST", "/v1/records", record, key=key),
                value=town,
            )
            if told.acknowledged:
                self.shelf.customers.append(Known(number, told.record, told.etag))
                if self.shelf.party == "seller" and self._chance.random() < 0.7:
                    self._file(self.shelf.customers[-1], "consent")
                return
            if told.outcome == REFUSED and told.status:
                return

    def _patch(self, one: Known) -> None:
        if not one.etag and not self._read(one).acknowledged:
            return
        base, town = one.etag, self._new("town")
        body = {"documents": {"basic": {"city": town}}}
        told = self._try(
            "patch",
            one.external_id,
            lambda: self._send("PATCH", f"/v1/records/{one.record}", body, base=base),
            value=town,
            base=base,
        )
        one.etag = told.etag if told.acknowledged else 0

    def _append(self, one: Known) -> None:
        entry, key = self._new("entry"), str(uuid7())
        bought = {
            "entry_id": entry,
            "at": f"2017-{self._chance.randrange(1, 13):02d}-11T10:00:00Z",
            "product": "DISH SOAP",
            "quantity": 1,
            "amount": "3.99",
        }
        body = {"class": "purchases", "entries": [bought]}
        again = False
        for _ in range(TRIES):
            told = self._try(
                "append",
                one.external_id,
                lambda: self._send(
                    "POST", f"/v1/records/{one.record}/entries", body, key=key
                ),
                value=entry,
                again=again,
            )
            one.etag = 0
            if told.outcome == REFUSED and told.status:
                return
            if told.acknowledged:
                if again or self._chance.random() < 0.9:
                    return
                again = True  # the network lost the answer on its way, say

    def _read(self, one: Known) -> Attempt:
        path = f"/v1/records/{one.record}"
        told = self._try("read", one.external_id, lambda: self._send("GET", path))
        if told.acknowledged:
            one.etag = told.etag
        return told

    def _file(self, one: Known, act: str) -> None:
        if act == "consent":
            kind, path = "consent", f"/v1/records/{one.record}/consents"
            body: dict[str, Any] = {
                "kind": "separate",
                "recipient": BUYER,
                "classes": ["basic", "habits", "purchases"],
                "given_at": GIVEN_AT,
                "evidence_sha256": EVIDENCE,
            }
        else:
            kind, path = "objection", f"/v1/records/{one.record}/objections"
            body = {"recipient": BUYER, "objected_at": OBJECTED_AT}
        self._try(kind, one.external_id, lambda: self._send("PUT", path, body))
        one.etag = 0

    # --- how it is told ------------------------------------------------------------

    def _try(
        self,
        kind: str,
        customer: str,
        send: Callable[[], httpx.Response],
        **written: Any,
    ) -> Attempt:
        begun = time.monotonic()
        answer: httpx.Response | None = None
        try:
            answer = send()
            outcome = _outcome(answer)
        except NOT_SENT:
            outcome = REFUSED
        except Refused:  # the login; the request was never made
            outcome = REFUSED
        except httpx.HTTPError:
            outcome = UNKNOWN
        shown = _shown(kind, answer) if outcome == ACKNOWLEDGED else {}
        attempt = Attempt(
            client=self.name,
            party=self.shelf.party,
            kind=kind,
            begun=begun,
            ended=time.monotonic(),
            outcome=outcome,
            customer=customer,
            status=0 if answer is None else answer.status_code,
            event="" if answer is None else answer.headers.get("Audit-Event", ""),
            **written,
            **shown,
        )
        self._recorder.note(attempt)
        if answer is None or answer.status_code in {401, 503}:
            time.sleep(0.05)
        if answer is not None and answer.status_code == 401:
            self._http.close()
            self._http = self._client()  # log in anew: the clock may have jumped
        return attempt

    def _send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        base: int | None = None,
    ) -> httpx.Response:
        headers = {"Keyturn-Purpose": "customer_service"}
        if key is not None:
            headers["Idempotency-Key"] = key
        if base is not None:
            headers["If-Match"] = f'"{base}"'
        return self._http.request(method, path, json=body, headers=headers)

    def _client(self) -> httpx.Client:
        return httpx.Client(
            base_url=self._office.place.vault_url,
            auth=self._office.login(CRM[self.shelf.party]),
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
        )

    def _new(self, what: str) -> str:
        self._number += 1
        return f"{what}-{self.name}-{self._number}"


def _outcome(answer: httpx.Response) -> str:
    if answer.is_success:
        return ACKNOWLEDGED
    return UNKNOWN if answer.is_server_error else REFUSED


def _shown(kind: str, answer: httpx.Response | None) -> dict[str, Any]:
    assert answer is not None
    found = answer.json()
    shown: dict[str, Any] = {
        "etag": int(answer.headers.get("ETag", '"0"').strip('"')),
        "record": found["id"],
    }
    if kind == "create":
        shown["new"] = found["created"]
    if kind == "read":
        shown["town"] = found["documents"].get("basic", {}).get("city", "")
        bought = found["entries"].get("purchases", [])
        shown["entries"] = tuple(entry["entry_id"] for entry in bought)
    return shown
