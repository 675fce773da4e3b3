# SPDX-License-Identifier: Apache-2.0
"""The verdict over a run. Pure: values in, anomalies out; it knows no product code."""

from __future__ import annotations

from tests.crash.checking.client_rules import client_anomalies
from tests.crash.checking.custody_rules import custody_anomalies
from tests.crash.checking.evidence import Anomaly, Evidence
from tests.crash.checking.handover_rules import handover_anomalies
from tests.crash.checking.log_rules import log_anomalies


def judge(found: Evidence) -> list[Anomaly]:
    """Return everything that must not be; empty where all holds."""
    return [
        *log_anomalies(found),
        *client_anomalies(found),
        *custody_anomalies(found),
        *handover_anomalies(found),
    ]
