# SPDX-License-Identifier: Apache-2.0
"""An installation to be maltreated: enrolled, served, under load, judged at its end."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import httpx

from deploy.demo.cast import Stage
from deploy.demo.catalogue import entered
from deploy.demo.people_of_the_deal import BUYER_CRM, SELLER_CRM
from deploy.demo.playing import free_ports
from deploy.demo.scaled import scaled_world
from services.cli.place import Place
from services.cli.supervisor import Supervisor
from tests.crash.checking.evidence import Anomaly
from tests.crash.checking.judge import judge
from tests.crash.cycles.clients import LoadClient, Shelf
from tests.crash.cycles.deals import Dealer, RecordedOffice
from tests.crash.cycles.gathering import gather
from tests.crash.cycles.recorder import Recorder
from tests.crash.installation import made

SELLERS: Final = 3
BUYERS: Final = 1
PAUSE_SECONDS: Final = 0.03  # of a client between two attempts, on average
WATCH_SECONDS: Final = 0.2
DEAL_SECONDS: Final = 180.0  # for the last handover to come to its end


@dataclass
class House:
    """A running installation and everybody who works with it."""

    stage: Stage
    supervisor: Supervisor
    recorder: Recorder
    seed: str
    dealer: Dealer
    office: RecordedOffice
    notes: list[bytes] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def settle(self) -> None:
        """Wait until every part answers; a death so far counts no more.

        The supervisor gives a part up that dies six times in a minute: here it is
        killed more often than that.

        Raises:
            StartFailed: One does not come back.
        """
        self.supervisor.await_all_ready()
        self.supervisor._deaths.clear()

    @contextmanager
    def loaded(self, *, deals: bool = True) -> Iterator[None]:
        """Let clients and people work meanwhile; then wait until they have ended."""
        shelves = [Shelf("seller")] * SELLERS + [Shelf("buyer")] * BUYERS
        for n, shelf in enumerate(shelves):
            client = LoadClient(n, shelf, self.office, self.recorder, self.seed)
            self._begin(client.work, self._stop, PAUSE_SECONDS)
        watch, watching = threading.Event(), self._watch
        watcher = threading.Thread(target=watching, args=(watch,), daemon=True)
        watcher.start()
        if deals:
            self._begin(self.dealer.work, self._stop)
        try:
            yield
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join(DEAL_SECONDS)
            watch.set()
            watcher.join()

    def judged(self) -> list[Anomaly]:
        """Gather the evidence and return what must not be."""
        found: list[Anomaly] = []
        if any(thread.is_alive() for thread in self._threads):
            return [Anomaly("stuck", "a client or a handover did not end in time")]
        if self.dealer.failure is not None:
            found.append(Anomaly("stuck", f"a handover: {self.dealer.failure}"))
        history, handovers = self.recorder.attempts, self.dealer.handovers
        evidence = gather(self.stage, self.office, history, handovers, self.notes)
        return found + judge(evidence)

    def _begin(self, work: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _watch(self, stop: threading.Event) -> None:
        """Collect every checkpoint that is served, as a witness would."""
        url = f"{self.stage.place.audit_url}/checkpoint"
        with httpx.Client(timeout=5.0, trust_env=False) as http:
            while not stop.wait(WATCH_SECONDS):
                with suppress(httpx.HTTPError):
                    answer = http.get(url)
                    if answer.is_success and answer.content not in self.notes[-1:]:
                        self.notes.append(answer.content)


@dataclass(frozen=True)
class Houses:
    """Where installations are made: copies of one that has everybody enrolled."""

    folder: Path
    engine: str = "sqlite"

    @contextmanager
    def house(
        self, name: str, seed: str, environ: Mapping[str, str] | None = None
    ) -> Iterator[House]:
        """Give a running house in a folder of its own, which stays."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)  # a disk may be mounted in it
        with self._stage(folder, environ or {}) as stage:
            supervisor = Supervisor(stage.place)
            with supervisor.running():
                recorder = Recorder(folder / "history.jsonl")
                office = RecordedOffice(stage.place, recorder)
                _catalogues(office)
                dealer = Dealer(office, f"{seed}:deals")
                try:
                    yield House(stage, supervisor, recorder, seed, dealer, office)
                finally:
                    office.close()
                    recorder.close()

    @contextmanager
    def _stage(self, folder: Path, environ: Mapping[str, str]) -> Iterator[Stage]:
        if self.engine == "postgres":
            with scaled_world() as world:
                yield made(folder, {**world.environ, **environ})
            return
        template = self.folder / "template"
        if not template.exists():
            made(template, {})
        for part in ("state", "keys"):
            shutil.copytree(template / part, folder / part, dirs_exist_ok=True)
        bare = Place(folder / "state", folder / "keys", *free_ports())
        place = replace(bare, environ={**SETTINGS, **environ})
        yield Stage(place, folder)


SETTINGS: Final = {
    "KEYTURN_DEMONSTRATION": "true",
    "KEYTURN_TRANSFER_LEASE_SECONDS": "3",  # a dead worker's batch is free soon
}


def _catalogues(office: RecordedOffice) -> None:
    for client in (SELLER_CRM, BUYER_CRM):
        for path, body in entered():
            office.system_call(client, "PUT", path, body)
