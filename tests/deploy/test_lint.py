# SPDX-License-Identifier: Apache-2.0
"""Promise: each file of the packing passes the linter that its readers would run."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.conftest import DEPLOY, ROOT, Run

UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
MOST_EXPOSED = 2.0

#: checkov's rules that are not kept, and why.
NOT_KEPT = {
    "CKV_K8S_43": "the example names a tag: its digest is known to who built the image",
}


def test_the_dockerfile_is_clean(run: Run) -> None:
    run("hadolint", DEPLOY / "Dockerfile")


def test_the_yaml_is_clean(run: Run) -> None:
    run("yamllint", "--strict", "-c", DEPLOY / "yamllint.yaml", DEPLOY)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("framework", ["dockerfile", "kubernetes"])
def test_checkov_finds_nothing_that_is_not_explained(
    run: Run, rendered: Path, framework: str
) -> None:
    file = rendered if framework == "kubernetes" else DEPLOY / "Dockerfile"
    options = ["--compact", "--quiet", "--skip-download"]
    options += ["--skip-check", ",".join(NOT_KEPT)]
    run("checkov", "--file", file, "--framework", framework, *options)


def test_the_cluster_takes_every_object(
    run: Run, rendered: Path, cluster: list[dict[str, Any]]
) -> None:
    told = run("kubernetes-validate", "--strict", rendered)
    assert told.count("passed") == len(cluster)


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd is not installed"
)
class TestUnits:
    @pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
    def test_little_is_left_to_a_unit(self, run: Run, unit: Path) -> None:
        told = run("systemd-analyze", "security", "--offline=true", unit)
        level = re.search(r"exposure level for .+?: ([0-9.]+)", told)
        assert level is not None
        assert float(level[1]) <= MOST_EXPOSED

    def test_the_units_are_understood(self, run: Run, tmp_path: Path) -> None:
        for file in (DEPLOY / "systemd").glob("keyturn*.[st]*"):
            # The program stands elsewhere on this host; the rest is as it ships.
            text = file.read_text().replace(
                "/opt/keyturn/venv/bin/python", sys.executable
            )
            text = text.replace("/opt/keyturn/app", str(ROOT))
            (tmp_path / file.name).write_text(text)
        units = sorted(tmp_path.iterdir())
        assert len(units) == len(UNITS) + 1
        told = run("systemd-analyze", "verify", "--recursive-errors=no", *units)
        assert told.strip() == ""
