# SPDX-License-Identifier: Apache-2.0
"""Bodies and answers of the catalogue room."""
# Annotations are evaluated here: pydantic reads them.

from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict
from pydantic import Field as Member

from services.chassis.body import Body, Text
from services.vault.catalogue.catalogue import Catalogue, DataClass, Field, Form, Grade
from services.vault.catalogue.kinds import Kind, Mask

CatalogueName = Annotated[str, Text(64, pattern=r"^[a-z][a-z0-9_]*$")]
"""A name of a class or field."""

#: The mask a kind has unless the field says otherwise.
_MASK_OF_KIND: Final = {
    Kind.NAME: Mask.NAME,
    Kind.EMAIL: Mask.EMAIL,
    Kind.PHONE: Mask.PHONE,
    Kind.ADDRESS: Mask.ADDRESS,
    Kind.DATE: Mask.DATE,
    Kind.AMOUNT: Mask.AMOUNT,
    Kind.NUMBER: Mask.QUANTITY,
    Kind.INTEGER: Mask.QUANTITY,
    Kind.BOOLEAN: Mask.FLAG,
    Kind.CODE: Mask.CODE,
    Kind.ID: Mask.CODE,
    Kind.ID_NUMBER: Mask.ID_NUMBER,
}


class ClassIn(Body):
    """A class to add."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"form": "document"}]})

    form: Form

    def named(self, name: str) -> DataClass:
        """Return the class."""
        return DataClass(name, self.form)


class FieldIn(Body):
    """A field to add or change.

    Attributes:
        mask: `none` shows the value, `hide` nothing of it; by default the kind's own.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"class": "basic", "kind": "email", "searchable": True, "unique": True}
            ]
        }
    )

    class_: CatalogueName = Member(alias="class")
    grade: Grade = Grade.GENERAL
    kind: Kind
    mask: Mask | None = None
    searchable: bool = False
    unique: bool = False

    def named(self, name: str) -> Field:
        """Return the field."""
        mask = self.mask or _MASK_OF_KIND.get(self.kind, Mask.HIDE)
        return Field(
            name=name,
            class_=self.class_,
            grade=self.grade,
            kind=self.kind,
            mask=mask.value,
            searchable=self.searchable,
            unique=self.unique,
        )


class ClassOut(BaseModel):
    """A class of the catalogue."""

    name: str
    form: Form


class FieldOut(BaseModel):
    """A field of the catalogue."""

    model_config = ConfigDict(populate_by_name=True)

    name: str
    class_: str = Member(serialization_alias="class")
    grade: Grade
    kind: Kind
    mask: str
    searchable: bool
    unique: bool

    @classmethod
    def of(cls, field: Field) -> Self:
        """Return the answer for a field."""
        return cls(
            name=field.name,
            class_=field.class_,
            grade=field.grade,
            kind=field.kind,
            mask=field.mask,
            searchable=field.searchable,
            unique=field.unique,
        )


class CatalogueOut(BaseModel):
    """A party's catalogue."""

    classes: list[ClassOut]
    fields: list[FieldOut]

    @classmethod
    def of(cls, catalogue: Catalogue) -> Self:
        """Return the answer for a catalogue."""
        return cls(
            classes=[
                ClassOut(name=known.name, form=known.form)
                for known in catalogue.classes.values()
            ],
            fields=[FieldOut.of(field) for field in catalogue.fields.values()],
        )
