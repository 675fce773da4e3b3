# SPDX-License-Identifier: Apache-2.0
"""Promise: a log that is written while it is verified is no false alarm."""

import shutil
from pathlib import Path

import pytest

from services.cli.evidence import Evidence
from services.cli.verify import verify_directory
from tests.fakes.evidence import Lane, write_log


def test_a_log_that_grows_while_it_is_read_verifies_at_its_newest_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = Lane("a")
    entries = [lane.open(), *(lane.read("p") for _ in range(599))]
    write_log(tmp_path, entries[:250])
    read = Evidence.read

    def read_while_it_grows(self: Evidence, file: str, limit: int) -> bytes:
        if file.startswith("log/tile/entries/000.p/"):  # after the checkpoint
            shutil.rmtree(tmp_path / "log")
            write_log(tmp_path, entries)
        return read(self, file, limit)

    monkeypatch.setattr(Evidence, "read", read_while_it_grows)
    report = verify_directory(tmp_path)
    assert (report.ok, report.size) == (True, 600), report.findings


def test_a_log_that_grows_is_not_read_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = Lane("a")
    entries = [lane.open(), *(lane.read("p") for _ in range(249))]
    sizes = iter(range(len(entries) - 100, len(entries)))
    write_log(tmp_path, entries[:100])
    read = Evidence.read

    def read_damaged(self: Evidence, file: str, limit: int) -> bytes:
        octets = read(self, file, limit)
        if file.startswith("log/tile/0/"):
            write_log(tmp_path, entries[: next(sizes)])
            return bytes(len(octets))
        return octets

    monkeypatch.setattr(Evidence, "read", read_damaged)
    report = verify_directory(tmp_path)
    assert "tile" in {found.rule for found in report.findings}
    assert not report.ok
