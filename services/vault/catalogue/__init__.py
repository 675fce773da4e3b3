# SPDX-License-Identifier: Apache-2.0
"""Classes and fields: a field that is not in the catalogue is refused at the door."""

from services.vault.catalogue.catalogue import (
    IDENTITY,
    Catalogue,
    DataClass,
    Entry,
    Field,
    Form,
    Grade,
    IndexTerm,
    listed,
    unknown_member,
)
from services.vault.catalogue.errors import DocumentRefused
from services.vault.catalogue.kinds import FieldValue, Kind, Mask, Pseudonymised
from services.vault.catalogue.operations import Catalogues

__all__ = [
    "IDENTITY",
    "Catalogue",
    "Catalogues",
    "DataClass",
    "DocumentRefused",
    "Entry",
    "Field",
    "FieldValue",
    "Form",
    "Grade",
    "IndexTerm",
    "Kind",
    "Mask",
    "Pseudonymised",
    "listed",
    "unknown_member",
]
