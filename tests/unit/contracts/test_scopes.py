# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re

from contracts.scopes import MEANINGS, Scope, parse


def test_scopes_are_alphabetical_so_that_a_reader_finds_them() -> None:
    assert [s.value for s in Scope] == sorted(s.value for s in Scope)


def test_each_scope_has_one_line_of_meaning() -> None:
    assert set(MEANINGS) == set(Scope)
    assert all(m.endswith(".") and "\n" not in m for m in MEANINGS.values())


def test_scope_is_resource_and_verb_and_named_like_its_value() -> None:
    for scope in Scope:
        assert re.fullmatch(r"[a-z]+:[a-z]+", scope.value)
        assert scope.name == scope.value.replace(":", "_").upper()


def test_no_scope_enrols_a_party_or_a_client() -> None:
    assert not [s for s in Scope if s.value.startswith(("parties:", "clients:"))]


def test_unknown_scopes_open_nothing() -> None:
    assert parse("records:read records:everything  RECORDS:LIST *") == {
        Scope.RECORDS_READ,
    }
    assert parse("") == frozenset()
