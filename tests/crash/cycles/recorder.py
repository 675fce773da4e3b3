# SPDX-License-Identifier: Apache-2.0
"""Writes the history while it happens: an attempt is on disk before the next begins."""

from __future__ import annotations

import threading
from pathlib import Path

from tests.crash.checking.history import Attempt, line_of


class Recorder:
    """A history file, written from several threads."""

    def __init__(self, path: Path) -> None:
        self.attempts: list[Attempt] = []
        self._file = path.open("w", encoding="utf-8")
        self._lock = threading.Lock()

    def note(self, attempt: Attempt) -> None:
        """Append an attempt."""
        with self._lock:
            self.attempts.append(attempt)
            self._file.write(line_of(attempt) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
