# SPDX-License-Identifier: Apache-2.0
"""Aggregates over a party's active custody: numbers of groups, nothing of a person.

Each record is judged as a read of it would be, by the state it has when its slice is
read; who may not be looked at for the purpose is left out. What is opened on the way
stays here, and the event is durable before the answer. It names no record: nothing of
one is disclosed, and a list of all of them would tell more than the answer does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from contracts.events import vault as vault_events
from services.chassis.auth import Principal
from services.chassis.journal import Journal
from services.chassis.lanes import EventRef
from services.vault import custody
from services.vault.access import Access, Action, Attributes, Caller
from services.vault.catalogue import Catalogue, Catalogues
from services.vault.custody import Page
from services.vault.keys.keyring import Keyring
from services.vault.records import aggregation, gathering, questions, reading
from services.vault.records.aggregation import Group, Tally, TooManyGroups
from services.vault.records.errors import ContentRefused
from services.vault.records.questions import Question
from services.vault.records.reading import Held, Refused

LISTED: Final = 100  # records of one list
SLICE: Final = 20  # records gathered in one snapshot: some milliseconds of the loop


@dataclass(frozen=True, slots=True)
class Aggregated:
    """An answer; `suppressed` says that groups are not shown, never how many."""

    groups: Sequence[Group]
    suppressed: bool
    event: EventRef


class Aggregates:
    """The records room, its counting part."""

    def __init__(
        self,
        changes: Journal,
        keyring: Keyring,
        catalogues: Catalogues,
        access: Access,
        *,
        smallest: int,
    ) -> None:
        self._changes = changes
        self._keyring = keyring
        self._catalogues = catalogues
        self._access = access
        self._smallest = smallest
        self._one = asyncio.Lock()

    async def aggregate(
        self, principal: Principal, purpose: str | None, asked: Question
    ) -> Aggregated:
        """Return the groups that may be shown, after the event is durable.

        One at a time in this process: each goes through all of a party's records.

        Raises:
            PurposeMissing, PurposeUnknown, PurposeNotGiven: Why it is asked for.
            AccessRefused: Policy denies it; logged.
            ContentRefused: The catalogue does not let it be asked.
            AuditUnavailable: The event is not durable: nothing is disclosed.
        """
        caller = await self._access.caller(principal, purpose, Action.AGGREGATE)
        catalogue = await self._catalogues.of(caller.party)
        questions.check(asked, catalogue)
        attributes = Attributes(
            caller.role, Action.AGGREGATE, asked.class_, caller.why()
        )
        await self._access.require(caller, Action.AGGREGATE, [attributes])
        async with self._one:
            tally, touched = await self._count(caller, asked, catalogue)
        event = vault_events.RecordsAggregated.model_validate(
            {
                **caller.acted(),
                "purpose": caller.why().value,
                "class": asked.class_,
                "measure": asked.measure.value,
                "fields": asked.fields(),
                "period": asked.period,
                "touched": touched,
                "policy": self._access.policy_version,
            }
        )
        ref = await self._access.append([event.draft(caller.party)])
        groups = aggregation.groups(tally.cells, self._smallest, asked.measure)
        return Aggregated(groups, len(groups) < len(tally.cells), ref)

    async def _count(
        self, caller: Caller, asked: Question, catalogue: Catalogue
    ) -> tuple[Tally, int]:
        tally, touched, after = Tally(), 0, ""
        while True:
            page = await self._page(caller.party, after)
            for start in range(0, len(page.rows), SLICE):
                ids = [row.id for row in page.rows[start : start + SLICE]]
                touched += await self._add(tally, caller, asked, catalogue, ids)
            if page.ahead is None:
                return tally, touched
            after = page.ahead

    async def _page(self, party: str, after: str) -> Page:
        return await self._changes.read(
            lambda c: custody.list_records(c, party, after, LISTED)
        )

    async def _add(
        self,
        tally: Tally,
        caller: Caller,
        asked: Question,
        catalogue: Catalogue,
        ids: Sequence[str],
    ) -> int:
        """Add some records to the tally; return how many were opened."""

        def gather(connection: Any) -> list[Held]:
            found = (
                gathering.held(connection, caller.party, id_, [asked.class_])
                for id_ in ids
            )
            return [one for one in found if one is not None]

        opened = 0
        for held in await self._changes.read(gather):
            await asyncio.sleep(0)  # others are served between two records
            judged = reading.judge(
                self._access, caller, Action.AGGREGATE, held, [asked.class_], catalogue
            )
            if isinstance(judged, Refused) or not judged.folios:
                continue
            keys = await self._keyring.of(caller.party)
            contents = [reading.open_held(keys, folio) for folio in judged.folios]
            opened += 1
            try:
                tally.add(questions.share(asked, catalogue, contents))
            except TooManyGroups:
                text = f"makes more than {aggregation.MAX_GROUPS} groups"
                raise ContentRefused("/group_by", "too_many_groups", text) from None
        return opened
