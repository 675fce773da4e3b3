# SPDX-License-Identifier: Apache-2.0
"""No operation that is not public answers without a good token of this installation."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from joserfc.jwk import OKPKey

from services.chassis.auth import access_claims, sign_access_token
from tests.contract.answers import refused
from tests.contract.operations import operations, rows
from tests.contract.sending import send
from tests.contract.site import TILL, Site


def _claims(site: Site, installation: str = "", age: int = 0) -> dict[str, object]:
    audience = f"urn:keyturn:{installation or site.vault.house.installation}"
    return access_claims(
        site.principals[TILL],
        issuer=f"{audience}:issuer",
        audience=audience,
        now=site.vault.house.clock.now() - timedelta(seconds=age),
        lifetime_seconds=600,
        token_id="t",
    )


def _signed_by_a_stranger(site: Site) -> str:
    kid = site.vault.rooms.issuer.key_set().keys[0].kid
    return sign_access_token(
        _claims(site), OKPKey.generate_key("Ed25519", {"kid": kid})
    )


def _of_another_installation(site: Site) -> str:
    return sign_access_token(_claims(site, "ff" * 8), site.vault.rooms.issuer._key)


def _expired(site: Site) -> str:
    return sign_access_token(_claims(site, age=601), site.vault.rooms.issuer._key)


def _altered(site: Site) -> str:
    head, claims, signature = site.token(TILL).split(".")
    return f"{head}.{claims[:-4]}AAAA.{signature}"


TOKENS: dict[str, tuple[Callable[[Site], str | None], str]] = {
    "none": (lambda site: None, "authentication-required"),
    "basic": (lambda site: "Basic dGlsbDp0aWxs", "authentication-required"),
    "nonsense": (lambda site: "Bearer nonsense", "token-invalid"),
    "altered": (lambda site: f"Bearer {_altered(site)}", "token-invalid"),
    "stranger's": (
        lambda site: f"Bearer {_signed_by_a_stranger(site)}",
        "token-invalid",
    ),
    "another installation's": (
        lambda site: f"Bearer {_of_another_installation(site)}",
        "token-invalid",
    ),
    "expired": (lambda site: f"Bearer {_expired(site)}", "token-expired"),
}


@pytest.mark.attack("A6")
@pytest.mark.attack("T10")
@pytest.mark.parametrize("kind", TOKENS)
def test_every_guarded_operation_refuses_a_token_that_is(site: Site, kind: str) -> None:
    make, code = TOKENS[kind]
    header = make(site)
    asked = 0
    for operation in operations(site):
        if operation.scopes is None:
            continue
        headers = {} if header is None else {"authorization": header}
        answer = send(site, operation, None, headers=headers)
        assert refused(answer, operation)["code"] == code
        asked += 1
    assert asked == sum(row.right is not None for row in rows().values())


def test_no_shared_cache_may_keep_what_needs_a_token(site: Site) -> None:
    for operation in operations(site):
        if operation.scopes is not None and operation.method == "GET":
            answer = send(site, operation, rows()[operation.name].right)
            kept = answer.headers["cache-control"]
            assert "public" not in kept, (operation.name, kept)


@pytest.mark.attack("A6")
def test_the_refusals_can_fail(site: Site) -> None:
    # The same forged claims, signed by the issuer's own key, do open the door.
    good = sign_access_token(_claims(site), site.vault.rooms.issuer._key)
    answer = site.call(
        "vault", "GET", "/v1/catalogue", headers={"authorization": f"Bearer {good}"}
    )
    assert answer.status_code == 200
