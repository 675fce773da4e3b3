# SPDX-License-Identifier: Apache-2.0
"""How the catalogue refuses: places and rules, never a value."""

from __future__ import annotations

from collections.abc import Sequence

from contracts import problems
from contracts.problems import Fault
from services.vault.errors import VaultError


class DocumentRefused(VaultError):  # noqa: N818 - a refusal, not a failure
    """A document or entry has a field the catalogue does not know or not so.

    Attributes:
        faults: Each place and the rule it breaks. Of an unknown name the position in
            its object is told: the name itself is input.
    """

    problem = problems.VALIDATION

    def __init__(self, faults: Sequence[Fault]) -> None:
        """Remember the faults."""
        super().__init__(self.problem.code)
        self.faults = tuple(faults)


class FieldUnknown(DocumentRefused):
    """One of the faults is a class or field that is not in the catalogue."""

    problem = problems.FIELD_UNKNOWN


class PhoneRefused(DocumentRefused):
    """All the faults are telephone numbers that are none."""

    problem = problems.PHONE_UNPARSABLE


class CatalogueConflict(VaultError):  # noqa: N818
    """A class or field exists otherwise.

    Class, kind, searchable and unique of a field do not change: what is stored was
    sealed and indexed by them. Grade and mask may.
    """

    problem = problems.ALREADY_EXISTS


class CatalogueRefused(VaultError):  # noqa: N818
    """A class or field is not one that a catalogue may have."""

    problem = problems.VALIDATION

    def __init__(self, pointer: str, code: str, msg: str) -> None:
        """Name the member of the body, or `/name` of the address, and the rule."""
        super().__init__(code)
        where = "path" if pointer == "/name" else "body"
        self.faults = (Fault(pointer, code, msg, where),)
