# SPDX-License-Identifier: Apache-2.0
"""Promise: a token works from its party's networks and for its holder's certificate."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.problems import Refusal
from services.chassis.auth import Bounds, Origin
from services.chassis.auth.origin import bounds_of, parse_networks, within
from services.chassis.auth.tokens import Principal, PrincipalKind
from tests.fakes.clock import SettableClock
from tests.unit.chassis.auth.tokens import claims, token, verifier

OFFICE = parse_networks(["203.0.113.0/24", "2001:db8::/48"])
SERVICE = Principal(
    PrincipalKind.CLIENT, "transfer", "platform", None, None, frozenset()
)


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("203.0.113.7", True),
        ("203.0.114.7", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("::ffff:203.0.113.7", True),  # how a dual-stack socket shows IPv4
        ("::ffff:203.0.114.7", False),
        ("", False),
        ("unix", False),
    ],
)
def test_an_address_is_inside_or_it_is_not(address: str, inside: bool) -> None:
    assert within(address, OFFICE) is inside


@pytest.mark.parametrize("text", ["203.0.113.1/24", "office", "", "203.0.113.0/33"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_networks([text])


async def test_a_bound_token_needs_its_certificate(clock: SettableClock) -> None:
    bound = {**claims(clock), **Bounds(certificate="a" * 43).claims()}
    checking = verifier(clock)
    holder, thief = Origin("10.0.0.1", "a" * 43), Origin("10.0.0.1", "b" * 43)
    assert (await checking.verify(token(bound), holder)).id == "crm"
    for other in (thief, Origin("10.0.0.1"), None):
        with pytest.raises(Refusal) as refused:
            await checking.verify(token(bound), other)  # also out of the memory
        assert refused.value.problem.code == "token-invalid"


async def test_a_token_works_from_its_networks_only(clock: SettableClock) -> None:
    bound = {**claims(clock), **Bounds(OFFICE).claims()}
    checking = verifier(clock)
    assert (await checking.verify(token(bound), Origin("203.0.113.9"))).id == "crm"
    for elsewhere in (Origin("198.51.100.1"), Origin(), None):
        with pytest.raises(Refusal) as refused:
            await checking.verify(token(bound), elsewhere)
        assert refused.value.problem.code == "address-not-allowed"


async def test_a_services_token_must_be_bound_where_services_have_certificates(
    clock: SettableClock,
) -> None:
    unbound = claims(clock, SERVICE)
    bound = {**unbound, **Bounds(certificate="a" * 43).claims()}
    strict = verifier(clock, bound_services=True)
    with pytest.raises(Refusal):
        await strict.verify(token(unbound), Origin("127.0.0.1"))
    origin = Origin("127.0.0.1", "a" * 43)
    assert (await strict.verify(token(bound), origin)).id == "transfer"
    assert (await strict.verify(token(claims(clock)), origin)).id == "crm"
    assert (await verifier(clock).verify(token(unbound))).id == "transfer"


@pytest.mark.parametrize(
    "bad",
    [
        {"cnf": "a"},
        {"cnf": {}},
        {"cnf": {"jkt": "a"}},  # bound to something that nobody here can check
        {"cnf": {"x5t#S256": 7}},
        {"cnf": {"x5t#S256": "a", "jkt": "a"}},
        {"kt_networks": []},  # nowhere is not everywhere
        {"kt_networks": "203.0.113.0/24"},
        {"kt_networks": ["office"]},
        {"kt_networks": ["203.0.113.0/24"] * 65},
    ],
)
async def test_bounds_that_cannot_be_read_make_a_token_good_nowhere(
    clock: SettableClock, bad: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r".*"):
        bounds_of(bad)
    with pytest.raises(Refusal) as refused:
        await verifier(clock).verify(token({**claims(clock), **bad}))
    assert refused.value.problem.code == "token-invalid"
