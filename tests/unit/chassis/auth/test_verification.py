# SPDX-License-Identifier: Apache-2.0
"""A token is believed only if this issuer made it, for this use, and it lives."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from joserfc.jwk import KeySet, OctKey, OKPKey, RSAKey

from services.chassis.auth import (
    LocalKeys,
    Principal,
    TokenVerifier,
    sign_access_token,
)
from tests.fakes.clock import SettableClock
from tests.unit.chassis.auth.tokens import (
    AUDIENCE,
    COMPLIANCE,
    CRM,
    ISSUER,
    KEY,
    OTHER_KEY,
    claims,
    refusal,
    token,
    verifier,
)


@pytest.mark.parametrize("who", [CRM, COMPLIANCE], ids=["client", "officer"])
async def test_a_signed_token_names_its_principal(
    clock: SettableClock, who: Principal
) -> None:
    signed = sign_access_token(claims(clock, who), KEY)
    assert await verifier(clock).verify(signed) == who


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "urn:keyturn:other:issuer"},
        {"aud": "urn:keyturn:0192:token"},
        {"aud": None},
        {"exp": None},
        {"exp": "9999999999"},
        {"exp": True},
        {"iat": None},
        {"nbf": 4_000_000_000},
        {"iat": 4_000_000_000},
        {"sub": None},
        {"sub": ""},
        {"sub": "a b"},
        {"sub": 7},
        {"kt_kind": "root"},
        {"kt_kind": None},
        {"kt_party": None},
        {"kt_party": "x" * 129},
        {"scope": None},
        {"scope": ["records:read"]},
    ],
    ids=str,
)
async def test_a_token_with_a_wrong_claim_is_refused(
    clock: SettableClock, change: dict[str, Any]
) -> None:
    changed = {**claims(clock), **change}
    wrong = token({k: v for k, v in changed.items() if v is not None})
    assert await refusal(verifier(clock), wrong) == "token-invalid"


async def test_an_officer_without_role_or_person_is_refused(
    clock: SettableClock,
) -> None:
    for missing in ("kt_role", "kt_person"):
        changed = claims(clock, COMPLIANCE)
        del changed[missing]
        assert await refusal(verifier(clock), token(changed)) == "token-invalid"


async def test_tokens_of_another_kind_key_or_algorithm_are_refused(
    clock: SettableClock,
) -> None:
    good = claims(clock)
    rsa = RSAKey.generate_key(2048, parameters={"kid": "k1"})
    segments = token(good).split(".")
    flipped = ("B" if segments[2][0] == "A" else "A") + segments[2][1:]
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"at+jwt"}').decode()
    confused = {"kty": "oct", "k": KEY.as_dict(private=False)["x"], "kid": "k1"}
    for wrong in [
        token(good, typ="JWT"),
        token(good, typ="keyturn-assertion+jwt"),
        token(good, key=OTHER_KEY),
        token(good, kid="k2"),
        token(good, key=rsa, alg="RS256"),
        token(good, key=OctKey.import_key(confused), alg="HS256"),
        f"{none.rstrip('=')}.{segments[1]}.",
        f"{segments[0]}.{segments[1]}.{flipped}",
        f"{segments[0]}.{segments[1]}",
        "..",
        "",
        "é" * 10,
        "[[[[.a.b",
        "a." * 5000,
    ]:
        assert await refusal(verifier(clock), wrong) == "token-invalid"


async def test_a_token_that_brings_its_own_key_is_refused(
    clock: SettableClock,
) -> None:
    wrong = token(claims(clock), jwk=KEY.as_dict(private=False))
    assert await refusal(verifier(clock), wrong) == "token-invalid"


async def test_an_external_issuer_may_sign_with_rs256_when_settings_say_so(
    clock: SettableClock,
) -> None:
    rsa = RSAKey.generate_key(2048, parameters={"kid": "k1"})
    signed = token(claims(clock), key=rsa, alg="RS256")
    assert await verifier(clock, rsa, algorithms=("RS256",)).verify(signed) == CRM
    assert await refusal(verifier(clock, rsa), signed) == "token-invalid"


async def test_a_remembered_token_still_expires(clock: SettableClock) -> None:
    checked = verifier(clock)
    signed = token(claims(clock))
    await checked.verify(signed)
    clock.advance(599)
    await checked.verify(signed)
    clock.advance(1)
    assert await refusal(checked, signed) == "token-expired"


async def test_a_withdrawn_issuer_key_stops_working_within_a_minute(
    clock: SettableClock,
) -> None:
    keys = [KEY]
    checked = TokenVerifier(
        issuer=ISSUER,
        audience=AUDIENCE,
        keys=LocalKeys(lambda: KeySet(keys)),
        clock=clock,
    )
    signed = token(claims(clock))
    await checked.verify(signed)
    keys[:] = [OKPKey.generate_key("Ed25519", parameters={"kid": "k9"})]
    clock.advance(60)
    assert await refusal(checked, signed) == "token-invalid"


async def test_memory_of_tokens_is_bounded(
    clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.chassis.auth.tokens.CACHE_ENTRIES", 3)
    checked = verifier(clock)
    for number in range(9):
        await checked.verify(token({**claims(clock), "jti": str(number)}))
    assert len(checked._cache) == 3
