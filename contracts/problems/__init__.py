# SPDX-License-Identifier: Apache-2.0
"""Every way a Keyturn service can refuse, in one list.

Owns the stable codes, their HTTP status and the words a caller is shown (RFC 9457).
Nothing here is computed from input: a problem's text is the same for everybody, and
what differs per request (a pointer, a reason code) is a member of its own.
A code is never renamed and never changes its status; a new cause gets a new code.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from contracts.problems.access import *  # noqa: F403 - the registry is one namespace
from contracts.problems.problem import Problem as Problem
from contracts.problems.refusal import ExtraValue as ExtraValue
from contracts.problems.refusal import Fault as Fault
from contracts.problems.refusal import Refusal as Refusal
from contracts.problems.request import *  # noqa: F403
from contracts.problems.state import *  # noqa: F403

PROBLEMS: Mapping[str, Problem] = MappingProxyType(
    {
        problem.code: problem
        for problem in tuple(globals().values())
        if isinstance(problem, Problem)
    },
)
"""Every problem by its code."""
