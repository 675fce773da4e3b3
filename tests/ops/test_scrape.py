# SPDX-License-Identifier: Apache-2.0
"""Promise: every number that rules, dashboard and reference name is really there.

One real house serves; what its three services answer at /metrics is held against
what is written about it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from deploy import dashboard
from deploy.demo.playing import free_ports
from services.chassis.clock import SystemClock
from services.chassis.measures import (
    CLASS_KEY_TIME,
    DENIED,
    SEAL_BROKEN,
    TLS_EXPIRY,
    Kind,
    Measure,
    declared,
)
from services.cli.place import Place
from services.cli.supervisor import Supervisor
from services.cli.token import ClientLogin
from tests.ops.promql import GIVEN, grouped, selectors, templated
from tests.ops.test_alerts import rules

#: Only what has happened can be shown: no class key, no denial, no TLS of its own here.
LATER: Final = {
    CLASS_KEY_TIME.name,
    DENIED.name,
    SEAL_BROKEN.name,
    TLS_EXPIRY.name,
}
PATIENCE_SECONDS: Final = 20.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

Scrapes = Mapping[str, Mapping[str, Metric]]


@pytest.fixture(scope="module")
def scrapes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scrapes]:
    folder = tmp_path_factory.mktemp("house")
    place = Place(folder / "state", folder / "keys", *free_ports())
    with Supervisor(place).running():
        yield _scraped(place)


def _scraped(place: Place) -> Scrapes:
    """Scrape until all that is measured now and then was measured once."""
    client = place.keys / "clients" / "scraper.json"
    arguments = ("enrol", "client", "--party", "platform", "--id", "scraper")
    subprocess.run(
        (sys.executable, "-m", "services.vault", *arguments, "--scope", "metrics:read"),
        env=place.settings(),
        check=True,
        capture_output=True,
    )
    login = ClientLogin(place.vault_url, *_credentials(client), SystemClock())
    urls = {
        "vault": place.vault_url,
        "transfer": place.transfer_url,
        "audit": place.audit_url,
    }
    deadline = time.monotonic() + PATIENCE_SECONDS
    with httpx.Client(auth=login) as http:
        while True:
            found = {
                service: _families(http.get(f"{url}/metrics").raise_for_status().text)
                for service, url in urls.items()
            }
            if not _absent(found) or time.monotonic() > deadline:
                return found
            time.sleep(0.5)


def _credentials(path: Path) -> tuple[str, str]:
    document = json.loads(path.read_text(encoding="utf-8"))
    return document["client_id"], document["client_secret"]


def _families(text: str) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(text)}


def _family(measure: Measure) -> str:
    name = measure.name
    return name.removesuffix("_total") if measure.kind is Kind.COUNTER else name


def _absent(scrapes: Scrapes) -> list[str]:
    return [
        f"{service}: {measure.name}"
        for measure in declared()
        for service in measure.services
        if measure.name not in LATER and not _samples(scrapes, service, measure)
    ]


def _samples(scrapes: Scrapes, service: str, measure: Measure) -> list[Sample]:
    family = scrapes[service].get(_family(measure))
    return family.samples if family is not None else []


def test_every_declared_metric_is_shown_with_its_labels(scrapes: Scrapes) -> None:
    assert _absent(scrapes) == []
    for measure in declared():
        for service in measure.services:
            for sample in _samples(scrapes, service, measure):
                assert set(sample.labels) - {"le"} == set(measure.labels), sample


def test_nothing_of_ours_is_shown_that_is_not_declared(scrapes: Scrapes) -> None:
    known = {(service, _family(m)) for m in declared() for service in m.services}
    shown = {
        (service, name)
        for service, families in scrapes.items()
        for name in families
        if name.startswith("keyturn_")
    }
    assert shown <= known


def test_names_follow_prometheus(scrapes: Scrapes) -> None:
    for measure in declared():
        assert measure.name.endswith("_total") == (measure.kind is Kind.COUNTER)
        if measure.kind is Kind.HISTOGRAM:
            assert measure.name.endswith("_seconds")
        assert "milli" not in measure.name
    for families in scrapes.values():
        for family in families.values():
            if family.name.startswith("keyturn_"):
                assert family.documentation, family.name


def _is_there(scrapes: Scrapes, name: str, labels: dict[str, str]) -> bool:
    if name == "up":
        return True
    of_job = labels.get("job", "").removeprefix("keyturn-")
    services = [of_job] if of_job in scrapes else list(scrapes)
    later = {item.name: item for item in declared() if item.name in LATER}
    if name in later:
        return set(labels) - GIVEN <= set(later[name].labels)
    series = {
        frozenset(sample.labels)
        for service in services
        for family in scrapes[service].values()
        for sample in family.samples
        if sample.name == name
    }
    return any(set(labels) - GIVEN <= known for known in series)


def _labels_of(scrapes: Scrapes, query: str) -> set[str]:
    names = {selector.name for selector in selectors(query)}
    shown = {
        label
        for families in scrapes.values()
        for family in families.values()
        for sample in family.samples
        if sample.name in names
        for label in sample.labels
    }
    later = {label for m in declared() if m.name in names for label in m.labels}
    return shown | later | GIVEN


def test_rules_and_dashboard_ask_for_what_is_scraped(scrapes: Scrapes) -> None:
    asked = [rule["expr"] for rule in rules()] + list(dashboard.queries())
    for query in asked:
        found = list(selectors(query))
        assert found, query
        for selector in found:
            assert _is_there(scrapes, selector.name, selector.labels), (query, selector)
        assert grouped(query) <= _labels_of(scrapes, query), query


def test_summaries_and_legends_show_labels_that_are_left(scrapes: Scrapes) -> None:
    told = [(rule["expr"], rule["annotations"]["summary"]) for rule in rules()]
    told += [
        item for _row, panels in dashboard.ROWS for p in panels for item in p.queries
    ]
    for query, text in told:
        groups = grouped(query)
        left = groups or _labels_of(scrapes, query)
        assert templated(text) <= left, (query, text)


def test_a_value_that_a_rule_waits_for_is_one_that_is_shown(scrapes: Scrapes) -> None:
    """A rule on `state="open"` would be silent for ever if it were called otherwise."""
    shown = {
        (sample.name, label, value)
        for families in scrapes.values()
        for family in families.values()
        for sample in family.samples
        for label, value in sample.labels.items()
    }
    for rule in rules():
        for selector in selectors(rule["expr"]):
            for label, value in selector.labels.items():
                if label in GIVEN or label in ("status", "route"):
                    continue
                for wanted in value.split("|"):
                    assert (selector.name, label, wanted) in shown, (rule, wanted)
