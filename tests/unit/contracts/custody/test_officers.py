# SPDX-License-Identifier: Apache-2.0
"""The side of a deal and the role at a party make the role in a handover."""

from __future__ import annotations

import pytest

from contracts.custody.officers import OfficerRole, Role, role_in_handover


@pytest.mark.parametrize(
    ("role", "party", "expected"),
    [
        ("owner", "seller-co", "SO"),
        ("compliance", "seller-co", "SC"),
        ("operator", "seller-co", "SR"),
        ("owner", "buyer-co", "BO"),
        ("compliance", "buyer-co", "BC"),
        ("operator", "buyer-co", None),
        ("owner", "else-co", None),
        ("reviewer", "law-firm", "PR"),
        ("reviewer", "seller-co", "PR"),
        ("monitor", "else-co", "MO"),
    ],
)
def test_role_in_handover(role: str, party: str, expected: str | None) -> None:
    found = role_in_handover(
        OfficerRole(role), party, seller="seller-co", buyer="buyer-co"
    )
    assert found == (None if expected is None else Role(expected))
