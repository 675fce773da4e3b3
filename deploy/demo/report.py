# SPDX-License-Identifier: Apache-2.0
"""The report: `report.json` for programs, `report.html` for people, the same figures.

Counts, hashes, roles and times only; no customer is in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from contracts.law.pack import parse_pack
from deploy.demo.cast import Tale
from deploy.demo.commands import check_commands
from deploy.demo.proving import Proven
from deploy.demo.scan import Scan
from deploy.pages import template

TEMPLATE: Final = "report.html.j2"
BAR_WIDTH: Final = 640


@dataclass(frozen=True, slots=True)
class RoleName:
    """How the page calls a role of the handover, and whose side it is on."""

    name: str
    side: str


ROLES: Final = {
    "SO": RoleName("seller's owner", "seller"),
    "SC": RoleName("seller's compliance officer", "seller"),
    "SR": RoleName("seller's operator", "seller"),
    "BO": RoleName("buyer's owner", "buyer"),
    "BC": RoleName("buyer's compliance officer", "buyer"),
    "PR": RoleName("independent reviewer", "reviewer"),
    "MO": RoleName("monitor", "reviewer"),
    "SYS": RoleName("system", "system"),
}


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a bar: one outcome and reason of a class; pixels of the drawing."""

    outcome: str
    reason: str
    count: int
    start: float
    width: float


def figures(
    tale: Tale, handover: Mapping[str, Any], proven: Proven, scan: Scan, source: str
) -> dict[str, Any]:
    """Return the members of `report.json`.

    Args:
        tale: The story, with its checks and phases.
        handover: Transfer's report with the vault's custody as `custody`.
        proven: What the log came to.
        scan: What the byte scan came to.
        source: Where the purchases are from.
    """
    return {
        "handover_id": tale.handover,
        "cancelled_handover_id": tale.first_handover,
        "verified": tale.narrator.all_held,
        "records": len(tale.customers),
        "purchases": tale.arrived.entries,
        **_outcomes(handover["turned_counts"]),
        "decision_counts": handover["frozen_counts"],
        "dropped": handover["custody"]["dropped"],
        "after_snapshot": dict(tale.after_snapshot),
        "operations": proven.operations,
        "leaves": proven.leaves,
        "missing": proven.missing,
        "duplicates": proven.duplicates,
        "proofs_checked": proven.proofs_checked,
        "scan": _scanned(scan),
        "gates_not_built": [*handover["gates_not_built"], *_gates()],
        "phases": tale.narrator.phases,
        "checks": [asdict(check) for check in tale.narrator.checks],
        "check_it": [asdict(command) for command in check_commands(tale.stage)],
        "provenance": f"{source}; people and consents are synthetic",
        "plan_hash": handover["plan_hash"],
        "decision_root": handover["decision_root"],
        "as_of": handover["as_of"],
    }


def _outcomes(turned: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures after the drops, each per class."""
    return {
        "folios": sum(_sum(outcomes) for outcomes in turned.values()),
        "inventory": {name: _sum(outcomes) for name, outcomes in turned.items()},
        "transferred": _of(turned, "transfer"),
        "archive_only": _of(turned, "archive_only"),
        "held": _reasons(turned, "held"),
        "excluded": _reasons(turned, "excluded"),
    }


def _scanned(scan: Scan) -> dict[str, Any]:
    return {
        "needles": scan.needles,
        "files": scan.files,
        "bytes": scan.octets,
        "findings": [asdict(found) for found in scan.findings],
    }


def adds_up(report: Mapping[str, Any]) -> bool:
    """Whether inventory = transferred + archive_only + held + excluded, per class."""
    return all(
        total
        == report["transferred"][name]
        + report["archive_only"][name]
        + sum(report["held"][name].values())
        + sum(report["excluded"][name].values())
        for name, total in report["inventory"].items()
    )


def write_report(
    folder: Path, report: Mapping[str, Any], handover: Mapping[str, Any]
) -> None:
    """Write both files."""
    text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
    (folder / "report.json").write_text(text, encoding="utf-8")
    page = template(Path(__file__).with_name(TEMPLATE)).render(
        report=report,
        handover=handover,
        bars={name: bar(counts) for name, counts in handover["turned_counts"].items()},
        bar_width=BAR_WIDTH,
        roles=ROLES,
    )
    (folder / "report.html").write_text(page, encoding="utf-8")


def bar(outcomes: Mapping[str, Mapping[str, int]]) -> list[Segment]:
    """Return the pieces of a class's bar, left to right."""
    total = _sum(outcomes) or 1
    order = ("transfer", "archive_only", "held", "excluded")
    pieces: list[Segment] = []
    start = 0.0
    for outcome in order:
        for reason, count in sorted(outcomes.get(outcome, {}).items()):
            if count == 0:
                continue
            width = BAR_WIDTH * count / total
            pieces.append(
                Segment(outcome, reason, count, round(start, 2), round(width, 2))
            )
            start += width
    return pieces


def _sum(outcomes: Mapping[str, Mapping[str, int]]) -> int:
    return sum(count for reasons in outcomes.values() for count in reasons.values())


def _of(turned: Mapping[str, Any], outcome: str) -> dict[str, int]:
    return {
        name: sum(outcomes.get(outcome, {}).values())
        for name, outcomes in turned.items()
    }


def _reasons(turned: Mapping[str, Any], outcome: str) -> dict[str, dict[str, int]]:
    return {name: dict(outcomes.get(outcome, {})) for name, outcomes in turned.items()}


def _gates() -> list[str]:
    """Return the gates that the rule pack names as not built."""
    path = Path(__file__).parents[2] / "contracts" / "law" / "packs" / "line-1.json"
    return [gate.id for gate in parse_pack(path.read_bytes()).gates_not_built]
