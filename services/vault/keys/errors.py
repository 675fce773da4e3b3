# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with class keys and database keys."""

from __future__ import annotations

from contracts import problems
from services.vault.errors import VaultError


class KeyGone(VaultError):  # noqa: N818 - a state
    """The class key version was destroyed: what only it opened is gone for good."""

    problem = problems.GONE


class KeyUnknown(VaultError):  # noqa: N818
    """A row names a key version that the key database does not hold.

    The records and the key database are not of the same moment (a restored backup
    of one of them), or a row was forged.
    """

    problem = problems.INTERNAL


class KeysNotReady(VaultError):  # noqa: N818
    """The key database or the wrapped database keys are missing or do not fit.

    The message says how to mend it; it stops the start.
    """

    problem = problems.LOCKED
