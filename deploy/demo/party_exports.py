# SPDX-License-Identifier: Apache-2.0
"""Each side exports its own view of the log, and checks offline that it is whole."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Final

from contracts.officers import OfficerRole
from deploy.demo.cast import Tale
from deploy.demo.people_of_the_deal import BUYER, OFFICERS, SELLER
from services.cli.http import CliError, checked
from services.cli.verify_party import verify_party

PARTIES: Final = (SELLER, BUYER)


def export_views(tale: Tale) -> None:
    """Export as each side's compliance officer; note whether each view is whole."""
    vkey = (tale.stage.evidence / "log.vkey").read_text(encoding="utf-8").strip()
    for party in PARTIES:
        folder = tale.stage.parties / party
        try:
            _export(tale, party, folder)
        except CliError as error:
            tale.narrator.check(f"{party} exports", held=False, detail=str(error))
            continue
        report = verify_party(folder, party, vkey=vkey)
        first = next((one.detail for one in report.findings), "")
        number = report.checked.get("events", 0)
        tale.narrator.check(
            f"the export of {party} holds every event of {party}, and no other",
            report.ok and number > 0,
            f"{number} events" if report.ok else first,
        )


def _export(tale: Tale, party: str, folder: Path) -> None:
    seat = next(
        spec.seat
        for spec in OFFICERS
        if (spec.party, spec.role) == (party, OfficerRole.COMPLIANCE)
    )
    audit = tale.office.desk(seat).audit
    answer = checked(audit.send("POST", "/v1/exports", json={}))
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
        tar.extractall(folder, filter="data")
