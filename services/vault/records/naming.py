# SPDX-License-Identifier: Apache-2.0
"""Drafts of `record.read`: all but the alias is checked once and used again.

The model checks each combination of members when it is first met. The alias, the one
member that differs from read to read, is checked here in the model's own form.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any, Final

from contracts.events.payload import EventDraft
from contracts.events.vault import RecordRead
from services.vault.access import Access, Caller
from services.vault.records.reading import Shown

MOST: Final = 4_096  # combinations remembered
_ALIAS: Final = re.compile(r"[0-9a-f]{32}")


class ReadEvents:
    """Makes the events of reads."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._known: dict[Hashable, EventDraft] = {}

    def draft(self, caller: Caller, shown: Shown, view: str) -> EventDraft:
        """Return the event of `caller` reading what is `shown`.

        Raises:
            ValidationError: A member is not as the event allows.
        """
        alias = shown.held.record.alias
        acted = caller.acted()
        key = (*acted.values(), caller.purpose, caller.party, *shown.classes, view)
        known = self._known.get(key)
        if known is None or _ALIAS.fullmatch(alias) is None:
            known = self._checked(caller, acted, shown, view)
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[key] = known
        data = {**known.data, "record": alias}
        return EventDraft(known.type, known.classification, known.parties, data)

    def _checked(
        self, caller: Caller, acted: dict[str, Any], shown: Shown, view: str
    ) -> EventDraft:
        return RecordRead.model_validate(
            {
                **acted,
                "purpose": caller.why().value,
                "record": shown.held.record.alias,
                "classes": list(shown.classes),
                "view": view,
                "policy": self._access.policy_version,
            }
        ).draft(caller.party)
