# SPDX-License-Identifier: Apache-2.0
"""What clients tried and were told: the history that is judged afterwards.

Each client is sequential: it has one attempt under way at a time. A history is a file
of JSON lines, one an attempt, so that a failed run can be read by a person.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

ACKNOWLEDGED = "acknowledged"  # answered with a success
REFUSED = "refused"  # answered with a 4xx: it did not happen
UNKNOWN = "unknown"  # no answer, or a 5xx: it happened once or not at all


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request of one client.

    Attributes:
        client: Who; its attempts follow each other.
        party: `seller` or `buyer`.
        kind: create, patch, append, read, consent, objection, or step.
        begun, ended: Seconds of one monotonic clock.
        outcome: ACKNOWLEDGED, REFUSED or UNKNOWN.
        customer: The customer's external id; a handover's id for a step.
        value: What was written: a town for create and patch, an entry's id for append;
            a step's event.
        base: The etag that a patch was made from.
        etag: The record's etag in the answer, 0 where it names none.
        event: `Audit-Event` of the answer, `<lane>/<seq>`; of refusals too.
        record: The record's id in the answer.
        again: An acknowledged request sent once more under the same key.
        new: Whether the answer says that the record was created.
        town, entries: What a read showed.
    """

    client: str
    party: str
    kind: str
    begun: float
    ended: float
    outcome: str
    customer: str
    value: str = ""
    base: int = 0
    status: int = 0
    etag: int = 0
    event: str = ""
    record: str = ""
    again: bool = False
    new: bool = False
    town: str = ""
    entries: tuple[str, ...] = ()

    @property
    def acknowledged(self) -> bool:
        """Whether its client was told that it happened."""
        return self.outcome == ACKNOWLEDGED

    @property
    def refused(self) -> bool:
        """Whether its client was told that it did not happen."""
        return self.outcome == REFUSED


def line_of(attempt: Attempt) -> str:
    """Return an attempt as one line of JSON."""
    return json.dumps(asdict(attempt), separators=(",", ":"))


def read_history(path: Path) -> list[Attempt]:
    """Return the attempts of a file, as they were written."""
    rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return [Attempt(**{**row, "entries": tuple(row["entries"])}) for row in rows]


def of_kinds(history: Iterable[Attempt], *kinds: str) -> list[Attempt]:
    """Return the attempts of some kinds, in the order in which they began."""
    return sorted((a for a in history if a.kind in kinds), key=lambda a: a.begun)
