# SPDX-License-Identifier: Apache-2.0
"""A party's whole view of the log: its events, and what shows that none is missing.

Events go out in pages, `<leaf index> <exact bytes>` a line, and no event has a proof
of its own: the hash tiles that go with every export place each of them under the
signed root (decision 0019). Each source's party heads say where its lanes end.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import Final

from contracts.events.party_heads import SignedPartyHeads
from contracts.log.checkpoint import Checkpoint
from services.audit.log.reading import LogReadings, Published
from services.audit.search import store
from services.audit.search.operations import FRESH_SECONDS
from services.audit.search.projection import Projection
from services.audit.search.store import Wanted
from services.audit.search.tar import member

PAGE: Final = 256  # events of a member; no more of them are held at once
WAIT_SECONDS: Final = 10.0  # for what a source has just signed to become leaves
LOOK_SECONDS: Final = 0.05

Heads = Mapping[str, SignedPartyHeads | None]
AskHeads = Callable[[str, Checkpoint], Awaitable[Heads]]


class PartyView:
    """Makes the part of an export that is a party's own."""

    def __init__(self, log: LogReadings, projection: Projection, ask: AskHeads) -> None:
        self._log = log
        self._projection = projection
        self._ask = ask

    async def heads(self, party: str) -> Heads:
        """Ask the sources under what is published, and wait until the log has it all.

        The snapshot that is taken next then holds what they signed. A source that
        signs more than it sends is not waited for long: the export shows it.

        Raises:
            EventNotFound: Nothing is published yet.
            DatabaseError: The log could not be read.
        """
        heads = await self._ask(party, self._log.published().checkpoint)
        due = {
            item.lane: item.seq
            for signed in heads.values()
            if signed is not None
            for item in signed.heads.lanes
        }
        for _look in range(int(WAIT_SECONDS / LOOK_SECONDS)):
            _published, ends = await self._log.snapshot()
            held = {end.lane: end.seq for end in ends}
            if all(held.get(lane, 0) >= seq for lane, seq in due.items()):
                break
            await asyncio.sleep(LOOK_SECONDS)
        return heads

    async def pieces(
        self, published: Published, party: str, heads: Heads
    ) -> AsyncIterator[bytes]:
        """Yield `view.json`, `party-heads/`, and `events/` page by page."""
        size = published.checkpoint.size
        end = min(await self._projection.reached(size, FRESH_SECONDS), size)
        about = {
            "party": party,
            "leaves_in_log": size,
            "leaves_searched": end,
            "heads_missing": sorted(name for name in heads if heads[name] is None),
        }
        yield member("view.json", json.dumps(about).encode() + b"\n")
        for service, signed in sorted(heads.items()):
            if signed is not None:
                yield member(f"party-heads/{service}.json", signed.to_json())
        wanted, first = Wanted(sees=party), 0
        while True:
            find = partial(store.find, wanted=wanted, first=first, end=end, limit=PAGE)
            indexes = await self._projection.database.read(find)
            if not indexes:
                return
            leaves = await self._log.leaves(indexes)
            lines = [b"%d %s\n" % (leaf.index, leaf.event) for leaf in leaves]
            yield member(f"events/{indexes[0]:012}.txt", b"".join(lines))
            first = indexes[-1] + 1
