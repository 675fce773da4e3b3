# SPDX-License-Identifier: Apache-2.0
"""What each role's token opens: least privilege, in one table. Pure.

A scope opens a door only; purpose, policy, custody and signatures decide behind it.
Nobody but transfer holds `custody:plan|freeze|mandate|execute`; no scope enrols.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from contracts.officers import OfficerRole
from contracts.scopes import Scope
from services.chassis.auth import PLATFORM

_EVERYBODY: Final = frozenset(
    {
        Scope.AUDIT_EVENTS,
        Scope.AUDIT_READ,
        Scope.CATALOGUE_READ,
        Scope.CUSTODY_READ,
        Scope.HANDOVERS_READ,
        Scope.OFFICERS_READ,
    }
)

_OF_ROLE: Final[Mapping[OfficerRole, frozenset[Scope]]] = MappingProxyType(
    {
        OfficerRole.OWNER: frozenset(
            {
                Scope.CUSTODY_CANCEL,
                Scope.CUSTODY_ROWS,
                Scope.HANDOVERS_ACT,
                Scope.HANDOVERS_CREATE,
                Scope.KEYS_READ,
                Scope.OFFICERS_WRITE,
            }
        ),
        OfficerRole.COMPLIANCE: frozenset(
            {
                Scope.ALIASES_RESOLVE,
                Scope.AUDIT_EXPORT,
                Scope.AUDIT_INCIDENTS,
                Scope.CONSENTS_WRITE,
                Scope.CUSTODY_CANCEL,
                Scope.CUSTODY_ROWS,
                Scope.CUSTODY_SETTLE,
                Scope.HANDOVERS_ACT,
                Scope.KEYS_READ,
                Scope.OBJECTIONS_WRITE,
                Scope.OFFICERS_WRITE,
                Scope.RECORDS_ERASE,
                Scope.RECORDS_LOOKUP,
                Scope.RECORDS_PATCH,
                Scope.RECORDS_READ,
                Scope.RETENTION_WRITE,
            }
        ),
        OfficerRole.OPERATOR: frozenset(
            {
                Scope.CATALOGUE_WRITE,
                Scope.CUSTODY_BACKUP,
                Scope.CUSTODY_ROWS,
                Scope.HANDOVERS_ACT,
                Scope.IMPORTS_READ,
                Scope.IMPORTS_WRITE,
                Scope.KEYS_READ,
                Scope.KEYS_ROTATE,
            }
        ),
        OfficerRole.REVIEWER: frozenset({Scope.HANDOVERS_ACT}),
        OfficerRole.MONITOR: frozenset(),
    }
)

#: Every party's metadata is for the installation's own people only.
#: What the installation's own clients alone may be given: it shows every party's
#: metadata, or takes a handover's steps.
INSTALLATION_ONLY: Final = frozenset(
    {
        Scope.AUDIT_MONITOR,
        Scope.CUSTODY_DESTROY,
        Scope.CUSTODY_EXECUTE,
        Scope.CUSTODY_FREEZE,
        Scope.CUSTODY_MANDATE,
        Scope.CUSTODY_PLAN,
        Scope.METRICS_READ,
        Scope.OUTBOX_READ,
        Scope.REVOCATIONS_READ,
    }
)

_OF_PLATFORM: Final = frozenset({Scope.AUDIT_MONITOR, Scope.METRICS_READ})


def scopes_of(role: OfficerRole, party: str) -> frozenset[Scope]:
    """Return what a token of an officer of this role and party may open."""
    scopes = _EVERYBODY | _OF_ROLE[role]
    if party == PLATFORM and role in {OfficerRole.OPERATOR, OfficerRole.MONITOR}:
        return scopes | _OF_PLATFORM
    return scopes


TRANSFER_SCOPES: Final = frozenset(
    {scope for scope in Scope if scope.value.startswith("custody:")}
    - {Scope.CUSTODY_SETTLE}  # the buyer's own affair
    | {Scope.OFFICERS_READ, Scope.REVOCATIONS_READ}
)
"""What the client `transfer` is enrolled with."""

AUDIT_SCOPES: Final = frozenset({Scope.OUTBOX_READ, Scope.REVOCATIONS_READ})
"""What the client `audit` is enrolled with."""
