# SPDX-License-Identifier: Apache-2.0
"""Reads names and labels out of PromQL; enough for what rules and dashboard hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_SELECTOR: Final = re.compile(
    r"(?<![\w\"])(?P<name>(?:keyturn|process|python)_\w+|up)\b(?:\{(?P<match>[^}]*)\})?"
)
_LABEL: Final = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')
_GROUPING: Final = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")
_TEMPLATE: Final = re.compile(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}")

#: Labels that Prometheus itself adds, or that a histogram's series have.
GIVEN: Final = frozenset({"job", "instance", "le"})


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric as a query names it, with the labels that it matches."""

    name: str
    labels: dict[str, str]


def selectors(query: str) -> Iterator[Selector]:
    """Yield every selector of a query."""
    for match in _SELECTOR.finditer(query):
        labels = dict(_LABEL.findall(match["match"] or ""))
        yield Selector(match["name"], labels)


def grouped(query: str) -> set[str]:
    """Return every label that a query groups by."""
    found = {
        label.strip()
        for group in _GROUPING.findall(query)
        for label in group.split(",")
    }
    return found - {""}


def templated(text: str) -> set[str]:
    """Return every label that a summary or a legend shows."""
    return set(_TEMPLATE.findall(text))
