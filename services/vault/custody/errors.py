# SPDX-License-Identifier: Apache-2.0
"""What can be in the way of a change to records in custody."""

from __future__ import annotations

from contracts import problems
from services.vault.errors import VaultError


class FolioFrozen(VaultError):  # noqa: N818 - a state
    """The folio stands in a live handover: its version is pinned until the end."""

    problem = problems.FOLIO_FROZEN

    def __init__(self, handover: str) -> None:
        """Remember which `handover` pinned it."""
        super().__init__("The folio stands in a live handover.")
        self.extra = {"handover": handover}


class FolioMoved(VaultError):  # noqa: N818
    """Somebody else wrote a newer version first; seal again from that one."""

    problem = problems.BUSY


class EtagStale(VaultError):  # noqa: N818
    """The record changed since the caller read it."""

    problem = problems.ETAG_STALE


class ValueTaken(VaultError):  # noqa: N818
    """A unique value belongs to another record; `field` names the field only."""

    problem = problems.UNIQUE_CONFLICT

    def __init__(self, field: str) -> None:
        """Remember the catalogue's name of the `field`."""
        super().__init__(f"The value of {field!r} belongs to another record.")
        self.field = field
        self.extra = {"field": field}


class HandedOver(VaultError):  # noqa: N818
    """The record was handed over; it is neither changed nor created again here."""

    problem = problems.HANDED_OVER

    def __init__(self) -> None:
        """Leave room for the event that names the refusal in the log."""
        super().__init__("The record was handed over.")
        self.extra: dict[str, str] = {}
