# SPDX-License-Identifier: Apache-2.0
"""SQL of the catalogue."""

from __future__ import annotations

from types import MappingProxyType

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.engine import Connection

from services.chassis.clock import milliseconds
from services.chassis.database import Tx
from services.chassis.prepared import Prepared
from services.vault.catalogue.catalogue import (
    Catalogue,
    DataClass,
    Field,
    Form,
    Grade,
)
from services.vault.catalogue.kinds import Kind
from services.vault.catalogue.tables import data_class, field
from services.vault.parties import Party

_CLASSES = Prepared(
    select(data_class.c.name, data_class.c.form)
    .where(data_class.c.party == bindparam("party"))
    .order_by(data_class.c.name)
)
_FIELDS = Prepared(
    select(
        field.c.name,
        field.c["class"],
        field.c.grade,
        field.c.kind,
        field.c.mask,
        field.c.searchable,
        field.c["unique"],
    )
    .where(field.c.party == bindparam("party"))
    .order_by(field.c.name)
)


def catalogue_of(connection: Connection, party: Party) -> Catalogue:
    """Return a party's whole catalogue."""
    classes = _CLASSES.all(connection, party=party.id)
    fields = _FIELDS.all(connection, party=party.id)
    return Catalogue(
        party=party.id,
        region=party.region,
        timezone=party.timezone,
        classes=MappingProxyType(
            {row.name: DataClass(row.name, Form(row.form)) for row in classes}
        ),
        fields=MappingProxyType(
            {
                name: Field(
                    name, class_, Grade(grade), Kind(kind), mask, search, unique
                )
                for name, class_, grade, kind, mask, search, unique in fields
            }
        ),
    )


def insert_class(tx: Tx, party: str, new: DataClass) -> None:
    """Insert a class."""
    tx.execute(
        insert(data_class).values(party=party, name=new.name, form=new.form.value)
    )


def insert_field(tx: Tx, party: str, new: Field) -> None:
    """Insert a field."""
    tx.execute(
        insert(field).values(
            {
                "party": party,
                "name": new.name,
                "class": new.class_,
                "grade": new.grade.value,
                "kind": new.kind.value,
                "mask": new.mask,
                "searchable": new.searchable,
                "unique": new.unique,
                "created_at": milliseconds(tx.now),
            }
        )
    )


def regrade_field(tx: Tx, party: str, changed: Field) -> None:
    """Change a field's grade and mask."""
    tx.execute(
        update(field)
        .where(field.c.party == party, field.c.name == changed.name)
        .values(grade=changed.grade.value, mask=changed.mask)
    )
