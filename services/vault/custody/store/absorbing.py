# SPDX-License-Identifier: Apache-2.0
"""SQL of a merge: one record of a party takes over what another had, which ends.

Callers hold the party's scope lock shared, both records' locks and those of every
unique value that either has.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import update

from services.chassis.database import Tx
from services.vault.custody.store.folios import delete_custody
from services.vault.custody.store.index import EXTERNAL_ID, claim
from services.vault.custody.store.records import StoredRecord, delete_record
from services.vault.custody.store.rights import (
    OPT_OUT,
    FiledConsent,
    FiledObjection,
    consents_of,
    delete_rights,
    objections_of,
    put_consent,
    put_objection,
)
from services.vault.custody.store.settlements import (
    entries_of,
    forget_entry,
    give_entry,
)
from services.vault.custody.tables import record


def absorb_values(
    tx: Tx,
    party: str,
    kept: str,
    absorbed: str,
    *,
    taken: Collection[str],
    unique: Collection[str],
) -> None:
    """Give the kept record the index entries of what it took; the others go.

    Args:
        tx: The transaction.
        party: Whose records.
        kept: The record that goes on.
        absorbed: The record that ends.
        taken: The fields whose values were taken.
        unique: The fields whose values are unique: what the kept record has alone
            now, it has as such.
    """
    theirs = entries_of(tx.connection, party, [absorbed])
    known = {one.key for one in entries_of(tx.connection, party, [kept])}
    for one in theirs:
        if one.field in taken and one.key not in known:
            give_entry(tx, party, one, kept)
        else:
            forget_entry(tx, party, one)
    for one in entries_of(tx.connection, party, [kept]):
        if one.field in unique or one.field == EXTERNAL_ID:
            claim(tx, party, kept, one.field, one.value)


def put_numbers(
    tx: Tx, kept: StoredRecord, external_id: bytes | None, origin: bytes | None
) -> None:
    """Store a record's sealed numbers."""
    tx.execute(
        update(record)
        .where(
            record.c.party == kept.party,
            record.c.arrived_by == kept.arrived_by,
            record.c.id == kept.id,
        )
        .values(external_id_sealed=external_id, origin_external_id_sealed=origin)
    )


def unite_rights(tx: Tx, party: str, kept: str, absorbed: str) -> None:
    """Give the kept record the consents and objections of both, the stricter each."""
    consents = {
        (one.kind, one.recipient, *one.classes): one
        for one in consents_of(tx.connection, party, kept)
    }
    for one in consents_of(tx.connection, party, absorbed):
        known = consents.get((one.kind, one.recipient, *one.classes))
        chosen = one if known is None else stricter_consent(known, one)
        if chosen is not known:
            put_consent(tx, party, kept, chosen)
    objections = {
        (one.recipient, one.handover): one
        for one in objections_of(tx.connection, party, kept)
    }
    for other in objections_of(tx.connection, party, absorbed):
        had = objections.get((other.recipient, other.handover))
        counts = other if had is None else stricter_objection(had, other)
        if counts is not had:
            put_objection(tx, party, kept, counts)


def stricter_consent(one: FiledConsent, other: FiledConsent) -> FiledConsent:
    """Return which of two consents of one kind, recipient and class counts.

    A withdrawn consent; of opt-outs one that stands. Else the first.
    """
    wanted = one.kind == OPT_OUT
    for filed in (one, other):
        if (filed.withdrawn_at is None) == wanted:
            return filed
    return one


def stricter_objection(one: FiledObjection, other: FiledObjection) -> FiledObjection:
    """Return which of two objections of one recipient and handover counts.

    One that stands; else the first.
    """
    return other if one.withdrawn_at is not None else one


def end_record(tx: Tx, absorbed: StoredRecord) -> None:
    """Delete what is left of a record that was absorbed; its collisions before."""
    party, id_ = absorbed.party, absorbed.id
    delete_custody(tx, party, id_)
    delete_rights(tx, party, id_)
    delete_record(tx, absorbed)
