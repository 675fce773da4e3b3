# SPDX-License-Identifier: Apache-2.0
"""`AsyncKeyturn`: the awaited twin of `client`, line for line."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import partial
from types import TracebackType
from typing import Any, Self

import httpx

from contracts.log.checkpoint import Checkpoint
from keyturn_client import audit, transfer, vault
from keyturn_client.audit import Filters, LogEvent
from keyturn_client.awaited import AsyncSender, sent
from keyturn_client.batches import Item
from keyturn_client.calls import Answer, Call
from keyturn_client.connecting import House
from keyturn_client.conversation import edited
from keyturn_client.login import Login
from keyturn_client.models.audit import EventsOut
from keyturn_client.models.transfer import HandoverPage, HandoverView
from keyturn_client.models.vault import (
    BatchItemIn,
    InstallationOut,
    ListedOut,
    ListOut,
    OfficerKeysOut,
    PatchIn,
    WrittenOut,
)
from keyturn_client.proving import LogView, Proven


class AsyncRoom:
    """Operations that belong together.

    Each method is one of `vault`, `transfer` or `audit`, sent; its arguments and its
    documentation are there.
    """

    def __init__(self, sender: AsyncSender) -> None:
        self.sender = sender


class AsyncCatalogue(AsyncRoom):
    """What the party keeps: classes and their fields."""

    read = sent(vault.read_catalogue)
    put_class = sent(vault.put_class)
    put_field = sent(vault.put_field)


class AsyncRecords(AsyncRoom):
    """The party's records."""

    create = sent(vault.create_record)
    upsert = sent(vault.upsert_record)
    look_up = sent(vault.look_up_records)
    read = sent(vault.read_record)
    patch = sent(vault.patch_record)
    erase = sent(vault.erase_record)
    append = sent(vault.append_entries)
    consent = sent(vault.put_consent)
    object = sent(vault.put_objection)
    history = sent(vault.read_history)
    aliases = sent(vault.resolve_aliases)
    page = sent(vault.list_records)
    batch_page = sent(vault.batch_records)
    aggregate = sent(vault.aggregate_records)
    collisions = sent(vault.list_collisions)
    settle = sent(vault.settle_collision)

    async def each(
        self, *, limit: int | None = None, purpose: str | None = None
    ) -> AsyncIterator[ListedOut]:
        """Yield the id and ETag of every record, page by page of `limit`."""

        def call(cursor: str | None) -> Call[ListOut]:
            return vault.list_records(cursor=cursor, limit=limit, purpose=purpose)

        async for answer in self.sender.pages(call):
            for item in answer.body["items"]:
                yield item

    async def batch(
        self,
        items: Iterable[BatchItemIn],
        *,
        all_or_none: bool = False,
        purpose: str | None = None,
    ) -> AsyncIterator[Item]:
        """Create or change any number of records, 100 at once.

        Yields what became of each, in order, as the calls are answered: nothing is
        sent before it is asked for. `all_or_none` is about each hundred.
        """
        results = self.sender.batches(items, all_or_none=all_or_none, purpose=purpose)
        async for item in results:
            yield item

    async def edit(
        self,
        record: str,
        change: Callable[[dict[str, Any]], PatchIn | None],
        *,
        purpose: str | None = None,
    ) -> Answer[WrittenOut] | None:
        """Read a record, patch it by `change`, and read anew if somebody was faster."""
        return await self.sender.hold(edited(record, change, purpose=purpose))


class AsyncHandovers(AsyncRoom):
    """The handovers that the party takes part in."""

    create = sent(transfer.create_handover)
    step = sent(transfer.act_on_handover)
    show = sent(transfer.get_handover)
    history = sent(transfer.get_history)
    report = sent(transfer.get_report)
    documents = sent(transfer.get_documents)
    plan = sent(transfer.get_plan)
    scope = sent(transfer.get_scope)
    page = sent(transfer.list_handovers)

    async def each(
        self, *, state: str | None = None, limit: int | None = None
    ) -> AsyncIterator[HandoverView]:
        """Yield every handover, the newest first."""

        def call(cursor: str | None) -> Call[HandoverPage]:
            return transfer.list_handovers(cursor=cursor, limit=limit, state=state)

        async for answer in self.sender.pages(call):
            for item in answer.body["items"]:
                yield item

    async def follow(self, handover: str) -> AsyncIterator[dict[str, Any]]:
        """Yield each change of a handover's state and counts, until it has ended."""

        def call(_: str) -> Call[bytes]:
            return transfer.follow_handover(handover)

        async for event in self.sender.follow(call, ends=True):
            yield json.loads(event.data)


class AsyncLog(AsyncRoom):
    """The log of every access: search, stream, proofs."""

    page = sent(audit.find_events)
    event = sent(audit.read_event)
    proof = sent(audit.read_proof)
    alerts = sent(audit.read_alerts)
    lanes = sent(audit.read_lanes)
    lane_end = sent(audit.read_lane_end)
    checkpoint = sent(audit.read_checkpoint)
    tile = sent(audit.read_tile)
    bundle = sent(audit.read_bundle)
    export = sent(audit.export_log)

    async def each(
        self, filters: Filters | None = None, *, limit: int | None = None
    ) -> AsyncIterator[LogEvent]:
        """Yield every event that is found, page by page of `limit`."""

        def call(cursor: str | None) -> Call[EventsOut]:
            return audit.find_events(filters, cursor=cursor, limit=limit)

        async for answer in self.sender.pages(call):
            for item in answer.body["items"]:
                yield LogEvent.of(item)

    async def follow(
        self, start: int | None = None, *, after: int | None = None
    ) -> AsyncIterator[LogEvent]:
        """Yield the party's events as they are published, and never stop by itself.

        Comes back after a lost connection or an ended token and misses nothing.

        Args:
            start: Index of the first leaf; None begins with what comes from now on.
            after: Index of the last leaf that was seen in an earlier run.
        """
        first = "" if after is None else str(after)

        def call(last: str) -> Call[bytes]:
            return audit.follow_log(start, last or first)

        async for event in self.sender.follow(call, ends=False):
            yield LogEvent.sent(event)

    async def advance(self, view: LogView) -> Checkpoint:
        """Believe the newest checkpoint, if it follows from the last one seen."""
        return await self.sender.hold(view.advance())

    async def prove(self, view: LogView, event: str, *, within: float = 30.0) -> Proven:
        """Fetch an event and its proof and check both offline; see `LogView.prove`."""
        return await self.sender.hold(view.prove(event, within=within))


class AsyncKeyturn:
    """An installation, as one client calls it. Close it, or use it in an `async with`.

    Args:
        house: Where its services are.
        login: Who calls, such as `ClientLogin.from_file(...)`.
        transport: Another way to send, for tests.
    """

    def __init__(
        self,
        house: House,
        login: Login,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        made = partial(AsyncSender, house, login, transport)
        self.sender = made() if sleep is None else made(sleep)
        self.catalogue = AsyncCatalogue(self.sender)
        self.records = AsyncRecords(self.sender)
        self.handovers = AsyncHandovers(self.sender)
        self.log = AsyncLog(self.sender)

    async def installation(self) -> Answer[InstallationOut]:
        """Which installation this is."""
        return await self.sender.send(vault.read_installation())

    async def officers(self, party: str) -> Answer[OfficerKeysOut]:
        """The officers of a party and their public keys."""
        return await self.sender.send(vault.list_officers(party))

    async def close(self) -> None:
        """Close the connections."""
        await self.sender.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
