# SPDX-License-Identifier: Apache-2.0
"""The people of the deal: one handover after the other, cancelled or turned."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from deploy.demo.office import StoryStuck
from deploy.demo.walking import (
    DEAL,
    back_up,
    executed,
    frozen,
    plan_of,
    receive_and_close,
    scope_of,
)
from services.cli.http import Refused
from services.cli.place import Place
from tests.crash.checking.history import ACKNOWLEDGED, Attempt
from tests.crash.cycles.recorder import Recorder
from tests.crash.patience import PatientOffice

CLASSES: Final = ["basic", "habits", "purchases"]
#: What a signed document's kind is called as a step.
SIGNED: Final = {
    "necessity": "confirm",
    "scope": "agree",
    "opinion": "pass",
    "receipt": "receive",
    "audit_report": "pass",
}
CANCELLERS: Final = ("SO", "SC", "BO", "BC")


class RecordedOffice(PatientOffice):
    """The patient people of the deal; each step they were told to have taken is noted."""

    def __init__(self, place: Place, recorder: Recorder) -> None:
        log_key = (place.state / "log.vkey").read_text(encoding="utf-8").strip()
        super().__init__(place, log_key)
        self._recorder = recorder

    def act(self, seat: str, handover: str, event: str, **body: Any) -> dict[str, Any]:
        """Take a step, and note it."""
        begun = time.monotonic()
        after = super().act(seat, handover, event, **body)
        self._told(seat, handover, event, begun)
        return after

    def state_as(self, seat: str, handover: str, kind: str, **body: Any) -> None:
        """Hand in a statement, and note it."""
        begun = time.monotonic()
        super().state_as(seat, handover, kind, **body)
        self._told(seat, handover, SIGNED[kind], begun)

    def approve(self, seat: str, handover: str) -> None:
        """Approve, and note it."""
        begun = time.monotonic()
        super().approve(seat, handover)
        self._told(seat, handover, "approve", begun)

    def release(self, seat: str, handover: str) -> None:
        """Release, and note it."""
        begun = time.monotonic()
        super().release(seat, handover)
        self._told(seat, handover, "release", begun)

    def _told(self, seat: str, handover: str, event: str, begun: float) -> None:
        told = Attempt(
            client=seat,
            party="buyer" if seat.startswith("B") else "seller",
            kind="step",
            begun=begun,
            ended=time.monotonic(),
            outcome=ACKNOWLEDGED,
            customer=handover,
            value=event,
        )
        self._recorder.note(told)


class Dealer:
    """Walks handovers in a thread until told to stop, and the last one to its end."""

    def __init__(self, office: RecordedOffice, seed: str) -> None:
        self.handovers: list[str] = []
        self.turned = 0
        self.cancelled = 0
        self.failure: Exception | None = None
        self._office = office
        self._chance = random.Random(seed)

    def work(self, stop: threading.Event) -> None:
        """Deal until told to stop; at least one handover is turned."""
        try:
            while not stop.is_set() or not self.turned:
                self._deal(stop)
                stop.wait(self._chance.uniform(0, 0.5))
        except Exception as error:  # noqa: BLE001 - the round is judged to have failed
            self.failure = error

    def _deal(self, stop: threading.Event) -> None:
        last = stop.is_set()
        cancels = not last and self._chance.random() < 0.5
        moments = [name for name, _ in self._moments("")]
        until = self._chance.choice(moments[:-1]) if cancels else None
        handover = self._office.open_handover({**DEAL, "note": "crash"})
        self.handovers.append(handover)
        for name, step in self._moments(handover):
            step()
            if name == until and self._cancels(handover):
                self.cancelled += 1
                return
        self.turned += 1

    def _moments(self, handover: str) -> Iterator[tuple[str, Callable[[], Any]]]:
        office = self._office
        yield "opened", lambda: office.act("SO", handover, "submit", note="Closing.")
        yield "needed", lambda: office.state_as("SC", handover, "necessity", **_WHY)
        yield "scoped", lambda: self._scope(handover)
        yield "planned", lambda: self._plan(handover)
        yield "approved", lambda: self._approve(handover)
        yield "frozen", lambda: frozen(office, handover)
        yield "backed up", lambda: back_up(office, handover)
        yield "released once", lambda: office.release("SC", handover)
        yield "released", lambda: office.release("BC", handover)
        yield "executed", lambda: executed(office, handover, lambda _shown: None)
        yield "turned", lambda: receive_and_close(office, handover)

    def _scope(self, handover: str) -> None:
        self._office.act("SR", handover, "propose", scope=scope_of(CLASSES))
        for seat in ("SO", "BO"):
            self._office.state_as(seat, handover, "scope", agreed="this scope")

    def _plan(self, handover: str) -> None:
        plan = plan_of(self._office, CLASSES)
        self._office.act("SR", handover, "ready", plan=plan)
        self._office.state_as("PR", handover, "opinion", opinion="Consents.", open=[])

    def _approve(self, handover: str) -> None:
        for seat in ("SO", "SC", "BO", "BC"):
            self._office.approve(seat, handover)
        self._office.act("SC", handover, "freeze")

    def _cancels(self, handover: str) -> bool:
        """Cancel; where the vault has turned meanwhile, it came too late."""
        seat = self._chance.choice(CANCELLERS)
        try:
            self._office.cancel(seat, handover, "The bank asked for time.")
            self._office.await_handover(
                handover, lambda shown: shown["state"] == "cancelled"
            )
        except (Refused, StoryStuck):
            # The very state that was waited for is also one that ends the wait.
            return str(self._office.handover(handover)["state"]) == "cancelled"
        return True


_WHY: Final = {
    "classes": {
        name: {
            "service": "The shops and their service go on at the buyer.",
            "why": "The buyer honours what was agreed.",
            "alternative": "Asking each customer anew was considered.",
        }
        for name in CLASSES
    }
}
