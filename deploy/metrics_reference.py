# SPDX-License-Identifier: Apache-2.0
"""Writes `deploy/METRICS.md`: every metric, from its declaration.

`deploy.contracts` generates and compares it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from services.chassis.measures import SERVICES, Measure, declared

PATH: Final = Path(__file__).parent / "METRICS.md"

TEXT: Final = """\
# Metrics

Generated from `services/chassis/measures.py` by `make contracts`; do not edit.

`GET /metrics` of each service, with a token of the scope `metrics:read`
([how to get one](SETTINGS.md#metrics)). Beside these there are `process_*` and
`python_info`. No label holds an id, a path, a party or a person.

- Counts of journals, handovers and batches come from the database: several processes
  of one service show the same; take `max`, not `sum`.
- Relay, follower and their alarms are shown by the process that relays and follows. Of
  transfer that may be a worker, which cannot be scraped: it gives way to a server after a minute.
- Shown from when it is first known: a follower before the log's key is there shows nothing.

[Alert rules and a dashboard](alerts/README.md) are built on these.
"""  # noqa: E501 - a list item is one line


def _row(measure: Measure) -> str:
    labels = "<br>".join(f"`{name}`: {of}" for name, of in measure.labels.items())
    return f"| `{measure.name}` | {measure.kind} | {measure.meaning} | {labels} |"


def _table(services: tuple[str, ...]) -> Iterator[str]:
    yield "| metric | kind | meaning | labels |"
    yield "|---|---|---|---|"
    for measure in declared():
        if measure.services == services:
            yield _row(measure)


def text() -> str:
    """Return the page."""
    parts = [TEXT]
    groups = dict.fromkeys(measure.services for measure in declared())
    for services in sorted(groups, key=lambda of: (-len(of), of)):
        title = "every service" if services == SERVICES else " and ".join(services)
        parts += [f"## Of {title}", "", *_table(services), ""]
    return "\n".join(parts)
