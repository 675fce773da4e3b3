# SPDX-License-Identifier: Apache-2.0
"""A rule pack is read strictly, and the committed one is what its YAML says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from contracts.custody.document import DocumentMalformed
from contracts.law.pack import pack_bytes, parse_pack, rule_pack_hash
from services.cli.packs import PackUnreadable, compile_all, compile_pack, main
from tests.unit.contracts.custody.factories import LINE_1, LINE_1_HASH, ROOT

YAML = (ROOT / "contracts" / "law" / "packs" / "line-1.yaml").read_text("utf-8")


def test_the_committed_pack_is_what_its_yaml_compiles_to() -> None:
    assert compile_pack(YAML) == LINE_1
    assert main(["--check"]) == 0


def test_bytes_and_hash_of_a_pack_are_those_of_its_file() -> None:
    pack = parse_pack(LINE_1)
    assert pack_bytes(pack) == LINE_1
    assert pack.hash == rule_pack_hash(LINE_1) == LINE_1_HASH


def test_line_1_carries_out_rows_1_2_3_7_12_and_lists_the_others() -> None:
    pack = parse_pack(LINE_1)
    rules = pack.rules
    assert [rules.scope.row, rules.objection.row, rules.retention.row] == [1, 2, 3]
    assert [rules.consent.row, rules.transfer.row] == [7, 12]
    assert [gate.row for gate in pack.gates_not_built] == [4, 5, 6, 8, 9, 10, 11]


def test_nothing_is_called_verified_that_nobody_read() -> None:
    for rule in parse_pack(LINE_1).rules.in_order():
        assert rule.verified == all(c.mark == "V" for c in rule.citations)
        assert rule.sentence.zh
        assert rule.sentence.en


def _edit(path: str, value: Any) -> Callable[[Any], None]:
    def apply(members: Any) -> None:
        *way, last = path.split(".")
        for step in way:
            members = members[int(step)] if step.isdigit() else members[step]
        members[last] = value

    return apply


@pytest.mark.parametrize(
    "edit",
    [
        _edit("rules.scope.inactivity_months", 3),
        _edit("rules.sensitive", {}),
        _edit("rules.scope.row", 2),
        _edit("rules.scope.id", "line-2/scope"),
        _edit("rules.scope.id", "line-1/consent"),
        _edit("rules.scope.citations", []),
        _edit("rules.scope.citations.0.verified", True),
        _edit("rules.retention.inactivity_months", 0),
        _edit("rules.retention.inactivity_months", "36"),
        _edit("rules.consent.paths", ["hearsay"]),
        _edit("paths.merger", []),
        _edit("paths.gift", ["succession"]),
        _edit("gates_not_built", []),
        _edit("gates_not_built.0.row", 5),
        _edit("place", "cn"),
        _edit("written", "2026-13-01"),
    ],
    ids=[
        "member-of-another-rule", "rule-nobody-carries-out", "wrong-row",
        "foreign-id", "id-twice", "no-source", "verified-unread", "zero-months",
        "months-as-text", "unknown-path", "no-path", "unknown-deal", "gates-hidden",
        "gate-of-wrong-row", "place", "no-such-day",
    ],
)  # fmt: skip
def test_a_pack_that_does_not_fit_is_refused(edit: Callable[[Any], None]) -> None:
    members = json.loads(LINE_1)
    edit(members)
    with pytest.raises(DocumentMalformed):
        parse_pack(rfc8785.dumps(members))


def test_bytes_that_are_not_canonical_are_refused() -> None:
    with pytest.raises(DocumentMalformed):
        parse_pack(LINE_1 + b"\n")


@pytest.mark.parametrize(
    "text",
    ["pack: a\npack: b\n", "- {a: 1, a: 2}\n", "[1", "pack: 2026-01-01\n", "a: .nan\n", ""],
    ids=["key-twice", "key-twice-deep", "no-yaml", "a-date", "nan", "empty"],
)  # fmt: skip
def test_yaml_that_is_no_pack_is_refused(text: str) -> None:
    with pytest.raises(PackUnreadable):
        compile_pack(text)


def test_compiling_writes_once_and_checking_never(tmp_path: Path) -> None:
    (tmp_path / "line-1.yaml").write_text(YAML, encoding="utf-8")
    assert compile_all(tmp_path, check=True) == ["line-1"]
    assert not (tmp_path / "line-1.json").exists()
    assert compile_all(tmp_path, check=False) == ["line-1"]
    assert (tmp_path / "line-1.json").read_bytes() == LINE_1
    assert compile_all(tmp_path, check=False) == []
