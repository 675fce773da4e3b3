# SPDX-License-Identifier: Apache-2.0
"""Promise: each error of each room tells a problem of the one list, and no value."""

import importlib
from pathlib import Path

import pytest

from contracts.problems import PROBLEMS
from services import vault
from services.vault.errors import VaultError

ROOMS = sorted(p.parent.name for p in Path(vault.__path__[0]).glob("*/errors.py"))


def errors_of(room: str) -> list[type[VaultError]]:
    module = importlib.import_module(f"services.vault.{room}.errors")
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Exception)
        and value.__module__ == module.__name__
    ]


@pytest.mark.parametrize("room", ROOMS)
def test_every_error_of_a_room_is_a_vault_error_with_a_listed_problem(
    room: str,
) -> None:
    found = errors_of(room)
    assert found
    for error in found:
        assert issubclass(error, VaultError), error
        assert PROBLEMS[error.problem.code] is error.problem
        assert error.__doc__, error
