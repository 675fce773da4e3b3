# SPDX-License-Identifier: Apache-2.0
"""What one kind of refusal is made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of refusal.

    Attributes:
        code: Stable machine name, lower-case words joined by `-`.
        status: HTTP status code, 400-599.
        title: One short phrase, the same for every occurrence.
        detail: What happened, in a sentence that names no value of the request.
        fix: What the caller can do about it.
    """

    code: str
    status: int
    title: str
    detail: str
    fix: str

    @property
    def type(self) -> str:
        """URI reference of the problem's page, served by every service offline."""
        return f"/problems/{self.code}"
