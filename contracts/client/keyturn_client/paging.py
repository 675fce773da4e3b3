# SPDX-License-Identifier: Apache-2.0
"""From one page to the next, until there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from keyturn_client.calls import Answer, Call
from keyturn_client.errors import AnswerMalformed

P = TypeVar("P")


@dataclass
class Paging(Generic[P]):
    """Where a reader of pages stands.

    Attributes:
        call: Makes the call of the page after a cursor; None is the first page.
        more: Whether there is a page to ask for.
    """

    call: Callable[[str | None], Call[P]]
    more: bool = True
    _cursor: str | None = None

    def next(self) -> Call[P]:
        """Return the call of the next page."""
        return self.call(self._cursor)

    def take(self, answer: Answer[P]) -> Answer[P]:
        """Note where a page ends, and return it. A page may be empty and not the last.

        Raises:
            AnswerMalformed: It is no page, or leads to itself.
        """
        body = cast("dict[str, Any]", answer.body)
        try:
            ahead, self.more = body["next_cursor"], body["has_more"] is True
        except (KeyError, TypeError):
            raise AnswerMalformed("the answer is no page") from None
        if self.more and (not isinstance(ahead, str) or ahead == self._cursor):
            raise AnswerMalformed("the page leads nowhere")
        self._cursor = ahead
        return answer
