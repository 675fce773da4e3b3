# SPDX-License-Identifier: Apache-2.0
"""Where an arrived value of a unique field goes in the buyer's index. Pure.

A value has at most one unique entry of a party. Whoever shares it has a look-up entry
of its own, which is found like any other. Source: vault.md, Uniqueness.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

UNIQUE = ""
"""The slot of the one unique entry; others stand in the slot of their record."""


class Holder(NamedTuple):
    """A record with a native entry of a value.

    Attributes:
        slot: `UNIQUE`, or the record's id.
        active: Whether the party's custody of the field's class is active; else a
            handover took it away.
    """

    record: str
    slot: str
    active: bool


class Placed(NamedTuple):
    """Where an arrived entry goes.

    Attributes:
        slot: `UNIQUE`, or its record's id.
        aside: The record whose unique entry becomes a look-up entry; or None.
        other: The record that it collides with; or None.
    """

    slot: str
    aside: str | None = None
    other: str | None = None


def place(record: str, holders: Collection[Holder], *, active: bool = True) -> Placed:
    """Return where the entry of an arrived record goes.

    Args:
        record: The arrived record.
        holders: The other records with a native entry of the same value.
        active: Whether the party still has the arrived record's class; if a further
            handover took it away meanwhile, it collides with nobody.
    """
    if not active:
        return Placed(record)
    standing = sorted(
        (one for one in holders if one.active),
        key=lambda one: (one.slot != UNIQUE, one.record),
    )
    if standing:
        return Placed(record, other=standing[0].record)
    # What the party gave away and now has again under another id is in nobody's way.
    aside = next((one.record for one in holders if one.slot == UNIQUE), None)
    return Placed(UNIQUE, aside=aside)
