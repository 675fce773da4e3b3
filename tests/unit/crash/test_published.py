# SPDX-License-Identifier: Apache-2.0
"""Promise: the judge's own reader and the product's writer mean the same log."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.log import merkle
from tests.crash.checking.published import (
    LogUnreadable,
    leaf_hash,
    open_note,
    read_log,
    root_of,
)
from tests.fakes.evidence import SIGNER, honest_entries, write_log


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 255, 256, 257, 300, 513])
def test_roots_are_the_same_as_those_of_the_contracts(size: int) -> None:
    entries = [str(n).encode() for n in range(size)]
    hashes = [leaf_hash(entry) for entry in entries]
    assert hashes == [merkle.leaf_hash(entry) for entry in entries]
    assert root_of(hashes) == merkle.tree_root(hashes)


def test_a_published_log_is_read_whole(tmp_path: Path) -> None:
    entries = honest_entries()
    write_log(tmp_path, entries)
    checkpoint, leaves = read_log(tmp_path / "log", SIGNER.vkey)
    assert [leaf.raw for leaf in leaves] == list(entries)
    assert checkpoint.root == root_of([leaf.hash for leaf in leaves])


def test_an_unsigned_checkpoint_and_a_cut_bundle_are_refused(tmp_path: Path) -> None:
    write_log(tmp_path, honest_entries())
    note = (tmp_path / "log" / "checkpoint").read_bytes()
    with pytest.raises(LogUnreadable):
        open_note(note.replace(b"\n\n", b"\nx\n\n", 1), SIGNER.vkey)
    bundles = (tmp_path / "log/tile/entries").rglob("*")
    bundle = max(path for path in bundles if path.is_file())
    bundle.write_bytes(bundle.read_bytes()[:-1])
    with pytest.raises(LogUnreadable):
        read_log(tmp_path / "log", SIGNER.vkey)
