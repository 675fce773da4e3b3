# SPDX-License-Identifier: Apache-2.0
"""Promise: the demonstration's report is one file that shows what happened, offline.

The figures here are made up; that the real ones are true is tests/e2e's promise.
"""

import copy
from pathlib import Path
from typing import Any

import pytest

from deploy.demo.report import write_report
from tests.browser.chromium import assert_quiet, no_browser, serious, visit

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(120),
    no_browser,
]
SHA = "sha256:" + "5d" * 32
TURNED = {
    "basic": {
        "transfer": {"eligible": 1200},
        "excluded": {"objected": 7, "expired": 1},
    },
    "habits": {
        "transfer": {"eligible": 990},
        "held": {"consent": 15},
        "archive_only": {"window": 3},
    },
}
REPORT: dict[str, Any] = {
    "handover_id": "01a20d89-15f4-756e-8830-27dd14a4bad1",
    "verified": True,
    "records": 1208,
    "purchases": 24001,
    "folios": 2216,
    "inventory": {"basic": 1208, "habits": 1008},
    "transferred": {"basic": 1200, "habits": 990},
    "archive_only": {"basic": 0, "habits": 3},
    "held": {"basic": {}, "habits": {"consent": 15}},
    "excluded": {"basic": {"objected": 7, "expired": 1}, "habits": {}},
    "after_snapshot": {"basic": 1},
    "operations": 4490,
    "leaves": 4500,
    "missing": 0,
    "duplicates": 0,
    "proofs_checked": 67,
    "scan": {"needles": 428, "files": 354, "bytes": 15469797, "findings": []},
    "gates_not_built": ["notice", "incident_hold"],
    "phases": {"import": 21.3, "turn": 1.5, "scan": 0.0},
    "checks": [
        {"promise": "every customer has a record", "held": True, "detail": "1208"},
        {"promise": "the log only grew", "held": True, "detail": ""},
    ],
    "check_it": [{"shows": "everything", "line": "keyturn verify build/evidence"}],
    "provenance": "made up",
    "plan_hash": SHA,
    "decision_root": SHA,
    "as_of": "2018-01-31",
}
ROLES = ["SO", "SC", "SR", "BO", "BC", "PR", "SYS"]
STEPS = [
    {
        "step": number,
        "event": "back_up",
        "role": role,
        "from_state": "backup",
        "to_state": "await_release" if role == "SYS" else "backup",
        "at": f"2026-11-24T12:30:{number:02d}.714Z",
    }
    for number, role in enumerate(ROLES, 1)
]
SIGNATURES = [
    {
        "role": role,
        "kind": "audit_report",
        "counts": role != "SC",
        "at": "2026-11-24T12:30:17.714Z",
        "key_id": "ab" * 32,
        "digest": SHA,
    }
    for role in ROLES[:-1]
]
HANDOVER: dict[str, Any] = {
    "seller": "sparkle-supplies",
    "buyer": "bright-home",
    "deal_type": "asset_sale",
    "path": "separate_consent",
    "steps": STEPS,
    "signatures": SIGNATURES,
    "turned_counts": TURNED,
    "disclaimer": "It is not legal advice.",
}


def opened(folder: Path, report: dict[str, Any], **how: Any) -> dict[str, Any]:
    write_report(folder, report, HANDOVER)
    (seen,) = visit({"url": (folder / "report.html").as_uri(), **how})
    return seen


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 360)])
def test_the_report_shows_counts_timeline_signatures_and_how_to_check(
    scheme: str, width: int, tmp_path: Path
) -> None:
    seen = opened(tmp_path, REPORT, scheme=scheme, width=width)
    assert_quiet(seen)
    assert serious(seen) == set()
    shown = seen["shown"]
    assert (shown["lang"], shown["overflow"]) == ("en", 0)
    assert "sparkle-supplies" in shown["title"]
    assert {"Timeline", "Signatures", "How to check it yourself"} <= set(
        shown["headings"]
    )
    pieces = [
        reason
        for outcomes in TURNED.values()
        for reasons in outcomes.values()
        for reason in reasons
    ]
    assert shown["bars"] == len(pieces)
    text = shown["text"]
    assert "Everything that was promised was checked, and held." in text
    for expected in (
        "1,200 of 1,208 folios transferred (99 %)",
        "15 consent",
        "independent reviewer",
        "await release",
        "audit report (void)",
        "keyturn verify",
    ):
        assert expected in text, expected


def test_a_report_of_a_run_that_did_not_hold_says_so_first(tmp_path: Path) -> None:
    report = copy.deepcopy(REPORT)
    report["verified"] = report["checks"][1]["held"] = False
    seen = opened(tmp_path, report)
    text = seen["shown"]["text"]
    assert "Something did not hold" in text
    assert "was checked, and held" not in text
    assert text.count("✗") == 1
    assert serious(seen) == set()
