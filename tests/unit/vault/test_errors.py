# SPDX-License-Identifier: Apache-2.0
"""Promise of the vault's errors: each tells the caller a problem of the one list."""

from collections.abc import Iterator

import pytest

from contracts.problems import PROBLEMS
from services.vault import errors


def every_error(root: type[errors.VaultError]) -> Iterator[type[errors.VaultError]]:
    yield root
    for child in root.__subclasses__():
        yield from every_error(child)


@pytest.mark.parametrize(
    "error", list(every_error(errors.VaultError)), ids=lambda error: error.__name__
)
def test_every_error_has_a_problem_of_the_list(error: type[errors.VaultError]) -> None:
    assert PROBLEMS[error.problem.code] is error.problem


def test_statuses_are_what_they_mean() -> None:
    assert errors.FieldUnparsable.problem.status == 422
    assert errors.PhoneUnparsable.problem.status == 422
    assert errors.RootKeyWrong.problem.status == 503
    assert errors.SealBroken.problem.status == 500
