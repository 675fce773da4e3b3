# SPDX-License-Identifier: Apache-2.0
"""Where in a request's body a fault lies: an RFC 6901 pointer into it as it was sent.

Below the routes a fault is named by its place in a record. A record is a body of its
own, an item of a batch, or a few entries for one; here the place becomes the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from contracts.problems import Fault
from services.vault.custody import EXTERNAL_ID, ValueTaken
from services.vault.errors import FieldUnparsable, VaultError
from services.vault.records.values import RecordContent

_RIGHTS = ("/consents/", "/objections/")


def faults_of(error: Exception | None, sent: RecordContent) -> Sequence[Fault]:
    """Return the faults of an error by their places in the record that was sent."""
    if isinstance(error, ValueTaken):
        place = _place_of(error.field, sent)
        return (Fault(place, "unique", "belongs to another record"),)
    if isinstance(error, FieldUnparsable):
        place = _place_of(error.field, sent)
        return (Fault(place, "unparsable", f"is no value of the kind {error.kind}"),)
    return getattr(error, "faults", ())


def in_item(faults: Sequence[Fault], position: int) -> list[Fault]:
    """Return faults of a batch's item by their places in the batch."""
    return [
        replace(
            fault,
            pointer=f"/items/{position}"
            + ("" if fault.pointer.startswith(_RIGHTS) else "/record")
            + fault.pointer,
        )
        for fault in faults
    ]


@contextmanager
def in_record(sent: RecordContent) -> Iterator[None]:
    """Let a refusal name the places of a body that is a record or a change of one."""
    with _told(lambda error: faults_of(error, sent)):
        yield


@contextmanager
def in_entries(class_: str) -> Iterator[None]:
    """Let a refusal name the places of a body that is entries of one class."""
    whole = f"/entries/{class_}"

    def place(pointer: str) -> str:
        if pointer in {whole, "/entries/*"}:
            return "/class"
        return pointer.replace(whole, "/entries", 1)

    with _told(
        lambda error: [replace(f, pointer=place(f.pointer)) for f in error.faults]
    ):
        yield


@contextmanager
def in_right() -> Iterator[None]:
    """Let a refusal name the places of a body that is one consent or objection."""

    def place(pointer: str) -> str:
        _, _, _, member = pointer.split("/")
        return f"/{member}"

    with _told(
        lambda error: [replace(f, pointer=place(f.pointer)) for f in error.faults]
    ):
        yield


@contextmanager
def _told(places: Callable[[VaultError], Sequence[Fault]]) -> Iterator[None]:
    try:
        yield
    except VaultError as error:
        error.faults = tuple(places(error))
        raise


def _place_of(field: str, sent: RecordContent) -> str:
    if field == EXTERNAL_ID:
        return f"/{field}"
    found = (class_ for class_, document in sent.documents.items() if field in document)
    return f"/documents/{next(found, '*')}/{field}"
