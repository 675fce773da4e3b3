# SPDX-License-Identifier: Apache-2.0
"""Promise: a process killed anywhere loses nothing, doubles nothing, and goes on.

Each run kills real processes at several labelled points, one after the other; each
process is started again by the supervisor. Every label has its test, and every label
is one that the code reaches.
"""

from __future__ import annotations

import ast
import signal
from pathlib import Path
from typing import Final

import pytest

from services.chassis.crashpoints import LABELS
from services.cli.supervisor import Supervisor
from tests.crash.handover import Played, check, play
from tests.crash.installation import MARKS, Template

pytestmark = MARKS

ROOT: Final = Path(__file__).parents[2]

#: Run → part → `label[:hits]` of each of its lives in turn.
RUNS: Final[dict[str, dict[str, list[str]]]] = {
    "writing": {
        "vault": [
            "database.before_commit:20",
            "database.after_commit:20",
            "vault.batch.before_write",
            "vault.turn.after_write",
        ],
        "audit": ["intake.before_commit:3", "intake.after_commit:3"],
        "worker": [
            "transfer.advance.before_vault",  # the freeze
            "transfer.advance.after_vault",
            "transfer.advance.before_vault",  # the backup
            "transfer.advance.after_vault",
            "transfer.batch.after_execute",
        ],
    },
    "delivering": {
        "vault": [
            "relay.before_publish:2",
            "relay.after_publish:2",
            "follower.before_receipt:2",
            "follower.after_receipt:2",
        ],
        "audit": [
            "publish.before_tiles:3",
            "publish.before_checkpoint:3",
            "publish.after_checkpoint:3",
        ],
        "worker": [
            "transfer.advance.before_vault:3",  # the mandate
            "transfer.advance.after_vault",
            "transfer.advance.before_vault",  # the turn
            "transfer.advance.after_vault",
        ],
        "transfer": ["database.before_commit:6", "database.after_commit:6"],
    },
}


#: Labels that these runs do not arm, and the test that kills there.
ELSEWHERE: Final = {
    "migrate.before_commit": "tests/integration/migrations/conftest.py",
    "vault.settlement.after_slice": "tests/crash/test_handover_killed.py",
}


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


def test_every_label_is_a_place_where_some_run_kills() -> None:
    armed = {
        at.partition(":")[0]
        for parts in RUNS.values()
        for lives in parts.values()
        for at in lives
    }
    assert armed.isdisjoint(ELSEWHERE)
    assert armed | ELSEWHERE.keys() == set(LABELS)
    for label, file in ELSEWHERE.items():
        assert f'"{label}"' in (ROOT / file).read_text(encoding="utf-8")


def test_the_code_reaches_every_label_and_no_other() -> None:
    reached = {
        argument.value
        for path in (ROOT / "services").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "reach"
        for argument in node.args
        if isinstance(argument, ast.Constant)
    }
    assert reached == set(LABELS)
