# SPDX-License-Identifier: Apache-2.0
"""Promise: a process killed anywhere loses nothing, doubles nothing, and goes on.

Each run kills real processes at several labelled points, one after the other; each
process is started again by the supervisor. That every label has its run is a test of
its own, and quick: `tests/unit/crash/test_labels.py`.
"""

from __future__ import annotations

import signal

import pytest

from services.cli.supervisor import Supervisor
from tests.crash.crash_runs import RUNS
from tests.crash.handover import Played, check, play
from tests.crash.installation import MARKS, Template

pytestmark = MARKS


@pytest.fixture(scope="module")
def played() -> dict[str, Played | Exception]:
    """What came of the runs; each is played once, when first asked for."""
    return {}


@pytest.fixture
def run(
    request: pytest.FixtureRequest,
    played: dict[str, Played | Exception],
    template: Template,
    tmp_path_factory: pytest.TempPathFactory,
) -> Played:
    name: str = request.param
    if name not in played:
        try:
            with template.copied(tmp_path_factory.mktemp(name)) as stage:
                supervisor = Supervisor(stage.place, crashes=RUNS[name])
                with supervisor.running():
                    played[name] = play(stage, supervisor)
        except Exception as exc:  # noqa: BLE001 - every test of this run shall see it
            played[name] = exc
    came = played[name]
    if isinstance(came, Exception):
        raise came
    return came


@pytest.mark.parametrize("run", RUNS, indirect=True)
def test_a_handover_with_crashes_comes_out_as_one_without(run: Played) -> None:
    check(run)


@pytest.mark.parametrize(
    ("run", "part", "label"),
    [
        pytest.param(name, part, at.partition(":")[0], id=f"{name}-{part}-{at}-{nth}")
        for name, parts in RUNS.items()
        for part, lives in parts.items()
        for nth, at in enumerate(lives)
    ],
    indirect=["run"],
)
def test_the_process_died_there_and_nowhere_else(
    request: pytest.FixtureRequest, run: Played, part: str, label: str
) -> None:
    lives = RUNS[request.node.callspec.params["run"]][part]
    assert run.ends[part] == [-signal.SIGKILL] * len(lives)
    assert label in {at.partition(":")[0] for at in lives}
    check(run)
