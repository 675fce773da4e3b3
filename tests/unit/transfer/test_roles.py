# SPDX-License-Identifier: Apache-2.0
"""Who an officer is in a handover, for every party and enrolled role."""

import pytest

from services.transfer.handovers.roles import Sides, actor_of
from services.transfer.handovers.states import Actor

SIDES = Sides("north", "south", "lex")
ROLES = ("owner", "compliance", "operator", "reviewer", "monitor")


def test_the_table_of_roles_is_complete() -> None:
    found = {
        (party, role): actor_of(SIDES, party, role)
        for party in ("north", "south", "lex", "east", "")
        for role in ROLES
        if actor_of(SIDES, party, role) is not None
    }
    assert found == {
        ("north", "owner"): Actor.SO,
        ("north", "compliance"): Actor.SC,
        ("north", "operator"): Actor.SR,
        ("north", "monitor"): Actor.MO,
        ("south", "owner"): Actor.BO,
        ("south", "compliance"): Actor.BC,
        ("south", "monitor"): Actor.MO,
        ("lex", "reviewer"): Actor.PR,
        ("lex", "monitor"): Actor.MO,
    }


@pytest.mark.parametrize("party", ["north", "south"])
def test_a_side_s_own_reviewer_is_no_independent_reviewer(party: str) -> None:
    assert actor_of(SIDES, party, "reviewer") is None


def test_without_a_reviewer_no_party_without_a_name_slips_in() -> None:
    sides = Sides("north", "south")
    assert not sides.includes("")
    assert actor_of(sides, "", "reviewer") is None
