# SPDX-License-Identifier: Apache-2.0
"""Who an officer is in a handover: from the party's side and the enrolled role.

Pure. A role that a side does not have is no role: it sees nothing it may change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.transfer.handovers.states import Actor

_SELLER: Final[Mapping[str, Actor]] = {
    "owner": Actor.SO,
    "compliance": Actor.SC,
    "operator": Actor.SR,
}
_BUYER: Final[Mapping[str, Actor]] = {"owner": Actor.BO, "compliance": Actor.BC}


@dataclass(frozen=True, slots=True)
class Sides:
    """The parties of a handover; `reviewer` is empty while none is named."""

    seller: str
    buyer: str
    reviewer: str = ""

    def includes(self, party: str) -> bool:
        """Whether a party may know of the handover at all."""
        return party != "" and party in (self.seller, self.buyer, self.reviewer)


def actor_of(sides: Sides, party: str, role: str) -> Actor | None:
    """Return what an officer of a party is in a handover; None if nothing."""
    if party == sides.seller:
        found = _SELLER.get(role)
    elif party == sides.buyer:
        found = _BUYER.get(role)
    elif sides.reviewer and party == sides.reviewer:
        # A reviewer is of neither side, whatever a side calls its own people.
        found = Actor.PR if role == "reviewer" else None
    else:
        return None
    return Actor.MO if found is None and role == "monitor" else found
