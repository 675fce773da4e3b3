# SPDX-License-Identifier: Apache-2.0
"""The root of every error that a caller is told about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contracts.problems.problem import Problem
from contracts.problems.state import INTERNAL

ExtraValue = str | int | bool | Sequence[str]


@dataclass(frozen=True, slots=True)
class Fault:
    """One place of a request that breaks one rule.

    Attributes:
        pointer: RFC 6901 pointer made of known names and positions, never of input.
        code: Machine name of the rule.
        msg: The rule in words.
        where: `body`, `query`, `path` or `header`.
    """

    pointer: str
    code: str
    msg: str
    where: str = "body"


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not a failure
    """A request is refused for a reason its caller may know.

    Each service derives its own root, and from that one class per cause with
    `problem` set; `raise Refusal(problems.NOT_FOUND)` is for the chassis.

    Attributes:
        problem: What the caller is told.
        pointer: Place in the body that caused it, if it is one place.
        faults: Every place that broke a rule.
        extra: Further members of the answer: ids, codes and counts, never input.
        retry_after: Seconds after which a repetition may succeed.
        headers: Further headers of the answer, never input.
    """

    problem: Problem = INTERNAL

    def __init__(
        self,
        problem: Problem | None = None,
        *,
        pointer: str | None = None,
        faults: Sequence[Fault] = (),
        extra: Mapping[str, ExtraValue] | None = None,
        retry_after: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if problem is not None:
            self.problem = problem
        super().__init__(self.problem.code)
        self.pointer = pointer
        self.faults = tuple(faults)
        self.extra = dict(extra or {})
        self.retry_after = retry_after
        self.headers = dict(headers or {})
