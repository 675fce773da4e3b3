# SPDX-License-Identifier: Apache-2.0
"""Tokens, right and wrong, and their verifier."""

from __future__ import annotations

from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey

from contracts.problems import Refusal
from contracts.scopes import Scope
from services.chassis.auth import (
    LocalKeys,
    Principal,
    PrincipalKind,
    TokenVerifier,
    access_claims,
)
from tests.fakes.clock import SettableClock

KEY = OKPKey.generate_key("Ed25519", parameters={"kid": "k1"})
OTHER_KEY = OKPKey.generate_key("Ed25519", parameters={"kid": "k1"})
ISSUER, AUDIENCE = "urn:keyturn:0192:issuer", "urn:keyturn:0192"
CRM = Principal(
    PrincipalKind.CLIENT,
    "crm",
    "seller",
    None,
    None,
    frozenset({Scope.RECORDS_READ, Scope.RECORDS_CREATE}),
)
COMPLIANCE = Principal(
    PrincipalKind.OFFICER,
    "0f" * 32,
    "seller",
    "compliance",
    "p-7",
    frozenset({Scope.HANDOVERS_ACT}),
)


def verifier(clock: SettableClock, *keys: Any, **options: Any) -> TokenVerifier:
    keyset = KeySet(list(keys or (KEY,)))
    return TokenVerifier(
        issuer=ISSUER,
        audience=AUDIENCE,
        keys=LocalKeys(lambda: keyset),
        clock=clock,
        **options,
    )


def claims(clock: SettableClock, who: Principal = CRM) -> dict[str, Any]:
    return dict(
        access_claims(
            who,
            issuer=ISSUER,
            audience=AUDIENCE,
            now=clock.now(),
            lifetime_seconds=600,
            token_id="t1",
        )
    )


def token(
    claims: dict[str, Any], key: Any = KEY, alg: str = "Ed25519", **header: Any
) -> str:
    full = {"alg": alg, "typ": "at+jwt", "kid": "k1", **header}
    return jwt.encode(full, claims, key, algorithms=[alg])


async def refusal(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(Refusal) as caught:
        await verifier.verify(token)
    return caught.value.problem.code
