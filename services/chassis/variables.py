# SPDX-License-Identifier: Apache-2.0
"""What the variables of the environment may hold, and how their text is read.

Each of the constants below is the metadata of a settings field of one kind.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
SAMPLE_SECRETS = tuple(
    "change example insecure password sample secret keyturn".split()  # noqa: SIM905
)
MIN_SECRET_CHARACTERS = 16


class Secret:
    """A string that no log, repr or traceback shows."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself, for the one call that needs it."""
        return self._value

    def looks_like_a_sample(self) -> bool:
        """Tell whether the value is short or contains a word that samples use."""
        low = self._value.lower()
        return len(low) < MIN_SECRET_CHARACTERS or any(s in low for s in SAMPLE_SECRETS)

    def __repr__(self) -> str:
        return "***"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a secret is not pickled")


class Mode(StrEnum):
    """How much the installation must prove about itself before it starts."""

    EMBEDDED = "embedded"
    PRODUCTION = "production"


class LogLevel(StrEnum):
    """Lowest level that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def read(parse: Callable[[str], object], fix: str) -> Mapping[str, Any]:
    """Return the metadata of a settings field.

    Args:
        parse: Turns the variable's text into the value, or raises ValueError.
        fix: What the variable must hold, shown when `parse` refuses.
    """
    return {"parse": parse, "fix": fix}


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return a parser of integers in `low..high`."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
            raise ValueError
        return int(text)

    return parse


def one_of(*words: str) -> Mapping[str, Any]:
    """Return the metadata of a field that holds one of these words."""
    return read(
        {word: word for word in words}.__getitem__, f"one of {', '.join(words)}"
    )


def boolean(text: str) -> bool:
    """Parse `true` or `false`, nothing else."""
    return {"true": True, "false": False}[text]


def words(text: str) -> tuple[str, ...]:
    """Parse a comma-separated list; blanks around items are dropped."""
    return tuple(item.strip() for item in text.split(",") if item.strip())


def url(text: str) -> str:
    """Parse an http(s) URL without user, query or fragment; drop a final slash."""
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError
    return text.rstrip("/")


def crash_point(text: str) -> tuple[str, int]:
    """Parse `label` or `label:hits` of a crash point."""
    label, _, hits = text.partition(":")
    return label, whole(1, 1_000_000)(hits or "1")


def is_loopback(address: str) -> bool:
    """Tell whether a host name or URL stays on this host."""
    host = urlsplit(address).hostname if "://" in address else address
    return host in LOOPBACK


TEXT = read(str, "text")
PATH = read(Path, "a path")
SECRET = read(Secret, "a secret")
WORDS = read(words, "a comma-separated list")
URL = read(url, "an http(s) URL without user, query or fragment")
BOOL = read(boolean, "`true` or `false`")
PORT = read(whole(0, 65_535), "a TCP port, 0-65535")
LEVEL = read(LogLevel, "a log level")
DESCRIPTOR = read(whole(3, 1_000_000), "a file descriptor of a supervisor")
CRASH = read(crash_point, "`label` or `label:hits`")
