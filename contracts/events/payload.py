# SPDX-License-Identifier: Apache-2.0
"""What every event payload shares, and the draft that a source hands to its lane.

Payloads are thin: aliases, ids of handovers, parties and clients, digests, counts
and codes. No personal data and no API id of a record, ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, StringConstraints

Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.\-/]{0,63}$")]
Alias = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
PartyId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Keyed = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]

MAX_ITEMS: Final = 100  # a bulk operation is several events of at most 100 items


@dataclass(frozen=True, slots=True)
class EventDraft:
    """An event before its lane numbers it.

    Attributes:
        type: `org.keyturn.<noun>.<verb>.v1`.
        classification: CloudEvents `dataclassification`.
        parties: The parties it concerns, in order; each gets its next `pseq`.
        data: Canonical-JSON values (strings, integers, booleans, lists, objects).
    """

    type: str
    classification: str
    parties: tuple[str, ...]
    data: Mapping[str, Any]


class Payload(BaseModel):
    """Base of all payloads; `draft` turns one into an `EventDraft`."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, populate_by_name=True
    )

    TYPE: ClassVar[str]
    CLASSIFICATION: ClassVar[str] = "confidential"

    def draft(self, *parties: str) -> EventDraft:
        """Return the draft of this event for `parties`."""
        return EventDraft(
            type=self.TYPE,
            classification=self.CLASSIFICATION,
            parties=parties,
            data=self.model_dump(exclude_none=True, by_alias=True),
        )


class Acted(Payload):
    """A payload of something that somebody did.

    Attributes:
        actor: Alias of the client or officer who acted; never an OIDC `sub`.
        on_behalf_of: As the caller claimed; never an input of a decision.
        client: The client id when a system acted.
    """

    actor: Alias | None = None
    on_behalf_of: str | None = None
    client: str | None = None
