# SPDX-License-Identifier: Apache-2.0
"""The papers of an evidence directory, read and handed to `papers_check`.

Owns which file is missing or malformed; `papers_check` owns what must hold.
"""

from typing import Final

from contracts import dsse
from contracts.custody.document import MAX_DOCUMENT_BYTES, digest
from contracts.custody.plan import Plan
from services.cli.custody_ledger import Ledger
from services.cli.evidence import (
    CONTRACT,
    DECISION,
    HANDOVER,
    HISTORY,
    MAX_CONTRACT_BYTES,
    OFFICERS,
    PLAN,
    PROOFS,
    Evidence,
    FileMalformed,
    FileUnreadable,
)
from services.cli.filing_check import FilingCheck
from services.cli.history_check import history_differences
from services.cli.papers_check import PapersCheck
from services.cli.verify_proofs import SUFFIX
from services.cli.verify_report import Report

_DOCUMENTS: Final = "*.dsse.json"


def check_papers(evidence: Evidence, ledger: Ledger | None, report: Report) -> None:
    """Check the papers in `handover/` against what the log says.

    Args:
        evidence: Where they lie; without `handover/` the log says what is missing.
        ledger: What the log says; None where not all of it could be read,
            which is a failure of its own.
        report: Takes the findings.
    """
    if ledger is None:
        if evidence.has(HANDOVER):
            detail = "without a whole log nothing binds the papers"
            report.note("unchecked", HANDOVER, detail)
        return
    for index in ledger.unreadable if evidence.has(HANDOVER) else ():
        detail = "an event of a handover has another payload"
        report.fail("unreadable", "log", detail, index=index)
    check, filing = PapersCheck(ledger), FilingCheck(ledger, report.handover)
    _narrow(ledger, report)
    keyed = evidence.has(HANDOVER) and _take_officers(evidence, check, report)
    if keyed:
        _take_plan(evidence, check, report)
        _take_decision(evidence, check, report)
    for file in evidence.files(HANDOVER, _DOCUMENTS):
        _take_document(evidence, file, check if keyed else None, filing, report)
    if keyed:
        for found in check.finish():
            report.fail(found.rule, found.file, found.detail)
        _check_asked(check.plan, report)
        _check_contract(evidence, check.plan, report)
        _check_history(evidence, check.plan, ledger, report)
    _report_filing(filing, report)
    _note_uncovered(evidence, report)


def _narrow(ledger: Ledger, report: Report) -> None:
    """Say what `--handover` leaves out; one that the log does not know fails."""
    if report.handover is None:
        return
    if report.handover not in ledger.handovers:
        detail = "the log holds nothing of the handover that you asked for"
        report.fail("unknown-handover", "log", detail)
    others = sum(
        bool(entries.filed)
        for handover, entries in ledger.handovers.items()
        if handover != report.handover
    )
    if others:
        detail = f"papers of {others} other handovers of this log are not demanded"
        report.note("narrowed", HANDOVER, detail)


def _check_asked(plan: Plan | None, report: Report) -> None:
    asked = report.handover
    if asked is not None and plan is not None and plan.handover != asked:
        detail = "the plan is not of the handover that you asked for"
        report.fail("plan-differs", PLAN, detail)


def _take_document(
    evidence: Evidence,
    file: str,
    check: PapersCheck | None,
    filing: FilingCheck,
    report: Report,
) -> None:
    """Take a signed document; without officers' keys only the log speaks for it."""
    try:
        envelope = evidence.read(file, dsse.MAX_ENVELOPE_BYTES)
    except FileUnreadable:
        report.fail("missing", file, "the file is unreadable or too large")
        return
    before = 0 if check is None else len(check.found)
    if check is not None:
        check.take_document(file, envelope)
        report.count("signed documents")
    refused = check is not None and len(check.found) > before
    filing.take(file, envelope, refused=refused)


def _report_filing(filing: FilingCheck, report: Report) -> None:
    for found in filing.finish():
        if found.rule == "unchecked":
            report.unchecked(found.file, found.detail)
        else:
            report.fail(found.rule, found.file, found.detail, index=found.leaf)
    if filing.matched:
        report.count("filed documents", filing.matched)


def _check_contract(evidence: Evidence, plan: Plan | None, report: Report) -> None:
    """Check the contract's hash; a contract that stays elsewhere is only told."""
    if plan is None:
        return
    if not evidence.has(CONTRACT):
        detail = "the contract is not here: its hash in the plan is not checked"
        report.note("unchecked", CONTRACT, detail)
        return
    try:
        octets = evidence.read(CONTRACT, MAX_CONTRACT_BYTES)
    except FileUnreadable:
        report.fail("contract-differs", CONTRACT, "the file is unreadable or too large")
        return
    report.count("contracts")
    if digest(octets) != plan.contract_hash:
        detail = "the file has not the contract's hash in the plan"
        report.fail("contract-differs", CONTRACT, detail)


def _check_history(
    evidence: Evidence, plan: Plan | None, ledger: Ledger, report: Report
) -> None:
    """Check a written history; where there is none, the log tells the steps alone."""
    if not evidence.has(HISTORY):
        return
    if plan is None:
        detail = "without the plan nobody knows whose history this is"
        report.note("unchecked", HISTORY, detail)
        return
    try:
        items = evidence.history()
    except (FileUnreadable, FileMalformed):
        report.fail("history-differs", HISTORY, "the file is malformed")
        return
    report.count("steps", len(items))
    for detail in history_differences(items, ledger.handover(plan.handover)):
        report.fail("history-differs", HISTORY, detail)


def _note_uncovered(evidence: Evidence, report: Report) -> None:
    """Say which files beside the log no rule covers."""
    covered = {OFFICERS, PLAN, DECISION, HISTORY, CONTRACT}
    covered |= set(evidence.files(HANDOVER, _DOCUMENTS))
    covered |= set(evidence.files(PROOFS, f"*{SUFFIX}"))
    files = (*evidence.files(HANDOVER, "*"), *evidence.files(PROOFS, "*"))
    others = [file for file in files if file not in covered]
    if others:
        detail = f"nothing signed covers this file ({len(others)} such)"
        report.note("uncovered", others[0], detail)


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
