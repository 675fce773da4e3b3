# SPDX-License-Identifier: Apache-2.0
"""Writes `deploy/alerts/dashboard.json`: the Grafana dashboard, row by row.

`deploy.contracts` generates and compares it. It reads Prometheus alone, by the
variable `datasource`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

PATH: Final = Path(__file__).parent / "alerts" / "dashboard.json"
WIDTH: Final = 24  # Grafana's grid
PANEL_WIDTH: Final = 8
PANEL_HEIGHT: Final = 7
SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture.

    Attributes:
        unit: Grafana's id of the unit.
        queries: PromQL, and what a line is called.
    """

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]


def _one(title: str, unit: str, query: str, legend: str) -> Panel:
    return Panel(title, unit, ((query, legend),))


_JOURNALS: Final = "max by (job, journal)"
_REQUESTS: Final = "keyturn_http_requests_total"
_COMMITS: Final = (
    "sum by (job, database, le) (rate(keyturn_database_commit_seconds_bucket[5m]))"
)
_KEY_FILES: Final = "time() - max by (key) (keyturn_key_file_timestamp_seconds)"
_CLASS_KEYS: Final = "time() - min(keyturn_class_key_oldest_timestamp_seconds)"
_SECONDS: Final = "keyturn_http_request_seconds_bucket"

ROWS: Final[tuple[tuple[str, tuple[Panel, ...]], ...]] = (
    (
        "Shop: who asks, who is refused, how long it takes",
        (
            _one(
                "Requests by route",
                "reqps",
                "topk(10, sum by (route) "
                f'(rate({_REQUESTS}{{job="keyturn-vault"}}[5m])))',
                "{{route}}",
            ),
            _one(
                "Answers by status",
                "reqps",
                f"sum by (job, status) (rate({_REQUESTS}[5m]))",
                "{{job}} {{status}}",
            ),
            _one(
                "p99 of answers",
                "s",
                "histogram_quantile(0.99, sum by (job, le) "
                f'(rate({_SECONDS}{{route!="/v1/stream"}}[5m])))',
                "{{job}}",
            ),
            _one(
                "Denied accesses by reason",
                "reqps",
                "sum by (reason) (rate(keyturn_denied_total[5m]))",
                "{{reason}}",
            ),
            _one(
                "Decisions that no policy matched, an hour",
                "short",
                "sum(increase(keyturn_policy_gap_total[1h]))",
                "gaps",
            ),
            _one(
                "Refused for too many requests",
                "reqps",
                f'sum by (job, route) (rate({_REQUESTS}{{status="429"}}[5m]))',
                "{{job}} {{route}}",
            ),
        ),
    ),
    (
        "Log: from commit to checkpoint",
        (
            Panel(
                "Events a second",
                "short",
                (
                    (
                        f"{_JOURNALS} (rate(keyturn_events_committed_total[5m]))",
                        "{{job}} {{journal}} committed",
                    ),
                    (
                        f"{_JOURNALS} (rate(keyturn_events_receipted_total[5m]))",
                        "{{job}} {{journal}} receipted",
                    ),
                ),
            ),
            Panel(
                "Oldest event that the log does not hold",
                "s",
                (
                    (
                        f"{_JOURNALS} (keyturn_outbox_oldest_seconds)",
                        "{{job}} {{journal}}",
                    ),
                    (
                        "time() - max(keyturn_log_checkpoint_timestamp_seconds)",
                        "age of the checkpoint",
                    ),
                ),
            ),
            Panel(
                "Where events wait",
                "short",
                (
                    (
                        f"{_JOURNALS} (keyturn_outbox_events)",
                        "{{job}} {{journal}} outbox",
                    ),
                    (
                        f"{_JOURNALS} (keyturn_relay_lag_events)",
                        "{{job}} {{journal}} relay",
                    ),
                    ("max by (source) (keyturn_intake_behind_events)", "{{source}}"),
                    ("max by (topic) (keyturn_intake_topic_lag_events)", "{{topic}}"),
                ),
            ),
            Panel(
                "Parked, dropped, lanes behind",
                "short",
                (
                    ("max(keyturn_intake_parked_events)", "parked"),
                    ("max(keyturn_intake_gap_lanes)", "lanes behind"),
                    (
                        "increase(keyturn_intake_dropped_events_total[5m])",
                        "dropped in 5 minutes",
                    ),
                ),
            ),
            Panel(
                "Leaves behind",
                "short",
                (
                    ("max(keyturn_log_unpublished_leaves)", "unpublished"),
                    (
                        "max(keyturn_log_leaves) - max(keyturn_search_leaves)",
                        "not yet found by search",
                    ),
                    (
                        f"{_JOURNALS} (keyturn_follower_lag_leaves)",
                        "{{job}} {{journal}} follower",
                    ),
                ),
            ),
            Panel(
                "Size of the log",
                "short",
                (
                    ("max(keyturn_log_leaves)", "published"),
                    (
                        f"{_JOURNALS} (keyturn_follower_leaves)",
                        "{{job}} {{journal}} verified",
                    ),
                ),
            ),
            _one(
                "Alerts of audit",
                "short",
                'max by (code, state) (keyturn_alerts{state="open"})',
                "{{code}} {{state}}",
            ),
            _one(
                "What followers say of the log",
                "short",
                "max by (job, code) (keyturn_follower_alarm)",
                "{{job}} {{code}}",
            ),
            Panel(
                "Bus and sources",
                "short",
                (
                    ("max(keyturn_intake_bus_up)", "audit: bus"),
                    (
                        f"{_JOURNALS} (keyturn_relay_up)",
                        "{{job}} {{journal}}: bus",
                    ),
                    ("max by (source) (keyturn_source_up)", "audit: {{source}}"),
                ),
            ),
        ),
    ),
    (
        "Handover",
        (
            _one(
                "Handovers by state",
                "short",
                "max by (state) (keyturn_handovers) > 0",
                "{{state}}",
            ),
            Panel(
                "Batches and leases",
                "short",
                (
                    ("max by (state) (keyturn_batches)", "{{state}}"),
                    ("max by (state) (keyturn_batch_leases)", "lease {{state}}"),
                    ("max(keyturn_handovers_faulty)", "handovers refused"),
                ),
            ),
            Panel(
                "What the workers do",
                "short",
                (
                    (
                        "max by (step) (rate(keyturn_batches_done_total[5m]))",
                        "batches {{step}} a second",
                    ),
                    (
                        "max(rate(keyturn_folios_moved_total[5m]))",
                        "folios a second",
                    ),
                ),
            ),
        ),
    ),
    (
        "Health",
        (
            Panel(
                "Up, and held against the log",
                "short",
                (
                    ('up{job=~"keyturn-.*"}', "{{job}} {{instance}}"),
                    (
                        "max by (job) (keyturn_rollback_checked)",
                        "{{job}} held against the log",
                    ),
                ),
            ),
            Panel(
                "Commits",
                "s",
                (
                    (
                        f"histogram_quantile(0.99, {_COMMITS})",
                        "{{job}} {{database}} p99",
                    ),
                ),
            ),
            _one(
                "Failed groups of writes",
                "short",
                "sum by (job, database, kind) "
                "(increase(keyturn_database_failures_total[5m]))",
                "{{job}} {{database}} {{kind}}",
            ),
            _one(
                "Room for the state",
                "bytes",
                "min by (job) (keyturn_state_free_bytes)",
                "{{job}}",
            ),
            Panel(
                "Processes",
                "short",
                (
                    (
                        'rate(process_cpu_seconds_total{job=~"keyturn-.*"}[5m])',
                        "{{job}} CPU",
                    ),
                    ('process_open_fds{job=~"keyturn-.*"}', "{{job}} files"),
                ),
            ),
            Panel(
                "Age of keys, days",
                "short",
                (
                    (
                        f"({_KEY_FILES}) / 86400",
                        "{{key}}",
                    ),
                    (
                        f"({_CLASS_KEYS}) / 86400",
                        "oldest class key",
                    ),
                ),
            ),
        ),
    ),
)


def queries() -> Iterator[str]:
    """Yield every PromQL expression of the dashboard."""
    for _title, panels in ROWS:
        for panel in panels:
            yield from (query for query, _legend in panel.queries)


def _panels() -> Iterator[dict[str, Any]]:
    number, top = 1, 0
    for title, panels in ROWS:
        place = {"x": 0, "y": top, "w": WIDTH, "h": 1}
        yield {
            "id": number,
            "type": "row",
            "title": title,
            "collapsed": False,
            "gridPos": place,
            "panels": [],
        }
        number, top = number + 1, top + 1
        columns = WIDTH // PANEL_WIDTH
        for i, panel in enumerate(panels):
            x, y = i % columns * PANEL_WIDTH, top + i // columns * PANEL_HEIGHT
            yield _graph(number, panel, x, y)
            number += 1
        top += -(-len(panels) // columns) * PANEL_HEIGHT


def _graph(number: int, panel: Panel, x: int, y: int) -> dict[str, Any]:
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": PANEL_WIDTH, "h": PANEL_HEIGHT},
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0},
            "overrides": [],
        },
        "targets": [
            {
                "refId": chr(ord("A") + i),
                "datasource": SOURCE,
                "expr": query,
                "legendFormat": legend,
            }
            for i, (query, legend) in enumerate(panel.queries)
        ],
    }


def text() -> str:
    """Return the dashboard as Grafana imports it."""
    variable = {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
    }
    document = {
        "title": "Keyturn",
        "uid": "keyturn",
        "tags": ["keyturn"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "utc",
        "templating": {"list": [variable]},
        "annotations": {"list": []},
        "panels": list(_panels()),
    }
    return json.dumps(document, indent=1) + "\n"
