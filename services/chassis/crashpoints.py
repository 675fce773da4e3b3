# SPDX-License-Identifier: Apache-2.0
"""Labelled points at which a test may kill the process, exactly there.

A point does nothing unless armed. Arming is possible only from the settings of a
demonstration installation. A label that no test arms fails the tests.
"""

from __future__ import annotations

import os
import signal
from typing import Final

#: Every label in the code, with what a crash there leaves behind.
LABELS: Final = {
    "database.before_commit": "nothing: the group is rolled back by the engine",
    "database.after_commit": "a committed change whose caller got no answer",
    "migrate.before_commit": "the database at the revision before; repeat to go on",
    "relay.before_publish": "outbox rows that the next relay publishes",
    "relay.after_publish": "published rows that the next relay publishes again",
    "follower.before_receipt": "leaves in the log that the next pass receipts",
    "follower.after_receipt": "receipted rows that the next pass trims",
    "intake.before_commit": "messages that are fetched again from stored offsets",
    "intake.after_commit": "leaves in the database that no tile shows yet",
    "publish.before_tiles": "a tree edge in the database ahead of the tiles",
    "publish.before_checkpoint": "tiles on disk that no checkpoint covers yet",
    "publish.after_checkpoint": "a published checkpoint; nothing is left to do",
    "vault.batch.before_write": "a leased batch that the next worker executes",
    "vault.turn.after_write": "a turned handover whose caller got no answer",
    "vault.settlement.after_slice": "a settlement that the next start goes on with",
    "transfer.batch.after_execute": "an executed batch whose row is still leased",
    "transfer.advance.before_vault": "a handover in the state before the vault's step",
    "transfer.advance.after_vault": "a vault step that transfer has not recorded",
}


class CrashPoints:
    """The armed label of this process, if any."""

    def __init__(self) -> None:
        self._label: str | None = None
        self._left = 0

    def arm(self, label: str, hits: int = 1) -> None:
        """Kill this process at the `hits`-th reach of `label`.

        Raises:
            ValueError: No such label.
        """
        if label not in LABELS:
            msg = "no such crash point"
            raise ValueError(msg)
        self._label, self._left = label, hits

    def reach(self, label: str) -> None:
        """Die by SIGKILL if `label` is armed and its turn has come."""
        if label != self._label:
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


CRASH_POINTS: Final = CrashPoints()
