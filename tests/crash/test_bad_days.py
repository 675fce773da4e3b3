# SPDX-License-Identifier: Apache-2.0
"""Promise: a bad day costs time and no record, no event, and no key.

The broker dies and comes back empty; audit is away for a whole import; the root key
is missing, or another one.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from services.cli.place import Place
from services.cli.supervisor import Supervisor
from services.vault.keys.providers import FileRootKey
from tests.crash.handover import check, play
from tests.crash.installation import MARKS, SCALED, Template

pytestmark = MARKS


def test_without_audit_and_with_brokers_that_forget_everything_still_adds_up(
    template: Template, tmp_path: Path
) -> None:
    with template.copied(tmp_path) as stage:
        supervisor = Supervisor(stage.place)
        deaths = {
            "import": lambda: supervisor.halt("audit"),
            "imported": lambda: supervisor.resume("audit"),
            "planned": lambda: _kill_broker(supervisor),
            "released": lambda: _kill_broker(supervisor),
        }
        with supervisor.running():
            check(play(stage, supervisor, deaths))
            if not SCALED:
                assert len(supervisor.ends["broker"]) == 2


def _kill_broker(supervisor: Supervisor) -> None:
    if not SCALED:  # a cluster that is shared is not ours to kill
        supervisor.kill("broker")


def test_without_its_root_key_the_vault_refuses_to_start_and_says_how_to_mend_it(
    template: Template, tmp_path: Path
) -> None:
    with template.copied(tmp_path) as stage:
        root = stage.place.keys / "root.key"
        kept = tmp_path / "root.key.away"
        root.rename(kept)
        for command in ("serve", "init"):
            said = _refusal(stage.place, command)
            assert "There is no root key" in said
            assert re.search(r"Restore (it|the key) from its backup or", said), said
            assert not root.exists(), "a new root key was made beside existing data"
        kept.rename(root)
        with Supervisor(stage.place).running():
            pass  # with its key back, all is as before


def test_with_another_root_key_the_vault_refuses_to_start_and_names_both(
    template: Template, tmp_path: Path
) -> None:
    with template.copied(tmp_path) as stage:
        root = stage.place.keys / "root.key"
        root.unlink()
        FileRootKey.create(root)
        other = root.read_bytes()
        for command in ("serve", "init"):
            said = _refusal(stage.place, command)
            assert len(set(re.findall(r"\b[0-9a-f]{16}\b", said))) == 2, said
            assert "recovery sheet" in said
        assert root.read_bytes() == other


def _refusal(place: Place, command: str) -> str:
    """Run a vault command that must refuse; return what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "services.vault", command],
        env=place.settings(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr
