# SPDX-License-Identifier: Apache-2.0
"""How the parties room refuses. Tokens: RFC 6749 §5.2, as `error` in the problem."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from contracts import problems
from services.vault.errors import VaultError


class CredentialsRefused(VaultError):  # noqa: N818 - a refusal, not a failure
    """A secret, an assertion or its key is wrong, revoked, unknown or used before.

    The caller is told none of these: they look alike from outside.
    """

    problem = problems.CREDENTIALS_INVALID
    extra: ClassVar[Mapping[str, str]] = {"error": "invalid_client"}


class GrantRefused(VaultError):  # noqa: N818
    """The token request is not one that this issuer understands."""

    problem = problems.BAD_REQUEST

    def __init__(self, error: str) -> None:
        """Remember the OAuth error code; it is a constant, never input."""
        super().__init__(error)
        self.extra = {"error": error}


class ScopeRefused(VaultError):  # noqa: N818
    """A requested scope is unknown or was not given to this client."""

    problem = problems.SCOPE_NOT_GIVEN
    extra: ClassVar[Mapping[str, str]] = {"error": "invalid_scope"}


class OfficerUnknown(VaultError):  # noqa: N818
    """No such key of the caller's own party."""

    problem = problems.NOT_FOUND


class PartyUnknown(VaultError):  # noqa: N818
    """There is no such party."""

    problem = problems.NOT_FOUND


class OwnKey(VaultError):  # noqa: N818
    """An officer's key is revoked by another officer of the party, never by itself."""

    problem = problems.DENIED
    extra: ClassVar[Mapping[str, str]] = {"reason": "own-key"}


class NoOfficer(VaultError):  # noqa: N818
    """Only an officer may do this; a client's token does not reach."""

    problem = problems.DENIED
    extra: ClassVar[Mapping[str, str]] = {"reason": "not-an-officer"}


class CallerRevoked(VaultError):  # noqa: N818
    """The caller of a token was revoked, or was never enrolled here."""

    problem = problems.TOKEN_INVALID


class ClientRevoked(CallerRevoked):
    """The client was revoked or is unknown; a token of it does not count any more."""


class OfficerWithoutKey(CallerRevoked):
    """The officer has no good key in the token's role any more."""


class EnrolmentRefused(VaultError):  # noqa: N818
    """An enrolment on the host is refused; the message says why."""

    problem = problems.STATE_CONFLICT
