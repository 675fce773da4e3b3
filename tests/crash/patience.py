# SPDX-License-Identifier: Apache-2.0
"""People who try again: the demonstration's office where services die and come back.

A step whose answer was lost is looked up in the handover's history before it is taken
again, as a person would.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any, Final, TypeVar

import httpx

from deploy.demo.importing import batches
from deploy.demo.office import Office
from services.chassis.clock import uuid7
from services.cli.http import Api, Refused, Unreachable, checked
from services.cli.papers import Desk
from services.cli.place import Place

T = TypeVar("T")

PATIENCE_SECONDS: Final = 40.0
#: Refusals that a service in trouble gives: busy, and an assertion that it had seen.
PASSING: Final = frozenset({401, 502, 503})


def patiently(act: Callable[[], T]) -> T:
    """Do something that may be repeated until it is answered."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return act()
        except Unreachable:
            if time.monotonic() > deadline:
                raise
        except Refused as refused:
            if refused.status not in PASSING or time.monotonic() > deadline:
                raise
        time.sleep(0.1)


class PatientOffice(Office):
    """The office of the demonstration, taking each step until it is taken."""

    def __init__(self, place: Place, log_key: str | None = None) -> None:
        super().__init__(place, log_key)
        self._doors = ExitStack()

    def close(self) -> None:
        """Close every connection."""
        self._doors.close()

    def _system(self, client: str) -> Api:
        api = super()._system(client)
        self._doors.callback(api.close)
        return api

    def _desk(self, seat: str) -> Desk:
        desk = super()._desk(seat)
        for api in (desk.vault, desk.transfer, desk.audit):
            self._doors.callback(api.close)
        return desk

    def open_handover(self, terms: Mapping[str, Any]) -> str:
        """Open a handover; the repeated request opens no second one."""
        headers = {"Idempotency-Key": str(uuid7())}
        transfer = self.desk("SO").transfer
        opened = patiently(lambda: transfer.post("/v1/handovers", dict(terms), headers))
        return str(opened["id"])

    def act(self, seat: str, handover: str, event: str, **body: Any) -> dict[str, Any]:
        """Take a step that needs no signature, once."""
        step = partial(super().act, seat, handover, event, **body)
        self._once(seat, handover, step)
        return self.handover(handover)

    def state_as(self, seat: str, handover: str, kind: str, **body: Any) -> None:
        """Sign a statement and hand it in, once."""
        self._once(
            seat, handover, partial(super().state_as, seat, handover, kind, **body)
        )

    def approve(self, seat: str, handover: str) -> None:
        """Sign the plan, once."""
        self._once(seat, handover, partial(super().approve, seat, handover))

    def release(self, seat: str, handover: str) -> None:
        """Sign the frozen decision, once."""
        self._once(seat, handover, partial(super().release, seat, handover))

    def handover(self, handover: str) -> dict[str, Any]:
        """Return a handover, once transfer answers."""
        return patiently(partial(super().handover, handover))

    def custody(self, handover: str) -> dict[str, Any]:
        """Return what the vault says of a handover, once it answers."""
        return patiently(partial(super().custody, handover))

    def history(self, handover: str) -> list[dict[str, Any]]:
        """Return a handover's steps."""
        path = f"/v1/handovers/{handover}/history"
        desk = self.desk("SC")
        items: list[dict[str, Any]] = patiently(lambda: desk.transfer.get(path))[
            "items"
        ]
        return items

    def system_call(
        self, client: str, method: str, path: str, body: Any
    ) -> httpx.Response:
        """Send a repeatable request of a client until it is answered."""
        api = self.system(client)
        return patiently(lambda: checked(api.send(method, path, json=body)))

    def _once(self, seat: str, handover: str, step: Callable[[], Any]) -> None:
        before = self._steps(seat, handover)

        def unless_taken() -> None:
            try:
                step()
            except (Refused, Unreachable):
                if self._steps(seat, handover) == before:
                    raise

        patiently(unless_taken)

    def _steps(self, seat: str, handover: str) -> int:
        return sum(item["role"] == seat for item in self.history(handover))


def send_all(vault: Api, items: Any) -> dict[str, str]:
    """Import customers one batch after the other; return their record ids."""
    records: dict[str, str] = {}
    for body, _count, _entries in batches(items):
        answer = patiently(partial(_post, vault, body))
        for result in answer.json()["items"]:
            assert result["problem"] is None, result["problem"]["code"]
            records[result["ref"]] = result["id"]
    return records


def _post(vault: Api, body: bytes) -> httpx.Response:
    headers = {"Content-Type": "application/json"}
    answer = vault.send("POST", "/v1/records:batch", content=body, headers=headers)
    return checked(answer)
