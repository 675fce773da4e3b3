# SPDX-License-Identifier: Apache-2.0
"""Payloads of what follows a turn at the buyer: collisions, and how they end.

They concern the buyer alone. No event of these holds a value.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from contracts.events.payload import Acted, Alias, Code, Keyed, Payload


class CollisionFound(Acted):
    """A record that arrived shares a value of a unique field with one of the buyer's.

    Attributes:
        position: Of the collision in its handover.
        record: The one that arrived; its alias for the buyer, whose event this is.
        other: The one that it shares the value with.
    """

    TYPE: ClassVar[str] = "org.keyturn.collision.found.v1"
    CLASSIFICATION: ClassVar[str] = "restricted"
    handover: str
    position: Annotated[int, Field(ge=1)]
    field: Code
    record: Alias
    other: Alias


class CollisionSettled(Acted):
    """A person decided about two records that share a value.

    Attributes:
        kept: The record that goes on, or with both kept has the unique entry.
        other: The record that was absorbed, or is kept beside it.
    """

    TYPE: ClassVar[str] = "org.keyturn.collision.settled.v1"
    CLASSIFICATION: ClassVar[str] = "restricted"
    handover: str
    position: Annotated[int, Field(ge=1)]
    field: Code
    decision: Literal["keep_both", "merge"]
    kept: Alias
    other: Alias


class RecordMerged(Acted):
    """A record ended: what it held is the record's that absorbed it.

    Attributes:
        record: The one that ended.
        into: The one that goes on.
        classes: The classes that ended.
        digests: Per folio `class/volume` of the record that goes on, the keyed digest
            of its new ciphertext.
    """

    TYPE: ClassVar[str] = "org.keyturn.record.merged.v1"
    CLASSIFICATION: ClassVar[str] = "restricted"
    record: Alias
    into: Alias
    classes: list[Code]
    digests: dict[str, Keyed]


COLLISION_EVENTS: tuple[type[Payload], ...] = (
    CollisionFound,
    CollisionSettled,
    RecordMerged,
)
