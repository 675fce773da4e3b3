# SPDX-License-Identifier: Apache-2.0
"""Promise: what wakes an operator is measured, fires when it should, and leads on."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from deploy import dashboard

ROOT: Final = Path(__file__).parents[2]
ALERTS: Final = ROOT / "deploy" / "alerts"
RULES: Final = yaml.safe_load((ALERTS / "rules.yaml").read_text(encoding="utf-8"))

with_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="no promtool (Debian: prometheus)"
)


def rules() -> list[dict[str, Any]]:
    return [rule for group in RULES["groups"] for rule in group["rules"]]


def test_each_rule_has_a_severity_a_summary_and_a_runbook_that_is_there() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
    for rule in rules():
        assert rule["labels"]["severity"] in ("warning", "critical"), rule
        assert rule["annotations"]["summary"], rule
        assert (ROOT / rule["annotations"]["runbook"]).is_file(), rule


@with_promtool
@pytest.mark.parametrize(
    "arguments",
    [("check", "rules", "rules.yaml"), ("test", "rules", "rules_test.yaml")],
    ids=["check", "test"],
)
def test_rules_are_valid_and_fire_when_they_should(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        ("promtool", *arguments),
        cwd=ALERTS,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@with_promtool
def test_queries_of_the_dashboard_are_promql(tmp_path: Path) -> None:
    # promtool parses expressions of rules alone: each query becomes one.
    recorded = [
        {"record": f"query:{number}", "expr": query}
        for number, query in enumerate(dashboard.queries())
    ]
    path = tmp_path / "queries.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "q", "rules": recorded}]}))
    done = subprocess.run(
        ("promtool", "check", "rules", str(path)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_is_what_grafana_imports() -> None:
    document = json.loads((ALERTS / "dashboard.json").read_text(encoding="utf-8"))
    panels = document["panels"]
    ids = [panel["id"] for panel in panels]
    assert len(set(ids)) == len(ids)
    assert [item["name"] for item in document["templating"]["list"]] == ["datasource"]
    assert sum(panel["type"] == "row" for panel in panels) == 4
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        assert place["x"] + place["w"] <= 24
        if panel["type"] == "row":
            continue
        assert panel["datasource"]["uid"] == "${datasource}"
        references = [target["refId"] for target in panel["targets"]]
        assert references, panel["title"]
        assert len(set(references)) == len(references)
        assert all(target["expr"] for target in panel["targets"])
