# SPDX-License-Identifier: Apache-2.0
"""Plays the demonstration: once on fresh state, or once and then serving.

Owns the marker that says how far a state directory's story is. Never deletes what it
did not make: a folder without its marker is refused, an interrupted run is moved
aside.
"""

from __future__ import annotations

import json
import shutil
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from deploy.demo.cast import Stage
from deploy.demo.commands import keyturn
from deploy.demo.narrator import Narrator
from deploy.demo.office import Office
from deploy.demo.people_of_the_deal import officer_file
from deploy.demo.scaled import scaled_world
from deploy.demo.story import conclude, open_doors, prepare, tell
from services.cli.http import Api
from services.cli.officer import installation_of
from services.cli.place import Place
from services.cli.supervisor import Supervisor
from services.cli.token import OfficerLogin, granted, read_officer
from services.cli.up import wait_for_signal

MARKER: Final = "story.json"
DEMONSTRATION: Final = {"KEYTURN_DEMONSTRATION": "true"}


class StageTaken(Exception):  # noqa: N818 - it names what is
    """A folder holds something that is not the demonstration's."""


def play_once(folder: Path, limit: int | None, *, scaled: bool) -> bool:
    """Play on fresh state under a folder, then stop; whether everything held.

    Raises:
        StageTaken: The folder holds something else.
        WorldMissing: `scaled`, and there is no PostgreSQL or Kafka.
    """
    _clear(folder)
    narrator = Narrator()
    with ExitStack() as world:
        environ, elsewhere = dict(DEMONSTRATION), []
        if scaled:
            found = world.enter_context(scaled_world())
            environ |= found.environ
            elsewhere = [found.data_directory]
        ports = free_ports()
        place = Place(folder / "state", folder / "keys", *ports, environ=environ)
        stage = Stage(place, folder)
        supervisor = Supervisor(place, narrator.say)
        _mark(stage, finished=False)
        dataset = prepare(stage, narrator, limit)
        try:
            open_doors(stage, supervisor, narrator)
            told = tell(stage, narrator, dataset)
        finally:
            supervisor.stop()
        # Stopped first: what the services still held in memory is on disk now.
        report = conclude(told, elsewhere)
        _mark(stage, finished=True, handover=report["handover_id"])
    summarise(narrator, report, folder)
    return bool(report["verified"])


def play_and_serve(place: Place, limit: int | None) -> bool:
    """Play if this state has not yet seen it, then serve until Ctrl-C.

    Returns:
        Whether everything held, now or when it was played.

    Raises:
        StageTaken: The state is another installation's.
        StartFailed: A service does not start.
    """
    folder = place.state.with_name(f"{place.state.name}-demo")
    stage = Stage(place, folder)
    narrator = Narrator()
    supervisor = Supervisor(place, narrator.say)
    supervisor.claim()
    try:
        finished = _is_finished(stage, narrator)
        if finished:
            narrator.say("this state has seen the demonstration: it is served again,")
            narrator.say("and the figures below are those of that day")
            supervisor.prepare()
            supervisor.start()
            text = (folder / "report.json").read_text(encoding="utf-8")
            report = json.loads(text)
        else:
            _mark(stage, finished=False)
            dataset = prepare(stage, narrator, limit)
            open_doors(stage, supervisor, narrator)
            report = conclude(tell(stage, narrator, dataset), [])
            _mark(stage, finished=True, handover=report["handover_id"])
        summarise(narrator, report, folder)
        invite(narrator, place, report["handover_id"])
        wait_for_signal(lambda: supervisor.failure is not None)
    finally:
        supervisor.stop()
    narrator.say("stopped")
    return bool(report["verified"]) and supervisor.failure is None


def summarise(narrator: Narrator, report: dict[str, Any], folder: Path) -> None:
    """Print the figures of the report, and where the rest is."""
    table = Table(title="The handover", title_justify="left")
    for heading in ("class", "inventory", "transferred", "held", "excluded"):
        table.add_column(heading, justify="left" if heading == "class" else "right")
    for name, total in report["inventory"].items():
        held = sum(report["held"][name].values())
        excluded = sum(report["excluded"][name].values())
        figures = (total, report["transferred"][name], held, excluded)
        table.add_row(name, *(f"{figure:,}" for figure in figures))
    narrator.console.print(table)
    narrator.say(
        f"{report['operations']:,} audited operations, {report['leaves']:,} leaves, "
        f"{report['missing']} missing, {report['duplicates']} doubled, "
        f"{report['proofs_checked']} proofs checked"
    )
    narrator.say(f"report: {folder / 'report.html'} and report.json")
    narrator.say(f"check it: {keyturn()} verify {folder / 'evidence'}")
    failed = [check["promise"] for check in report["checks"] if not check["held"]]
    for promise in failed:
        narrator.say(f"NOT HELD: {promise}")
    verdict = "everything held" if report["verified"] else "NOT everything held"
    narrator.console.print(f"[bold]{verdict}[/]")


def invite(narrator: Narrator, place: Place, handover: str) -> None:
    """Print the docs pages, a token, and a curl line for each service."""
    path = officer_file(place.keys, "SC")
    clock = Office(place).clock
    login = OfficerLogin(place.vault_url, read_officer(path), clock)
    answer = granted(Api(place.vault_url), login)
    console = narrator.console

    def line(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    line("")
    for name in ("vault", "transfer", "audit"):
        line(f"{name:9}{getattr(place, f'{name}_url')}/docs")
    minutes = int(answer["expires_in"]) // 60
    line(f"\nA token of the seller's compliance officer, good for {minutes} minutes;")
    command = f"{keyturn()} token --officer {path} --url {place.vault_url}"
    line(f"another one: {command}\n")
    line(f"TOKEN={answer['access_token']}")
    bearer = 'curl -s -H "Authorization: Bearer $TOKEN"'
    line(f"{bearer} {place.vault_url}/v1/custody/{handover}")
    line(f"{bearer} {place.transfer_url}/v1/handovers/{handover}")
    line(f"{bearer} '{place.audit_url}/v1/events?handover={handover}&limit=5'")
    line("\nCtrl-C stops everything.")


def free_ports() -> tuple[int, int, int]:
    """Return three free loopback ports."""
    with ExitStack() as held:
        ports = []
        for _ in range(3):
            sock = held.enter_context(socket.socket())
            sock.bind(("127.0.0.1", 0))
            ports.append(int(sock.getsockname()[1]))
    return ports[0], ports[1], ports[2]


def _clear(folder: Path) -> None:
    """Remove what an earlier run left, and nothing else."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARKER).exists():
            raise StageTaken(f"{folder} is not empty and not of this demonstration")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)


def _is_finished(stage: Stage, narrator: Narrator) -> bool:
    """Whether this state's story is told; an interrupted one is moved aside."""
    path = stage.folder / MARKER
    begun = (stage.place.state / "installation.json").exists()
    if not path.exists():
        if begun:
            raise StageTaken(
                f"{stage.place.state} is an installation of its own; serve it with "
                "`keyturn up`, or give the demonstration another STATE and KEYS"
            )
        return False
    marker = json.loads(path.read_text(encoding="utf-8"))
    if not marker["finished"]:
        _move_aside(stage, narrator)
        return False
    if not begun or installation_of(stage.place.state) != marker["installation"]:
        raise StageTaken(
            f"{stage.folder} tells of another installation than {stage.place.state}; "
            "move it away"
        )
    return True


def _move_aside(stage: Stage, narrator: Narrator) -> None:
    taken = 1
    while stage.folder.with_name(f"{stage.folder.name}.interrupted-{taken}").exists():
        taken += 1
    narrator.say("an earlier run was interrupted; it is moved aside and begun anew")
    for path in (stage.place.state, stage.place.keys, stage.folder):
        if path.exists():
            aside = path.with_name(f"{path.name}.interrupted-{taken}")
            path.rename(aside)
            narrator.say(f"{path} is now {aside}")


def _mark(stage: Stage, *, finished: bool, handover: str = "") -> None:
    stage.folder.mkdir(parents=True, exist_ok=True)
    marker: dict[str, Any] = {"finished": finished}
    if finished:
        marker["installation"] = installation_of(stage.place.state)
        marker["handover_id"] = handover
    path = stage.folder / MARKER
    path.write_text(json.dumps(marker) + "\n", encoding="utf-8")
