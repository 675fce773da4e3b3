# SPDX-License-Identifier: Apache-2.0
"""Promise: no officer signs over a log that shrank, forked or changed its key."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from contracts.log.checkpoint import NoteSigner
from services.cli.http import Api, EvidenceWrong, FileUnusable
from services.cli.pinning import read_pin, witness
from tests.fakes.evidence import ORIGIN, write_log
from tests.unit.cli.deal import ENTRIES, Deal, officer


@pytest.fixture
def deal(tmp_path: Path) -> Deal:
    return Deal(tmp_path / "log")


@pytest.fixture
def log(deal: Deal, tmp_path: Path) -> Api:
    return deal.desk(officer(), tmp_path / "unused", None).audit


@pytest.fixture
def pin(tmp_path: Path) -> Path:
    return tmp_path / "sc.json.pin"


def test_a_log_that_grew_is_pinned_anew(deal: Deal, log: Api, pin: Path) -> None:
    assert witness(log, pin, deal.log_key).before is None
    for size in (300, 512, 777):
        write_log(deal.log, ENTRIES[:size])
        seen = witness(log, pin, None)
        assert seen.checkpoint.size == size
        found = read_pin(pin)
        assert found is not None
        assert found.note == seen.note
    assert stat.S_IMODE(pin.stat().st_mode) == 0o600


def test_without_a_pin_the_key_must_be_given(log: Api, pin: Path) -> None:
    with pytest.raises(FileUnusable, match="--log-key"):
        witness(log, pin, None)


def test_a_log_that_was_rolled_back_is_refused(deal: Deal, log: Api, pin: Path) -> None:
    before = witness(log, pin, deal.log_key)
    write_log(deal.log, ENTRIES[:200])
    with pytest.raises(EvidenceWrong, match="rolled back"):
        witness(log, pin, None)
    kept = read_pin(pin)
    assert kept is not None
    assert kept.note == before.note


@pytest.mark.parametrize("size", [300, 700])
def test_a_fork_is_refused_whether_it_is_longer_or_not(
    deal: Deal, log: Api, pin: Path, size: int
) -> None:
    witness(log, pin, deal.log_key)
    other = ENTRIES[:size]
    other[7] = other[5]
    write_log(deal.log, other)
    with pytest.raises(EvidenceWrong, match="does not continue"):
        witness(log, pin, None)


def test_another_key_is_refused(deal: Deal, log: Api, pin: Path) -> None:
    witness(log, pin, deal.log_key)
    with pytest.raises(EvidenceWrong, match="another than the pinned"):
        witness(log, pin, NoteSigner(ORIGIN, bytes(32)).vkey)


def test_a_note_that_the_log_did_not_sign_is_refused(
    deal: Deal, log: Api, pin: Path
) -> None:
    other = NoteSigner(ORIGIN, bytes(32))
    with pytest.raises(EvidenceWrong, match="checkpoint"):
        witness(log, pin, other.vkey)


def test_a_damaged_pin_is_never_taken_for_none(deal: Deal, log: Api, pin: Path) -> None:
    pin.write_text("{}")
    pin.chmod(0o600)
    with pytest.raises(FileUnusable, match="damaged"):
        witness(log, pin, deal.log_key)
