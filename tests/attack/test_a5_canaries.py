# SPDX-License-Identifier: Apache-2.0
"""A5: a person's values lie nowhere in any spelling but in answers to who may read.

Three services with a deal under way: their files, every row behind the databases' own
keys, events, metrics, log lines, backups and refusals are searched in UTF-8, UTF-16,
hexadecimal, base64 and JSON escapes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData, select

from deploy.demo.scan import Needles, scan
from services.audit.schema import LOG, SEARCH
from services.transfer.schema import TRANSFER
from services.vault.schema import KEYS, READS, RECORDS
from tests.contract.site import TILL, Site, opened
from tests.integration.vault.records.shop import JANE
from tests.worlds import DATABASES

pytestmark = pytest.mark.attack("A5")
NEEDLES = [
    *("Quillfeather", "jane.quillfeather@example.org", "+49 171 1234567"),
    *("491711234567", "Musterhausen", "Zimtschnecken", "Teekessel Modell Rotkehlchen"),
    *(
        "C-1001",
        "Person 1\x00",
        "p1@example.org",
        "Kanarienvogel",
        "kanari@example.org",
    ),
]
TABLES: dict[str, MetaData] = {
    "changes": RECORDS,
    "reads": READS,
    "keys": KEYS,
    "handovers": TRANSFER,
    "log": LOG,
    "search": SEARCH,
}


@pytest.fixture(scope="module", params=DATABASES)
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, Path]]:
    folder = tmp_path_factory.mktemp("canaries")
    with opened(request.param, folder) as running:
        yield running, folder


def _life(site: Site) -> str:
    """Read, search, fail, be refused, back up; return every refusal, headers too."""
    values, said = site.values, []
    wrong = {"documents": {"basic": {"email": "kanari@", "name": "Kanarienvogel"}}}
    calls: list[tuple[Any, ...]] = [
        ("crm", "GET", f"/v1/records/{values['sold']}", None),
        ("crm", "POST", "/v1/records", JANE),
        ("crm", "POST", "/v1/records", {**JANE, "external_id": "Kanarienvogel"}),
        (TILL, "POST", "/v1/records", wrong),
        (TILL, "GET", "/v1/records/Kanarienvogel?view=kanari@example.org", None),
        (TILL, "GET", "/v1/kanari@example.org", None),
        (TILL, "PATCH", f"/v1/records/{values['sold']}", wrong),
        ("transfer", "POST", f"/v1/custody/{values['custody']}/backup", None),
    ]
    for who, method, path, body in calls:
        options = {} if body is None else {"json": body}
        headers = {"if-match": '"1"', "idempotency-key": "Kanarienvogel-1"}
        answer = site.call("vault", method, path, who, headers, **options)
        if not answer.is_success:
            said.append(f"{answer.headers}\n{answer.text}")
    asked = {"identifiers": [{"field": "email", "value": "kanari@example.org"}]}
    site.call("vault", "POST", "/v1/records/lookup", TILL, json=asked)
    site.call("audit", "GET", "/v1/events?actor=kanari@example.org", "crm")
    assert len(said) >= 4
    return "\n".join(said)


def _rows(site: Site) -> Iterator[bytes]:
    """Yield every value of every row, as the databases' keys open them."""
    for name, metadata in TABLES.items():
        database = site.databases[name]
        if name == "reads" and not database.engines.embedded:
            continue
        for table in metadata.sorted_tables:
            rows = site.run(
                database.read(lambda c, t=table: c.execute(select(t)).all())
            )
            for row in rows:
                for value in row:
                    yield value if isinstance(value, bytes) else str(value).encode()


def test_a5_no_canary_lies_anywhere(place: tuple[Site, Path]) -> None:
    site, folder = place
    refusals = _life(site)
    dump = folder / "dump"
    dump.mkdir()
    (dump / "rows").write_bytes(b"\n".join(_rows(site)))
    metrics = [app.state.metrics.render() for app in site.apps.values()]
    (dump / "metrics").write_bytes(b"\n".join(metrics))
    (dump / "log").write_text(site.log.getvalue())
    (dump / "refusals").write_text(refusals)
    found = scan([folder], Needles(NEEDLES))
    assert not found.findings, found.findings
    # On PostgreSQL the rows are all there is: no files of pages, no logs of them.
    assert found.octets > 100_000
    assert (dump / "rows").stat().st_size > 20_000
    assert "http.request" in site.log.getvalue()


def test_a5_the_scan_sees_what_is_there(place: tuple[Site, Path]) -> None:
    site, folder = place
    answer = site.call("vault", "GET", f"/v1/records/{site.values['sold']}", "crm")
    (folder / "answer").mkdir()
    (folder / "answer" / "read").write_bytes(answer.content)
    seen = scan([folder / "answer"], Needles(NEEDLES)).findings
    (folder / "answer" / "read").unlink()
    assert seen
