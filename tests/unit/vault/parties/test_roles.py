# SPDX-License-Identifier: Apache-2.0
"""Promise: a role opens what its work needs, and nobody but transfer moves custody."""

import pytest

from contracts.officers import OfficerRole
from contracts.scopes import Scope
from services.chassis.auth import PLATFORM
from services.vault.parties.roles import AUDIT_SCOPES, TRANSFER_SCOPES, scopes_of

ROLES = list(OfficerRole)


@pytest.mark.parametrize("role", ROLES)
def test_no_person_moves_custody_or_reads_the_outbox(role: OfficerRole) -> None:
    never = {
        Scope.CUSTODY_PLAN,
        Scope.CUSTODY_FREEZE,
        Scope.CUSTODY_MANDATE,
        Scope.CUSTODY_EXECUTE,
        Scope.CUSTODY_DESTROY,
        Scope.OUTBOX_READ,
        Scope.REVOCATIONS_READ,
    }
    for party in ("alpha", PLATFORM):
        assert not scopes_of(role, party) & never


@pytest.mark.parametrize("role", ROLES)
def test_everybody_follows_an_own_handover(role: OfficerRole) -> None:
    assert Scope.HANDOVERS_READ in scopes_of(role, "alpha")


@pytest.mark.parametrize("role", [r for r in ROLES if r is not OfficerRole.COMPLIANCE])
def test_only_compliance_reads_records(role: OfficerRole) -> None:
    records = {scope for scope in Scope if scope.value.startswith("records:")}
    assert not scopes_of(role, "alpha") & records
    assert Scope.RECORDS_READ in scopes_of(OfficerRole.COMPLIANCE, "alpha")


@pytest.mark.parametrize("role", ROLES)
def test_every_partys_metadata_is_for_the_platform_only(role: OfficerRole) -> None:
    assert Scope.AUDIT_MONITOR not in scopes_of(role, "alpha")
    watching = role in {OfficerRole.OPERATOR, OfficerRole.MONITOR}
    assert (Scope.AUDIT_MONITOR in scopes_of(role, PLATFORM)) is watching


def test_the_services_have_what_they_need_and_no_record() -> None:
    assert {Scope.OUTBOX_READ, Scope.REVOCATIONS_READ} == AUDIT_SCOPES
    assert all(
        scope.value.startswith("custody:")
        or scope in {Scope.OFFICERS_READ, Scope.REVOCATIONS_READ}
        for scope in TRANSFER_SCOPES
    )
