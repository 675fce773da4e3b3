# SPDX-License-Identifier: Apache-2.0
"""Promise: what a client may be given is bounded, and what it got is in the log."""

import pytest

from contracts.scopes import Scope
from services.vault.parties.errors import EnrolmentRefused
from services.vault.parties.roles import INSTALLATION_ONLY
from tests.integration.vault.house import House


@pytest.mark.parametrize("scope", sorted(INSTALLATION_ONLY))
def test_what_shows_or_moves_everybodys_is_given_to_the_installation_alone(
    house: House, scope: Scope
) -> None:
    house.party("alpha")
    with pytest.raises(EnrolmentRefused, match=f"{scope}: for clients of the party"):
        house.client("alpha", "crm", [scope, Scope.RECORDS_READ])
    house.client("platform", "ours", [scope])


async def test_a_secret_drawn_anew_is_in_the_log(house: House) -> None:
    house.party("alpha")
    house.client("alpha", "crm", [Scope.CATALOGUE_READ])
    with house.enrolling() as on_host:
        on_host.renew_secret("crm")
    async with house.running() as vault:
        (renewed,) = await vault.events("client.renewed")
        assert renewed.data["client"] == "crm"
