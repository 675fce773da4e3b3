# SPDX-License-Identifier: Apache-2.0
"""What a process shows of its host: version, room on the disk, age of key files.

Read at each scrape; a file that cannot be read is left out.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

from cryptography.x509 import load_pem_x509_certificates
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from services import __version__
from services.chassis import measures
from services.chassis.settings import ServiceSettings, SettingsError
from services.chassis.telemetry import Metrics


def show_host(metrics: Metrics, settings: ServiceSettings) -> None:
    """Show the host's facts in `metrics`.

    Raises:
        SettingsError: The certificate cannot be read.
    """
    build = metrics.gauge(measures.BUILD)
    build.labels(settings.SERVICE or "keyturn", __version__).set(1)
    metrics.gauge(measures.STATE_FREE).set_function(partial(_free, settings.state_dir))
    metrics.registry.register(_KeyFiles(settings.keys_dir))
    if settings.tls_certificate is not None:
        expiry = _expiry(settings, Path(settings.tls_certificate))
        metrics.gauge(measures.TLS_EXPIRY).set(expiry)


class _KeyFiles(Collector):
    """Shows when each key file was written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield one sample for each `.key` file."""
        measure = measures.KEY_FILE_TIME
        found = GaugeMetricFamily(
            measure.name, measure.meaning, labels=list(measure.labels)
        )
        for path in sorted(self._folder.glob("*.key")):
            with suppress(OSError):  # it is being replaced
                found.add_metric([path.stem], path.stat().st_mtime)
        yield found


def _free(folder: Path) -> float:
    try:
        return float(shutil.disk_usage(folder).free)
    except OSError:
        return float("nan")


def _expiry(settings: ServiceSettings, path: Path) -> float:
    try:
        chain = load_pem_x509_certificates(path.read_bytes())
        return min(item.not_valid_after_utc for item in chain).timestamp()
    except (OSError, ValueError):
        raise SettingsError(
            settings.variable("tls_certificate"), "is no readable PEM certificate chain"
        ) from None
