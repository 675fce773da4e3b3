# SPDX-License-Identifier: Apache-2.0
"""T10: who was revoked is refused at every operation.

Here of the vault and of transfer; this site's audit has an external issuer, where a
token lives until it ends (SECURITY.md). `test_revocations` has an audit without.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.answers import refused
from tests.contract.operations import operations, rows
from tests.contract.sending import send
from tests.contract.site import TILL, Site, opened

pytestmark = pytest.mark.attack("T10")


@pytest.fixture(scope="module")
def left_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with opened("sqlite", tmp_path_factory.mktemp("revoked")) as running:
        yield running


def test_t10_a_revoked_client_opens_no_operation(left_behind: Site) -> None:
    site = left_behind
    guarded = [
        one
        for one in operations(site)
        if one.scopes is not None and one.service != "audit"
    ]
    before = {send(site, one, TILL).status_code for one in guarded}
    assert 401 not in before
    assert len(guarded) > 30
    with site.vault.house.enrolling() as on_host:
        assert on_host.revoke_client(TILL)
    site.vault.house.clock.advance(3)
    for operation in guarded:
        answer = send(site, operation, TILL)
        document = refused(answer, operation)
        assert document["status"] == 401, (operation.name, document["code"])
    # Nobody else is: the refusal is of this client and not of all.
    other = next(one for one in guarded if one.name == "vault.read_catalogue")
    assert send(site, other, "crm").status_code == 200


def test_t10_every_kind_of_id_is_asked_for(left_behind: Site) -> None:
    """A row without a random id beside its own would leave a cell of the matrix out."""
    for operation in operations(left_behind):
        row = rows()[operation.name]
        if operation.parameters("path") and not row.why:
            assert set(row.random) == set(row.path), operation.name
