# SPDX-License-Identifier: Apache-2.0
"""Bodies and answers of the catalogue room."""
# Annotations are evaluated here: pydantic reads them.

from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict
from pydantic import Field as Member

from services.chassis.body import Body, Text
from services.vault.catalogue.catalogue import Catalogue, DataClass, Field, Form, Grade
from services.vault.catalogue.kinds import Kind

CatalogueName = Annotated[str, Text(64, pattern=r"^[a-z][a-z0-9_]*$")]
"""A name of a class or field."""

#: The mask a kind has unless the field says otherwise; `none` shows the value.
_MASK_OF_KIND: Final = {
    Kind.NAME: "name",
    Kind.EMAIL: "email",
    Kind.PHONE: "phone",
    Kind.ADDRESS: "address",
    Kind.DATE: "date",
    Kind.AMOUNT: "amount",
    Kind.NUMBER: "quantity",
    Kind.INTEGER: "quantity",
    Kind.BOOLEAN: "flag",
    Kind.CODE: "code",
    Kind.ID: "code",
    Kind.ID_NUMBER: "id_number",
}
_HIDDEN: Final = "hidden"
_SPELLINGS: Final = {"hide": _HIDDEN}


class ClassIn(Body):
    """A class to add."""

    form: Form

    def named(self, name: str) -> DataClass:
        """Return the class."""
        return DataClass(name, self.form)


class FieldIn(Body):
    """A field to add or change.

    Attributes:
        mask: `none`, `hide`, or a rule of the masked view; by default the kind's.
    """

    class_: CatalogueName = Member(alias="class")
    grade: Grade = Grade.GENERAL
    kind: Kind
    mask: CatalogueName | None = None
    searchable: bool = False
    unique: bool = False

    def named(self, name: str) -> Field:
        """Return the field."""
        mask = self.mask or _MASK_OF_KIND.get(self.kind, _HIDDEN)
        return Field(
            name=name,
            class_=self.class_,
            grade=self.grade,
            kind=self.kind,
            mask=_SPELLINGS.get(mask, mask),
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
