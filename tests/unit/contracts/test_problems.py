# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re

import pytest

from contracts import problems
from contracts.problems import PROBLEMS, Problem


def test_no_code_names_two_problems() -> None:
    constants = [p for p in vars(problems).values() if isinstance(p, Problem)]
    assert len(constants) == len(PROBLEMS) > 40


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS.keys())
def test_each_problem_says_what_happened_and_what_to_do(problem: Problem) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", problem.code)
    assert 400 <= problem.status <= 599
    assert problem.detail.endswith(".")
    assert problem.fix.endswith(".")
    assert not problem.title.endswith(".")
    assert problem.type == f"/problems/{problem.code}"


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS.keys())
def test_no_text_has_a_place_for_a_value(problem: Problem) -> None:
    text = problem.title + problem.detail + problem.fix
    assert not re.search(r"[{}%]", text)


def test_constants_are_named_like_their_codes() -> None:
    for name, value in vars(problems).items():
        if isinstance(value, Problem):
            assert name == value.code.replace("-", "_").upper()
