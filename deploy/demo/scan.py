# SPDX-License-Identifier: Apache-2.0
"""Searches whole directories for what went in: byte by byte, in every usual spelling.

Each needle is sought as UTF-8, UTF-16 (both byte orders), JSON with \\u escapes,
hexadecimal and base64 (standard and URL-safe, at each of its three positions). A
spelling of fewer than six bytes is left out: ciphertext has it by chance. The shortest
that are sought have 48 bits: one run in a thousand may see one by chance and say so.

How: a chunk is read as machine words at even positions, and every needle gives the
words it begins with at an even and at an odd position. Words that meet are looked at
closely. So a needle is found wherever it lies, and 100 MB take seconds.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

CHUNK_BYTES: Final = 1 << 20
MIN_BYTES: Final = 6
_WORD: Final = 8
_HALF: Final = 4
_STEP: Final = 2
_SHORT: Final = _WORD + _STEP - 1  # shorter spellings have no whole word at both


@dataclass(frozen=True, slots=True)
class Finding:
    """A needle that was found; never says which."""

    file: str
    offset: int
    spelling: str


@dataclass(frozen=True, slots=True)
class Spelling:
    """One way to write a needle.

    Attributes:
        before: Which byte must stand before it; empty for any. In base64 the digits
            at both borders hold some of the needle's bits, and those are compared too.
        after: Which byte must stand after it.
    """

    name: str
    octets: bytes
    before: bytes = b""
    after: bytes = b""

    def lies_at(self, chunk: bytes, start: int) -> bool:
        """Whether a chunk has it at a position."""
        end = start + len(self.octets)
        return (
            start >= 0
            and chunk.startswith(self.octets, start)
            and (not self.before or (start > 0 and chunk[start - 1] in self.before))
            and (not self.after or (end < len(chunk) and chunk[end] in self.after))
        )


def spellings(needle: str) -> Iterator[Spelling]:
    """Yield every spelling of a needle that is long enough to mean anything."""
    raw = needle.encode()
    found = {
        raw: "utf-8",
        needle.encode("utf-16-le"): "utf-16-le",
        needle.encode("utf-16-be"): "utf-16-be",
        raw.hex().encode(): "hex",
        raw.hex().upper().encode(): "hex",
    }
    found.setdefault(json.dumps(needle)[1:-1].encode(), "json")
    found.setdefault(_upper_escapes(needle).encode(), "json")
    for octets, name in found.items():
        if len(octets) >= MIN_BYTES:
            yield Spelling(name, octets)
    if len(raw) >= MIN_BYTES:
        for shift in range(3):
            yield from _base64(raw, shift)


def _upper_escapes(needle: str) -> str:
    return "".join(
        char if ord(char) < 128 else "".join(f"\\u{unit:04X}" for unit in _units(char))
        for char in needle
    )


def _units(char: str) -> Iterator[int]:
    octets = char.encode("utf-16-be")
    for at in range(0, len(octets), 2):
        yield int.from_bytes(octets[at : at + 2], "big")


_DIGITS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")


def _base64(raw: bytes, shift: int) -> Iterator[Spelling]:
    """Yield the base64 of `raw` where `shift` bytes (mod 3) stand before it."""
    bits = (shift + len(raw)) * 8
    digits = base64.b64encode(bytes(shift) + raw).rstrip(b"=")
    first, last = -(-shift * 8 // 6), bits // 6
    low, high = first * 6 - shift * 8, bits - last * 6
    before = after = b""
    if low:
        known = raw[0] >> (8 - low)
        before = bytes(
            d for n, d in enumerate(_DIGITS) if n & ((1 << low) - 1) == known
        )
    if high:
        known = raw[-1] & ((1 << high) - 1)
        after = bytes(d for n, d in enumerate(_DIGITS) if n >> (6 - high) == known)
    made = Spelling("base64", digits[first:last], before, after)
    yield made
    url = [part.translate(_TO_URL) for part in (made.octets, before, after)]
    if url != [made.octets, before, after]:
        yield Spelling("base64url", *url)


_Index = dict[int, list[tuple[int, Spelling]]]
"""Word → where it lies in which spelling."""

_Form = Literal["Q", "I"]


class Needles:
    """All spellings of all needles, ready to be sought."""

    def __init__(self, needles: Iterable[str]) -> None:
        self._words: _Index = {}
        self._halves: _Index = {}
        self.longest = 0
        self.count = 0
        for needle in needles:
            self.count += 1
            for spelling in spellings(needle):
                self._add(spelling)
        # A set's intersection runs over the chunk without keeping its words.
        self._indexes: tuple[tuple[_Index, frozenset[int], int, _Form], ...] = (
            (self._words, frozenset(self._words), _WORD, "Q"),
            (self._halves, frozenset(self._halves), _HALF, "I"),
        )

    def _add(self, spelling: Spelling) -> None:
        octets = spelling.octets
        # One byte more on each side: the borders of base64.
        self.longest = max(self.longest, len(octets) + 2)
        long_enough = len(octets) >= _SHORT
        size = _WORD if long_enough else _HALF
        index = self._words if long_enough else self._halves
        for at in range(_STEP):
            word = int.from_bytes(octets[at : at + size], sys.byteorder)
            index.setdefault(word, []).append((at, spelling))

    def search(self, chunk: bytes) -> Iterator[tuple[int, str]]:
        """Yield position and spelling of everything that lies in a chunk."""
        if len(chunk) < MIN_BYTES:
            return
        for index, wanted, size, form in self._indexes:
            for start in range(0, size, _STEP):
                end = start + (len(chunk) - start) // size * size
                view = memoryview(chunk)[start:end].cast("B").cast(form)
                for word in wanted.intersection(view):
                    yield from _look(chunk, word, size, index[word])


def _look(
    chunk: bytes, word: int, size: int, candidates: list[tuple[int, Spelling]]
) -> Iterator[tuple[int, str]]:
    """Compare whole spellings wherever a word occurs."""
    octets = word.to_bytes(size, sys.byteorder)
    position = chunk.find(octets)
    while position >= 0:
        for at, spelling in candidates:
            if spelling.lies_at(chunk, position - at):
                yield position - at, spelling.name
        position = chunk.find(octets, position + 1)


@dataclass(frozen=True, slots=True)
class Scan:
    """What a search came to.

    Attributes:
        findings: At most one per file and spelling.
    """

    needles: int
    files: int
    octets: int
    findings: tuple[Finding, ...]


def scan(folders: Iterable[Path], needles: Needles) -> Scan:
    """Search every regular file below the folders, whatever it is.

    A file that a running server removed meanwhile is passed over.

    Raises:
        OSError: A file cannot be read: an unread file is not a clean one.
    """
    files = octets = 0
    findings: list[Finding] = []
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_symlink() or not path.is_file():
                continue
            try:
                octets += path.stat().st_size
                findings += _in_file(path, folder, needles)
            except FileNotFoundError:
                continue
            files += 1
    return Scan(needles.count, files, octets, tuple(findings))


def _in_file(path: Path, folder: Path, needles: Needles) -> list[Finding]:
    found: dict[str, Finding] = {}
    name = f"{folder.name}/{path.relative_to(folder)}"
    overlap = max(needles.longest - 1, 0)
    kept, offset = b"", 0
    with path.open("rb") as file:
        while block := file.read(CHUNK_BYTES):
            chunk = kept + block
            for position, spelling in needles.search(chunk):
                found.setdefault(spelling, Finding(name, offset + position, spelling))
            kept = chunk[len(chunk) - min(overlap, len(chunk)) :]
            offset += len(chunk) - len(kept)
    return list(found.values())


def read_needles(path: Path) -> list[str]:
    """Return the lines of `needles.txt`."""
    return path.read_text(encoding="utf-8").splitlines()
