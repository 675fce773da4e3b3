# SPDX-License-Identifier: Apache-2.0
"""Every error the vault raises on purpose; one root.

No message carries a value that came from a request or a record: errors reach logs
and answers, and personal data must reach neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar

from contracts import problems
from contracts.problems import Fault, Problem


class VaultError(Exception):
    """The root of the vault's typed errors.

    Attributes:
        problem: What a caller is told.
        faults: The places of the request that caused it.
        alarm: Whether the operator's log must show it, whatever its status.
    """

    problem: ClassVar[Problem] = problems.INTERNAL
    faults: Sequence[Fault] = ()
    alarm: ClassVar[bool] = False


class SealFault(StrEnum):
    """What was found broken about a sealed value."""

    TRUNCATED = "truncated"
    ALGORITHM = "algorithm"
    COMMITMENT = "commitment"
    CIPHERTEXT = "ciphertext"
    KEY_LENGTH = "key_length"


class SealBroken(VaultError):  # noqa: N818 - the vocabulary names states, not "Error"
    """A sealed value does not open: altered, moved to another place, or another key.

    `SealFault.COMMITMENT` means the wrong key or the wrong context (a swapped row,
    class, version, party); `SealFault.CIPHERTEXT` means altered bytes. Both are
    alarms, never a value; the caller learns no more than that the vault failed.
    """

    problem = problems.SEAL_BROKEN
    alarm = True

    def __init__(self, fault: SealFault) -> None:
        """Remember the `fault`; the sealed bytes themselves are not kept.

        `record` and `class_` say where it stands, as far as the opener knows.
        """
        super().__init__(f"The sealed value does not open ({fault.value}).")
        self.fault = fault
        self.record: str | None = None
        self.class_: str | None = None
        self.extra: dict[str, str] = {}

    def at(self, record: str, class_: str) -> SealBroken:
        """Return this error with the record's id and the class where it stands."""
        self.record, self.class_ = record, class_
        return self


class FieldUnparsable(VaultError):  # noqa: N818
    """A value of an indexed field cannot be brought into its normal form.

    The field is named, the value never: an e-mail address that does not parse is
    still somebody's.
    """

    problem = problems.VALIDATION

    def __init__(self, field: str, kind: str) -> None:
        """Remember the catalogue's name of the `field` and its `kind`."""
        super().__init__(f"The field {field!r} is not a valid {kind}.")
        self.field = field
        self.kind = kind


class PhoneUnparsable(FieldUnparsable):
    """A phone field holds no number, or one without its country and region."""

    problem = problems.PHONE_UNPARSABLE

    def __init__(self, field: str) -> None:
        """Remember the catalogue's name of the `field`."""
        super().__init__(field, "phone")


class RootKeyError(VaultError):
    """The root of what can go wrong with a root key; it stops the start.

    A vault without its root key is locked.
    """

    problem = problems.LOCKED


class RootKeyMissing(RootKeyError):  # noqa: N818
    """No root key where the settings say there is one."""


class RootKeyExists(RootKeyError):  # noqa: N818
    """A root key would be overwritten, and with it every record lost."""


class RootKeyUnreadable(RootKeyError):  # noqa: N818
    """The root key's file is damaged, truncated, or open to other people."""


class RootKeyWrong(RootKeyError):  # noqa: N818
    """A well-formed root key, but not the one these records are sealed under."""


class PassphraseTooShort(RootKeyError):  # noqa: N818
    """A passphrase that could be guessed was offered as a root key."""


class PolicyBroken(VaultError):  # noqa: N818
    """A policy does not parse, does not fit the schema, or failed while deciding.

    Cedar skips a policy that fails, which would turn a failing `forbid` into
    silence; so the vault refuses the whole decision instead.
    """

    problem = problems.INTERNAL
