# SPDX-License-Identifier: Apache-2.0
"""Refusals that tell that a record exists: in the log before they are answered.

Whoever may create records can ask by creating whether a value is known. That is an
access to the fact, without the scope to look records up: it leaves a trace as every
denial does. A batch that names one value twice would learn it without ever committing
anything, and is refused before the index is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.vault import custody
from services.vault.access import Access, Action, Caller
from services.vault.catalogue import Catalogue, DocumentRefused
from services.vault.custody import EXTERNAL_ID
from services.vault.errors import FieldUnparsable, SealBroken
from services.vault.keys.normalise import normalise_text
from services.vault.records.content import without_nulls
from services.vault.records.errors import ContentRefused, RecordExists
from services.vault.records.values import RecordContent

TELLING: Final = (
    custody.ValueTaken,
    custody.HandedOver,
    custody.FolioFrozen,
    RecordExists,
)


async def trace(
    access: Access, caller: Caller, action: Action, error: Exception
) -> None:
    """Make a refusal that tells of a record durable in the log, and name the event.

    And a row that does not open, which is an alarm.

    Any other error is left alone: it has its trace, or tells nothing. That a folio is
    frozen tells something only to who found its record by creating.

    Raises:
        AuditUnavailable: The event cannot be written: the refusal is not answered.
    """
    if isinstance(error, custody.FolioFrozen) and action is not Action.CREATE:
        return
    if isinstance(error, SealBroken):
        await access.alarm(caller, action, error)
    if isinstance(error, TELLING):
        event = await access.deny(caller, action, error.problem.code)
        error.extra["audit_event"] = str(event)


def require_distinct(catalogue: Catalogue, contents: Sequence[RecordContent]) -> None:
    """Refuse records that share a unique value or a number among themselves.

    What has no normal form is refused later, with its own item.

    Raises:
        ContentRefused: Two do; names the second one's place.
    """
    seen: set[tuple[str, str]] = set()
    for position, one in enumerate(contents):
        values = _unique_values(catalogue, one)
        if seen & values:
            raise ContentRefused(
                f"/items/{position}", "unique", "repeats a unique value of the batch"
            )
        seen |= values


def _unique_values(catalogue: Catalogue, one: RecordContent) -> set[tuple[str, str]]:
    values: set[tuple[str, str]] = set()
    for class_, document in one.documents.items():
        try:
            terms = catalogue.check_documents({class_: without_nulls(document)})
        except (DocumentRefused, FieldUnparsable):
            continue
        values |= {(term.field, term.normalised) for term in terms if term.unique}
    if one.external_id is not None:
        try:
            number = normalise_text(one.external_id, field=EXTERNAL_ID)
        except FieldUnparsable:
            return values
        values.add((EXTERNAL_ID, number))
    return values
