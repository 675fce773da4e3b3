# SPDX-License-Identifier: Apache-2.0
"""Promise: what was prepared otherwise than decided does not move, and is told so."""

import json
from collections.abc import Iterator
from io import StringIO

import pytest
import structlog
from sqlalchemy import delete

from services.vault.custody.tables import custody
from tests.integration.vault.mandate.deal import Deal
from tests.integration.vault.records.shop import JANE

PENDING = (custody.c.party == "buyer", custody.c["class"] == "basic")


@pytest.fixture
def spoken() -> Iterator[StringIO]:
    """What the service logs, a JSON line each."""
    log = StringIO()
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()],
        logger_factory=structlog.WriteLoggerFactory(log),
        cache_logger_on_first_use=False,
    )
    yield log
    structlog.reset_defaults()


async def test_a_lost_row_stops_verification_and_turn(
    deal: Deal, spoken: StringIO
) -> None:
    await deal.consent(await deal.shop.seller.create(JANE))
    await deal.verified()
    lost = delete(custody).where(*PENDING)
    await deal.vault.rooms.changes.write(lambda tx: tx.execute(lost))
    (batch,) = await deal.batches()
    for answer in (await deal.verify(batch), await deal.turn()):
        assert (answer.status_code, answer.json()["code"]) == (409, "not-reconciled")
    assert (await deal.status())["state"] == "mandated"
    failures = [json.loads(line) for line in spoken.getvalue().splitlines()]
    assert [one["event"] for one in failures].count("request.failed") == 2


async def test_refused_signatures_name_their_event(deal: Deal) -> None:
    await deal.consent(await deal.shop.seller.create(JANE))
    await deal.decided()
    forged = deal.approvals(SO=deal.approval("SO", deal.people.stranger))
    answer = await deal.mandate(forged)
    [event] = await deal.vault.events("mandate.refused")
    assert (answer.status_code, answer.json()["audit_event"]) == (403, event.id)
    assert answer.headers["audit-event"] == event.id
