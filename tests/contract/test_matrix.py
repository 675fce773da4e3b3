# SPDX-License-Identifier: Apache-2.0
"""Who may do what: every operation for every kind of caller (OWASP A1, A5; T10)."""

import json

import pytest

from contracts.scopes import Scope
from tests.contract.answers import documented, refused, without_id
from tests.contract.operations import operations, rows
from tests.contract.sending import send
from tests.contract.site import Site

pytestmark = pytest.mark.attack("T10")


def test_a_token_without_the_scope_is_refused_and_told_which(site: Site) -> None:
    for operation in operations(site):
        row = rows()[operation.name]
        if row.right is None:
            continue
        needed = {Scope(scope) for scope in operation.scopes or ()}
        poor = site.principal(row.right, frozenset(Scope) - needed)
        document = refused(send(site, operation, poor), operation)
        assert document["code"] == "scope-missing", operation.name
        assert document["required_scopes"] == sorted(needed)


def test_the_lowest_role_opens_only_what_its_role_opens(site: Site) -> None:
    """A monitor's own token, at every operation, with ids of its own party."""
    held = {scope.value for scope in site.principals["MO"].scopes}
    for operation in operations(site):
        if operation.scopes is None:
            continue
        answer = send(site, operation, "MO")
        if set(operation.scopes) <= held:
            assert operation.method == "GET", operation.name
            assert answer.status_code in {200, 404}, (operation.name, answer.text)
        else:
            assert refused(answer, operation)["code"] == "scope-missing"


def test_a_role_that_may_not_is_refused_even_with_every_scope(site: Site) -> None:
    for name in ("transfer.create_handover", "transfer.act_on_handover"):
        operation = next(o for o in operations(site) if o.name == name)
        document = refused(send(site, operation, "MO+"), operation)
        assert document["status"] == 403, document


def test_a_stranger_finds_nothing_of_others_whatever_its_scopes(site: Site) -> None:
    """Somebody else's id and an id of nothing get the same words and status."""
    for operation in operations(site):
        row = rows()[operation.name]
        answer = send(site, operation, row.stranger)
        assert answer.status_code in row.foreign, (operation.name, answer.text)
        assert 404 in row.foreign or row.why, operation.name
        if answer.status_code == 404:
            nothing = send(site, operation, row.stranger, path=row.random)
            found = without_id(refused(answer, operation))
            if operation.name != "vault.lodge_plan":  # its body names the handover
                assert found == without_id(refused(nothing, operation)), operation.name


def test_what_strangers_are_answered_holds_nothing_of_others(site: Site) -> None:
    """Canary values of the corner shop and of the deal are in no stranger's answer."""
    values = site.values
    canaries = [values["record"], values["alias"], values["handover"], values["sold"]]
    canaries += ["Person 1", "p1@example.org", "jane.quillfeather"]
    for operation in operations(site):
        row = rows()[operation.name]
        if row.why in {"", "public"} or "whole" in row.why:
            continue
        text = send(site, operation, row.stranger).text
        asked = json.dumps(row.content(site), default=str)
        for canary in canaries:
            if canary in text:
                assert canary in asked, (operation.name, canary)
    resolved = site.call(
        "vault",
        "POST",
        "/v1/aliases:resolve",
        rows()["vault.resolve_aliases"].stranger,
        json={"records": [values["record"]], "aliases": [values["alias"]]},
    )
    assert not [
        item for item in resolved.json()["items"] if item["record"] and item["alias"]
    ]


def test_the_right_caller_is_answered_as_documented(own_site: Site) -> None:
    """The other side of the matrix: without it, refusing everybody would pass."""
    wrong = []
    for operation in operations(own_site):
        row = rows()[operation.name]
        answer = send(own_site, operation, row.right)
        if answer.status_code not in row.status:
            wrong.append((operation.name, answer.status_code, answer.text[:200]))
        documented(answer, operation)
    assert not wrong
