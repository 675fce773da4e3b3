# SPDX-License-Identifier: Apache-2.0
"""The people and systems of the deal at work: who may do what through which door.

Every call goes over HTTP with the token of the one who makes it; every signature is
made by the same code as `keyturn sign`, from the officer's own key file.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, Final

from contracts.custody.statement import StatementKind
from deploy.demo.people_of_the_deal import client_file, officer_file
from services.chassis.clock import SystemClock, uuid7
from services.cli.http import Api, Refused
from services.cli.papers import Desk, approval_paper, release_paper, statement_paper
from services.cli.pinning import pin_path
from services.cli.place import Place
from services.cli.sign import hand_in
from services.cli.token import OfficerLogin, client_login, read_officer

PAUSE_SECONDS: Final = 0.1
ATTEMPTS: Final = 20
PATIENCE_SECONDS: Final = 300.0


class StoryStuck(Exception):  # noqa: N818 - it names what happened
    """A handover did not get where the story needs it; the message says why."""


class Office:
    """Logins and desks of one installation, each opened once."""

    def __init__(self, place: Place, log_key: str | None = None) -> None:
        self.place = place
        self.log_key = log_key
        self.clock = SystemClock()
        self.system = cache(self._system)
        self.desk = cache(self._desk)

    def login(self, client: str) -> Any:
        """Return a client's login at the vault."""
        path = client_file(self.place.keys, client)
        return client_login(self.place.vault_url, path, self.clock)

    def _system(self, client: str) -> Api:
        return Api(self.place.vault_url, self.login(client))

    def _desk(self, seat: str) -> Desk:
        path = officer_file(self.place.keys, seat)
        officer = read_officer(path)
        login = OfficerLogin(self.place.vault_url, officer, self.clock)
        return Desk(
            officer=officer,
            vault=Api(self.place.vault_url, login),
            transfer=Api(self.place.transfer_url, login),
            audit=Api(self.place.audit_url, login),
            pin=pin_path(path),
            log_key=self.log_key,
        )

    # --- steps of a handover -----------------------------------------------------

    def open_handover(self, terms: Mapping[str, Any]) -> str:
        """Open a handover as the seller's owner; return its id."""
        headers = {"Idempotency-Key": str(uuid7())}
        transfer = self.desk("SO").transfer
        return str(transfer.post("/v1/handovers", dict(terms), headers)["id"])

    def act(self, seat: str, handover: str, event: str, **body: Any) -> dict[str, Any]:
        """Take a step that needs no signature."""
        path = f"/v1/handovers/{handover}:{event}"
        after: dict[str, Any] = self.desk(seat).transfer.post(path, body)
        return after

    def cancel(self, seat: str, handover: str, note: str) -> None:
        """Cancel a handover while the worker moves it on: look again and again."""
        for _ in range(ATTEMPTS):
            try:
                self.act(seat, handover, "cancel", note=note)
            except Refused as refused:
                if refused.reason != "stale":
                    raise
            else:
                return
        raise StoryStuck("the handover moved on at each attempt to cancel it")

    def state_as(self, seat: str, handover: str, kind: str, **body: Any) -> None:
        """Sign a statement and hand it in."""
        desk = self.desk(seat)
        paper = statement_paper(desk, handover, StatementKind(kind), body)
        hand_in(desk, handover, paper)

    def approve(self, seat: str, handover: str) -> None:
        """Sign the plan and hand the approval in."""
        desk = self.desk(seat)
        hand_in(desk, handover, approval_paper(desk, handover))

    def release(self, seat: str, handover: str) -> None:
        """Sign the frozen decision and hand the release in."""
        desk = self.desk(seat)
        hand_in(desk, handover, release_paper(desk, handover))

    def handover(self, handover: str) -> dict[str, Any]:
        """Return a handover as the seller's compliance officer sees it."""
        shown: dict[str, Any] = self.desk("SC").transfer.get(
            f"/v1/handovers/{handover}"
        )
        return shown

    def custody(self, handover: str) -> dict[str, Any]:
        """Return what the vault says of a handover."""
        shown: dict[str, Any] = self.desk("SC").vault.get(f"/v1/custody/{handover}")
        return shown

    def await_handover(
        self,
        handover: str,
        reached: Callable[[dict[str, Any]], bool],
        seen: Callable[[dict[str, Any]], None] = lambda _shown: None,
        patience: float = PATIENCE_SECONDS,
    ) -> dict[str, Any]:
        """Wait until a handover is where it is needed, `patience` seconds at most.

        Raises:
            StoryStuck: It ended elsewhere, or took too long.
        """
        deadline = time.monotonic() + patience
        while True:
            shown = self.handover(handover)
            seen(shown)
            if reached(shown):
                return shown
            over = shown["state"] in {"disputed", "cancelled", "rejected", "expired"}
            if over or time.monotonic() > deadline:
                brief = {n: shown[n] for n in ("state", "fault", "progress")}
                raise StoryStuck(f"the handover stands still: {json.dumps(brief)}")
            time.sleep(PAUSE_SECONDS)

    # --- records -------------------------------------------------------------------

    def listed(self, client: str) -> Iterator[tuple[str, str]]:
        """Yield every record id of a client's party with its etag."""
        cursor: str | None = None
        while True:
            page = self.system(client).get("/v1/records", limit=100, cursor=cursor)
            yield from ((item["id"], item["etag"]) for item in page["items"])
            cursor = page["next_cursor"]
            if not page["has_more"]:
                return

    def found(self, client: str, field: str, values: list[str]) -> list[list[str]]:
        """Look up records by a searchable field; answers in the order of `values`."""
        identifiers = [{"field": field, "value": value} for value in values]
        body = {"identifiers": identifiers}
        answer = self.system(client).post("/v1/records/lookup", body)
        return [item["records"] for item in answer["items"]]
