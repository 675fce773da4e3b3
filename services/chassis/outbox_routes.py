# SPDX-License-Identifier: Apache-2.0
"""A source's outbox over HTTP, for audit: what the bus lost is fetched from here.

Shows every party's metadata, so it needs the scope `outbox:read`, which only the
client `audit` is given. Rows that were receipted and trimmed are not here any more:
they are in the log.
"""
# Annotations are evaluated here: FastAPI reads them.

import base64
from collections.abc import Sequence
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel

from contracts.scopes import Scope
from services.chassis import outbox
from services.chassis.auth import require
from services.chassis.body import MAX_INT, Digits, StrictRouter, Text
from services.chassis.journal import Journal

LaneId = Annotated[str, Query(), Text(32, pattern=r"^[0-9a-f]{32}$")]
First = Annotated[int, Query(alias="from", ge=1, le=MAX_INT), Digits]
Last = Annotated[int | None, Query(alias="to", ge=1, le=MAX_INT), Digits]


class EventOut(BaseModel):
    """One event.

    Attributes:
        event: Its exact bytes, base64.
        head: The signature over its group, base64, on the group's last event.
    """

    seq: int
    event: str
    head: str | None


class EventsOut(BaseModel):
    """Events of one lane, gapless, as far as they are still kept."""

    lane: str
    events: list[EventOut]


class HeadOut(BaseModel):
    """A lane's signed end; `successor` is empty while it is open.

    Attributes:
        leaf_hash: `sha256:<hex>` of its last leaf.
        head: The signature, base64.
    """

    lane: str
    slot: str
    seq: int
    leaf_hash: str
    head: str
    successor: str


class HeadsOut(BaseModel):
    """Every lane of this source."""

    items: list[HeadOut]


def router(journals: Sequence[Journal]) -> StrictRouter:
    """Return the routes /v1/outbox and /v1/outbox/heads over `journals`.

    Journals that share their tables are read once.
    """
    api = StrictRouter(tags=["outbox"], dependencies=[require(Scope.OUTBOX_READ)])
    read = list({id(journal.tables): journal for journal in journals}.values())

    @api.get("/v1/outbox", summary="Events of a lane, to the next signed head")
    async def read_outbox(
        lane: LaneId, first: First = 1, last: Last = None
    ) -> EventsOut:
        end = MAX_INT if last is None else last
        for journal in read:
            rows = await _rows(journal, lane, first, end)
            if rows:
                return EventsOut(lane=lane, events=[_event(row) for row in rows])
        return EventsOut(lane=lane, events=[])

    @api.get("/v1/outbox/heads", summary="The signed end of every lane")
    async def read_heads() -> HeadsOut:
        items: list[HeadOut] = []
        for journal in read:
            items.extend(_head(head) for head in await _heads(journal))
        return HeadsOut(items=items)

    return api


async def _rows(
    journal: Journal, lane: str, first: int, last: int
) -> list[outbox.OutboxRow]:
    return await journal.read(
        lambda c: outbox.rows_to_head(c, journal.tables, lane, first, last)
    )


async def _heads(journal: Journal) -> list[outbox.LaneHead]:
    return await journal.read(lambda c: outbox.heads(c, journal.tables))


def _event(row: outbox.OutboxRow) -> EventOut:
    head = None if row.head is None else _text(row.head)
    return EventOut(seq=row.seq, event=_text(row.event), head=head)


def _head(head: outbox.LaneHead) -> HeadOut:
    return HeadOut(
        lane=head.lane,
        slot=head.slot,
        seq=head.seq,
        leaf_hash=f"sha256:{head.leaf_hash.hex()}",
        head=_text(head.head),
        successor=head.successor,
    )


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
