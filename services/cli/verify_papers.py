# SPDX-License-Identifier: Apache-2.0
"""The papers of an evidence directory, read and handed to `papers_check`.

Owns which file is missing or malformed; `papers_check` owns what must hold.
"""

from typing import Final

from contracts import dsse
from contracts.custody.document import MAX_DOCUMENT_BYTES
from services.cli.custody_ledger import Ledger
from services.cli.evidence import (
    DECISION,
    HANDOVER,
    OFFICERS,
    PLAN,
    Evidence,
    FileMalformed,
    FileUnreadable,
)
from services.cli.papers_check import PapersCheck
from services.cli.verify_report import Report

_DOCUMENTS: Final = "*.dsse.json"


def check_papers(evidence: Evidence, ledger: Ledger | None, report: Report) -> None:
    """Check the papers in `handover/` against what the log says.

    Args:
        evidence: Where they lie; without `handover/` there is nothing to check.
        ledger: What the log says; None where not all of it could be read,
            which is a failure of its own.
        report: Takes the findings.
    """
    if not evidence.has(HANDOVER):
        return
    if ledger is None:
        report.note(
            "unchecked", HANDOVER, "without a whole log nothing binds the papers"
        )
        return
    for index in ledger.unreadable:
        detail = "a custody event has another payload"
        report.fail("unreadable", "log", detail, index=index)
    check = PapersCheck(ledger)
    if not _take_officers(evidence, check, report):
        return
    _take_plan(evidence, check, report)
    _take_decision(evidence, check, report)
    for file in evidence.files(HANDOVER, _DOCUMENTS):
        try:
            envelope = evidence.read(file, dsse.MAX_ENVELOPE_BYTES)
        except FileUnreadable:
            report.fail("missing", file, "the file is unreadable or too large")
            continue
        check.take_document(file, envelope)
        report.count("signed documents")
    for found in check.finish():
        report.fail(found.rule, found.file, found.detail)


def _take_officers(evidence: Evidence, check: PapersCheck, report: Report) -> bool:
    if not evidence.has(OFFICERS):
        number = len(evidence.files(HANDOVER, _DOCUMENTS))
        detail = f"without officers' keys {number} signed documents are unchecked"
        report.unchecked(OFFICERS, detail)
        return False
    try:
        check.take_officers(OFFICERS, evidence.officers())
    except (FileUnreadable, FileMalformed):
        report.fail("officers", OFFICERS, "the file is malformed")
        return False
    return True


def _take_plan(evidence: Evidence, check: PapersCheck, report: Report) -> None:
    if not evidence.has(PLAN):
        detail = "without the plan nobody knows whether the mandate is complete"
        report.unchecked(PLAN, detail)
        return
    try:
        check.take_plan(PLAN, evidence.read(PLAN, MAX_DOCUMENT_BYTES))
    except FileUnreadable:
        report.fail("plan-differs", PLAN, "the file is unreadable or too large")


def _take_decision(evidence: Evidence, check: PapersCheck, report: Report) -> None:
    if not evidence.has(DECISION):
        if check.decided:
            report.unchecked(DECISION, "the log holds a decision, the papers do not")
        return
    try:
        check.take_decision(DECISION, evidence.decision())
    except (FileUnreadable, FileMalformed):
        report.fail("decision-differs", DECISION, "the file is malformed")
