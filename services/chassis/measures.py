# SPDX-License-Identifier: Apache-2.0
"""Every metric, declared once: its name, what it says, its labels and their values.

`telemetry.Metrics` makes them, `deploy/METRICS.md` lists them. A label's values are
few and known beforehand: never an id, a path, a party or a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """How a metric behaves; as in the Prometheus text format."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


SERVICES: Final = ("vault", "transfer", "audit")
SOURCES: Final = ("vault", "transfer")


@dataclass(frozen=True, slots=True)
class Measure:
    """One metric.

    Attributes:
        name: As it is scraped, without a histogram's suffixes.
        kind: How it behaves.
        meaning: One sentence, for the scrape and for the page.
        labels: By label, which values it takes.
        services: Who shows it.
        buckets: Upper bounds of a histogram, seconds.
    """

    name: str
    kind: Kind
    meaning: str
    labels: Mapping[str, str] = field(default_factory=dict)
    services: tuple[str, ...] = SERVICES
    buckets: tuple[float, ...] = ()


_JOURNAL: Final = {
    "journal": "vault: `changes`, `reads` (PostgreSQL: `changes` alone); "
    "transfer: `handover`; audit: `log`"
}
_DATABASE: Final = {
    "database": "vault: `changes`, `reads`, `keys`; transfer: `handover`; "
    "audit: `log`, `search`"
}
_ROUTE: Final = {
    "method": "the request's, or `other`",
    "route": "the route's template, or `unmatched`",
}

# --- requests and decisions ------------------------------------------------------

HTTP_REQUESTS: Final = Measure(
    "keyturn_http_requests_total",
    Kind.COUNTER,
    "Answered requests.",
    {**_ROUTE, "status": "the answer's"},
)
HTTP_SECONDS: Final = Measure(
    "keyturn_http_request_seconds",
    Kind.HISTOGRAM,
    "Time from request to the end of the answer.",
    _ROUTE,
    buckets=(
        *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
        *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    ),
)
DENIED: Final = Measure(
    "keyturn_denied_total",
    Kind.COUNTER,
    "Denied accesses.",
    {"reason": "code of the denial, as in the answer and the log"},
    ("vault",),
)
SEAL_BROKEN: Final = Measure(
    "keyturn_seal_broken_total",
    Kind.COUNTER,
    "Stored rows that did not open: altered, moved or put back.",
    {"fault": "`commitment` or `ciphertext`, mostly"},
    ("vault",),
)
POLICY_GAP: Final = Measure(
    "keyturn_policy_gap_total",
    Kind.COUNTER,
    "Decisions that no policy matched; a gap to close.",
    services=("vault",),
)

# --- from commit to receipt ------------------------------------------------------

COMMIT_SECONDS: Final = Measure(
    "keyturn_database_commit_seconds",
    Kind.HISTOGRAM,
    "Time of one COMMIT, which many requests may share.",
    _DATABASE,
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5),
)
DATABASE_FAILURES: Final = Measure(
    "keyturn_database_failures_total",
    Kind.COUNTER,
    "Groups of writes that failed.",
    {
        **_DATABASE,
        "kind": "`commit` (outcome unknown), `fenced` (another process has the lane), "
        "`refused` (nothing was written)",
    },
)
COMMITTED: Final = Measure(
    "keyturn_events_committed_total",
    Kind.COUNTER,
    "Events that the database holds or held, by all processes, in all lanes.",
    _JOURNAL,
)
RECEIPTED: Final = Measure(
    "keyturn_events_receipted_total",
    Kind.COUNTER,
    "Of these, the ones found in the published log.",
    _JOURNAL,
)
OUTBOX_EVENTS: Final = Measure(
    "keyturn_outbox_events",
    Kind.GAUGE,
    "Events not yet found in the published log.",
    _JOURNAL,
)
OUTBOX_OLDEST: Final = Measure(
    "keyturn_outbox_oldest_seconds",
    Kind.GAUGE,
    "Age of the oldest event not yet found in the published log.",
    _JOURNAL,
)
RELAY_UP: Final = Measure(
    "keyturn_relay_up", Kind.GAUGE, "Whether the bus took the last events.", _JOURNAL
)
RELAY_LAG: Final = Measure(
    "keyturn_relay_lag_events",
    Kind.GAUGE,
    "Committed events that this process has not seen on the bus or in the log.",
    _JOURNAL,
)
FOLLOWER_LEAVES: Final = Measure(
    "keyturn_follower_leaves",
    Kind.GAUGE,
    "Leaves of the published log that were followed and verified.",
    _JOURNAL,
)
FOLLOWER_LAG: Final = Measure(
    "keyturn_follower_lag_leaves",
    Kind.GAUGE,
    "Published leaves not yet followed.",
    _JOURNAL,
)
FOLLOWER_ALARM: Final = Measure(
    "keyturn_follower_alarm",
    Kind.GAUGE,
    "1 while the published log contradicts itself or this service.",
    {**_JOURNAL, "code": "`rollback`, `fork`, `twice`, `gap`, `note`"},
)
ROLLBACK_CHECKED: Final = Measure(
    "keyturn_rollback_checked",
    Kind.GAUGE,
    "1 once the database was held against the log and is not older.",
    services=SOURCES,
)

# --- the log ------------------------------------------------------------------------

LOG_LEAVES: Final = Measure(
    "keyturn_log_leaves",
    Kind.GAUGE,
    "Leaves under the published checkpoint.",
    services=("audit",),
)
UNPUBLISHED: Final = Measure(
    "keyturn_log_unpublished_leaves",
    Kind.GAUGE,
    "Committed leaves that no published checkpoint covers yet.",
    services=("audit",),
)
CHECKPOINT_TIME: Final = Measure(
    "keyturn_log_checkpoint_timestamp_seconds",
    Kind.GAUGE,
    "When the last checkpoint was published, Unix time; it moves with traffic alone.",
    services=("audit",),
)
SEARCH_LEAVES: Final = Measure(
    "keyturn_search_leaves",
    Kind.GAUGE,
    "Leaves that can be found by searching.",
    services=("audit",),
)
PARKED: Final = Measure(
    "keyturn_intake_parked_events",
    Kind.GAUGE,
    "Events that wait for a verified head.",
    services=("audit",),
)
GAP_LANES: Final = Measure(
    "keyturn_intake_gap_lanes",
    Kind.GAUGE,
    "Lanes whose signed head is ahead of the log.",
    services=("audit",),
)
BEHIND: Final = Measure(
    "keyturn_intake_behind_events",
    Kind.GAUGE,
    "Events under a source's signed heads that the log does not hold yet.",
    {"source": "`vault`, `transfer`"},
    ("audit",),
)
TOPIC_LAG: Final = Measure(
    "keyturn_intake_topic_lag_events",
    Kind.GAUGE,
    "Messages on the bus that were not fetched yet.",
    {"topic": "`keyturn.access.v1`, `keyturn.handover.v1`"},
    ("audit",),
)
DROPPED: Final = Measure(
    "keyturn_intake_dropped_events_total",
    Kind.COUNTER,
    "Messages dropped: of no source, malformed, or beyond the room for parking.",
    services=("audit",),
)
BUS_UP: Final = Measure(
    "keyturn_intake_bus_up",
    Kind.GAUGE,
    "Whether the bus answers.",
    services=("audit",),
)
SOURCE_UP: Final = Measure(
    "keyturn_source_up",
    Kind.GAUGE,
    "Whether a source answered the last question for its heads.",
    {"source": "`vault`, `transfer`"},
    ("audit",),
)
ALERTS: Final = Measure(
    "keyturn_alerts",
    Kind.GAUGE,
    "Alerts that the log holds.",
    {
        "code": "`fork`, `restore`, `gap`, `unreadable`",
        "state": "`open`, `acknowledged`",
    },
    ("audit",),
)

# --- handovers ----------------------------------------------------------------------

HANDOVERS: Final = Measure(
    "keyturn_handovers",
    Kind.GAUGE,
    "Handovers.",
    {"state": "each state of a handover"},
    ("transfer",),
)
FAULTY: Final = Measure(
    "keyturn_handovers_faulty",
    Kind.GAUGE,
    "Handovers whose system step was refused or got no answer at the last try.",
    services=("transfer",),
)
BATCHES: Final = Measure(
    "keyturn_batches",
    Kind.GAUGE,
    "Batches of handovers that are executed or verified now.",
    {"state": "`waiting`, `executed`, `verified`, `failed`"},
    ("transfer",),
)
LEASES: Final = Measure(
    "keyturn_batch_leases",
    Kind.GAUGE,
    "Of these, the ones that a worker holds.",
    {"state": "`held`; `expired`: the worker died or is stuck, nobody took over"},
    ("transfer",),
)
BATCHES_DONE: Final = Measure(
    "keyturn_batches_done_total",
    Kind.COUNTER,
    "Batches that the workers have brought through, of all handovers.",
    {"step": "`executed`, `verified`"},
    ("transfer",),
)
FOLIOS_MOVED: Final = Measure(
    "keyturn_folios_moved_total",
    Kind.COUNTER,
    "Folios whose keys were wrapped for a buyer, of all handovers.",
    services=("transfer",),
)

# --- the host -----------------------------------------------------------------------

BUILD: Final = Measure(
    "keyturn_build_info",
    Kind.GAUGE,
    "Always 1.",
    {"service": "`vault`, `transfer`, `audit`", "version": "of Keyturn"},
)
STATE_FREE: Final = Measure(
    "keyturn_state_free_bytes",
    Kind.GAUGE,
    "Room left on the file system of the state directory.",
)
KEY_FILE_TIME: Final = Measure(
    "keyturn_key_file_timestamp_seconds",
    Kind.GAUGE,
    "When a file in the keys directory was last written, Unix time.",
    {"key": "name of the file without `.key`"},
)
CLASS_KEY_TIME: Final = Measure(
    "keyturn_class_key_oldest_timestamp_seconds",
    Kind.GAUGE,
    "When the oldest class key in use was made, Unix time; absent without any.",
    services=("vault",),
)
TLS_EXPIRY: Final = Measure(
    "keyturn_tls_certificate_expiry_timestamp_seconds",
    Kind.GAUGE,
    "When the certificate ends that was loaded at the start, Unix time; absent "
    "without TLS of its own.",
)


def declared() -> tuple[Measure, ...]:
    """Return every metric, in the order of this module."""
    return tuple(item for item in globals().values() if isinstance(item, Measure))
