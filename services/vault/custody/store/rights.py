# SPDX-License-Identifier: Apache-2.0
"""SQL of what the person concerned filed: consents and objections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.engine import Connection

from services.chassis.database import Tx
from services.chassis.prepared import Prepared
from services.vault.custody.tables import consent, objection

OPT_IN: Final = "optin"
"""A consent of this kind opens denied purposes; its classes name those purposes."""

OPT_OUT: Final = "optout"
"""A record of this kind closes purposes, and travels with a handover."""


@dataclass(frozen=True, slots=True)
class FiledConsent:
    """A consent as filed; one row per class. Times in milliseconds."""

    kind: str
    recipient: str
    classes: Sequence[str]
    given_at: int
    withdrawn_at: int | None
    evidence: str


@dataclass(frozen=True, slots=True)
class FiledObjection:
    """An objection as filed; empty recipient and handover name all. Milliseconds."""

    recipient: str
    handover: str
    objected_at: int
    withdrawn_at: int | None
    evidence: str


def put_consent(tx: Tx, party: str, record: str, filed: FiledConsent) -> None:
    """File a consent; each class's row replaces the one it had."""
    tx.execute(
        delete(consent).where(
            consent.c.party == party,
            consent.c.record == record,
            consent.c.kind == filed.kind,
            consent.c.recipient == filed.recipient,
            consent.c["class"].in_(sorted(filed.classes)),
        )
    )
    # The record's lock is held: nobody else writes between the two statements.
    rows = [
        {
            "party": party,
            "record": record,
            "kind": filed.kind,
            "recipient": filed.recipient,
            "class": class_,
            "given_at": filed.given_at,
            "withdrawn_at": filed.withdrawn_at,
            "evidence": filed.evidence,
        }
        for class_ in filed.classes
    ]
    tx.execute(insert(consent), rows)


def put_objection(tx: Tx, party: str, record: str, filed: FiledObjection) -> None:
    """File an objection; it replaces the one of the same recipient and handover."""
    key = {
        "party": party,
        "record": record,
        "recipient": filed.recipient,
        "handover": filed.handover,
    }
    values = {
        "objected_at": filed.objected_at,
        "withdrawn_at": filed.withdrawn_at,
        "evidence": filed.evidence,
    }
    tx.execute(delete(objection).where(*(objection.c[n] == v for n, v in key.items())))
    tx.execute(insert(objection), {**key, **values})


_CONSENTS = Prepared(
    select(
        consent.c.kind,
        consent.c.recipient,
        consent.c["class"],
        consent.c.given_at,
        consent.c.withdrawn_at,
        consent.c.evidence,
    ).where(
        consent.c.party == bindparam("party"), consent.c.record == bindparam("record")
    )
)

_OBJECTIONS = Prepared(
    select(
        objection.c.recipient,
        objection.c.handover,
        objection.c.objected_at,
        objection.c.withdrawn_at,
        objection.c.evidence,
    ).where(
        objection.c.party == bindparam("party"),
        objection.c.record == bindparam("record"),
    )
)


def consents_of(connection: Connection, party: str, record: str) -> list[FiledConsent]:
    """Return a record's consents, withdrawn ones too, one per class."""
    rows = _CONSENTS.all(connection, party=party, record=record)
    return [FiledConsent(r[0], r[1], (r[2],), r[3], r[4], r[5]) for r in rows]


def objections_of(
    connection: Connection, party: str, record: str
) -> list[FiledObjection]:
    """Return a record's objections, withdrawn ones too."""
    rows = _OBJECTIONS.all(connection, party=party, record=record)
    return [FiledObjection(*row) for row in rows]


def delete_rights(tx: Tx, party: str, record: str) -> None:
    """Delete a record's consents and objections."""
    for table in (consent, objection):
        tx.execute(
            delete(table).where(table.c.party == party, table.c.record == record)
        )
