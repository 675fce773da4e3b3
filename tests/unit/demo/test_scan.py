# SPDX-License-Identifier: Apache-2.0
"""Promise: a person's name that lies anywhere, in any usual spelling, is found."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.demo.scan import CHUNK_BYTES, Needles, scan, spellings

NAMES = ["李娜", "欧阳建国", "Jane Roe", "jane.0123+shop@example.com", "+8613812345678"]
SPELLINGS: dict[str, Callable[[str], bytes]] = {
    "utf-8": lambda needle: needle.encode(),
    "utf-16-le": lambda needle: needle.encode("utf-16-le"),
    "utf-16-be": lambda needle: needle.encode("utf-16-be"),
    "json": lambda needle: json.dumps({"n": needle}).encode(),
    "upper json": lambda needle: "".join(_escaped(char) for char in needle).encode(),
    "hex": lambda needle: needle.encode().hex().encode(),
    "upper hex": lambda needle: needle.encode().hex().upper().encode(),
    "base64 at 0": lambda needle: base64.b64encode(needle.encode() + b"!!"),
    "base64 at 1": lambda needle: base64.b64encode(b"x" + needle.encode() + b"!!"),
    "base64 at 2": lambda needle: base64.b64encode(b"xy" + needle.encode() + b"!!"),
    "base64url": lambda needle: base64.urlsafe_b64encode(b"xy" + needle.encode()),
}
CASES = [
    (needle, spelling)
    for needle in NAMES
    for spelling in SPELLINGS
    # Four bytes: ciphertext has them by chance, nobody could tell.
    if not (needle == "李娜" and spelling.startswith("utf-16"))
]


def _escaped(char: str) -> str:
    return char if char.isascii() else f"\\u{ord(char):04X}"


@pytest.fixture(scope="module")
def noise() -> bytes:
    return random.Random(7).randbytes(2 * CHUNK_BYTES)


def planted(folder: Path, noise: bytes, octets: bytes, at: int) -> Path:
    target = folder / "state" / "deep"
    target.mkdir(parents=True, exist_ok=True)
    (target / "some.db").write_bytes(noise[:at] + octets + noise[at:])
    return folder / "state"


@pytest.mark.parametrize(("needle", "spelling"), CASES)
def test_a_planted_needle_is_found_in_every_spelling_and_place(
    tmp_path: Path, noise: bytes, needle: str, spelling: str
) -> None:
    octets = SPELLINGS[spelling](needle)
    for at in (0, 1, 4_097, 70_002):
        state = planted(tmp_path, noise[:100_000], octets, at)
        found = scan([state], Needles(NAMES))
        assert found.findings, f"not found at {at}"
        assert found.findings[0].file == "state/deep/some.db"


@pytest.mark.parametrize("shift", range(-40, 3, 6))
def test_a_needle_across_the_border_of_two_chunks_is_found(
    tmp_path: Path, noise: bytes, shift: int
) -> None:
    at = CHUNK_BYTES + shift
    state = planted(tmp_path, noise, NAMES[3].encode(), at)
    (found,) = scan([state], Needles(NAMES)).findings
    assert found.offset == at


def test_noise_has_no_needle_and_every_file_is_read(
    tmp_path: Path, noise: bytes
) -> None:
    (tmp_path / "a").write_bytes(noise)
    (tmp_path / "empty").write_bytes(b"")
    found = scan([tmp_path], Needles(NAMES))
    assert (found.files, found.octets) == (2, len(noise))
    assert found.findings == ()


def test_a_finding_never_says_which_needle(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"..jane.0123+shop@example.com..")
    (found,) = scan([tmp_path], Needles(NAMES)).findings
    assert "jane" not in repr(found)


def test_short_spellings_are_left_out() -> None:
    for name in NAMES:
        for one in spellings(name):
            # Seven base64 digits and the bits of their borders are 48 bits too.
            assert len(one.octets) >= (7 if one.name.startswith("base64") else 6)


def test_base64_digits_alone_are_no_finding(tmp_path: Path) -> None:
    """Seven digits of a short name occur in ciphertext; its other bits must be there."""
    borders = [s for s in spellings("董英") if s.before and s.after]
    assert borders
    for one in borders:
        wrong = next(bytes([d]) for d in b"ABCDEFGH" if d not in one.before)
        (tmp_path / "a").write_bytes(
            b"AAAA" + wrong + one.octets + one.after[:1] + b"AA"
        )
        assert not scan([tmp_path], Needles(["董英"])).findings
        (tmp_path / "a").write_bytes(
            b"AAAA" + one.before[:1] + one.octets + one.after[:1] + b"AA"
        )
        assert scan([tmp_path], Needles(["董英"])).findings
