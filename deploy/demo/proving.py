# SPDX-License-Identifier: Apache-2.0
"""Checks the evidence as a stranger would, and counts what the log holds.

Offline with the copied files (`keyturn verify`), and against the running log with
proofs that it makes itself.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from contracts import base64text
from contracts.custody.decision import FrozenDecision, decision_root
from contracts.custody.mandate import MandateRefused, check_mandate
from contracts.custody.officers import OfficerKey, OfficerRole, role_in_handover
from contracts.custody.plan import Plan, parse_plan
from contracts.log.errors import LogError
from contracts.log.note import NoteVerifier
from contracts.log.proof import TlogProof
from deploy.demo.cast import Tale
from deploy.demo.evidence import LogCopy
from services.cli.http import CliError
from services.cli.papers import summary_of
from services.cli.pinning import witness
from services.cli.verify import verify_directory

SAMPLED: Final = 32
COMMITTING: Final = ("vault", "transfer")


@dataclass(frozen=True, slots=True)
class Proven:
    """What the evidence came to.

    Attributes:
        operations: Audited events committed by vault and transfer, as they signed.
        missing: Of those, how many the log does not hold.
        duplicates: How many it holds more than once.
        proofs_checked: Inclusion and consistency proofs that led to a signed root.
    """

    operations: int
    leaves: int
    missing: int
    duplicates: int
    proofs_checked: int


def prove(tale: Tale, copied: LogCopy) -> Proven:
    """Check everything there is to check; note each promise with the narrator."""
    operations, missing, duplicates = tally(copied)
    narrator = tale.narrator
    narrator.check(
        "every committed event is in the log, each once",
        missing == 0 and duplicates == 0 and operations > 0,
        f"{operations} events, {copied.checkpoint.size} leaves",
    )
    proofs = _offline(tale) + _inclusion(tale, copied) + _consistency(tale)
    _mandate(tale)
    return Proven(operations, copied.checkpoint.size, missing, duplicates, proofs)


def tally(copied: LogCopy) -> tuple[int, int, int]:
    """Return operations, missing and duplicates of the committing sources."""
    held: Counter[tuple[str, int]] = Counter()
    for entry in copied.entries:
        event = json.loads(entry)
        held[(event["lane"], event["seq"])] += 1
    operations = missing = duplicates = 0
    for source in COMMITTING:
        for item in copied.heads[source]:
            operations += item["seq"]
            numbers = range(1, item["seq"] + 1)
            counts = [held[(item["lane"], seq)] for seq in numbers]
            missing += counts.count(0)
            duplicates += sum(count - 1 for count in counts if count > 1)
    return operations, missing, duplicates


def _offline(tale: Tale) -> int:
    report = verify_directory(tale.stage.evidence)
    first = next((f"{found.rule}: {found.detail}" for found in report.findings), "")
    tale.narrator.check(
        "the evidence holds offline: keys, heads, lanes, tiles, roots and signatures",
        report.ok,
        first or f"{report.checked.get('signed documents', 0)} signed documents",
    )
    kinds = ("inclusion proofs", "consistency proofs")
    return sum(report.checked.get(kind, 0) for kind in kinds) if report.ok else 0


def _inclusion(tale: Tale, copied: LogCopy) -> int:
    """Ask the running log for proofs of sampled events, and check each."""
    audit = tale.office.desk("MO").audit
    folder = tale.stage.evidence / "proofs"
    folder.mkdir(exist_ok=True)
    verifier = _verifier(tale.stage.evidence)
    good = 0
    step = max(1, len(copied.entries) // SAMPLED)
    sampled = copied.entries[::step][:SAMPLED]
    for entry in sampled:
        event = json.loads(entry)
        place = f"{event['lane']}/{event['seq']}"
        try:
            octets = audit.read(f"/v1/events/{place}/proof")
            TlogProof.parse(octets).verify(entry, verifier)
        except (CliError, LogError) as error:
            tale.narrator.say(f"no proof of {place}: {error}")
            continue
        (folder / f"{place.replace('/', '-')}.tlog-proof").write_bytes(octets)
        good += 1
    tale.narrator.check(
        "the log proves sampled events to be in it",
        good == len(sampled) > 0,
        f"{good} inclusion proofs",
    )
    return good


def _consistency(tale: Tale) -> int:
    """Check that the log only grew since the checkpoint pinned after the import."""
    desk = tale.office.desk("SC")
    try:
        seen = witness(desk.audit, desk.pin, None)
    except CliError as error:
        tale.narrator.check("the log only grew", held=False, detail=str(error))
        return 0
    before = seen.before or 0
    return int(
        tale.narrator.check(
            "the log only grew since this person saw it last",
            0 < before <= seen.checkpoint.size,
            f"{before} of {seen.checkpoint.size} leaves, consistent",
        )
    )


def _mandate(tale: Tale) -> None:
    """Check the six signatures against the decision, from the files alone."""
    folder = tale.stage.evidence / "handover"
    plan = parse_plan((folder / "plan.json").read_bytes())
    decision = json.loads((folder / "decision.json").read_text(encoding="utf-8"))
    summary = summary_of(decision)
    frozen = FrozenDecision(
        snapshot_id=decision["snapshot_id"],
        decision_root=decision_root(summary),
        counts=summary.counts(),
        as_of=decision["as_of"],
    )
    officers = json.loads((folder / "officers.json").read_text(encoding="utf-8"))
    keys = [key for item in officers["officers"] if (key := _key(item, plan))]
    signed = folder / "documents"
    now: datetime = tale.office.clock.now()
    try:
        check_mandate(
            plan,
            [path.read_bytes() for path in sorted(signed.glob("*-approval-*"))],
            [path.read_bytes() for path in sorted(signed.glob("*-release-*"))],
            keys,
            frozen,
            now,
        )
    except MandateRefused as refused:
        tale.narrator.check(
            "six signatures are a mandate", held=False, detail=str(refused)
        )
        return
    tale.narrator.check(
        "four approvals and two releases are a mandate for exactly this decision",
        held=True,
    )


def _key(item: dict[str, Any], plan: Plan) -> OfficerKey | None:
    role = role_in_handover(
        OfficerRole(item["role"]), item["party"], seller=plan.seller, buyer=plan.buyer
    )
    if role is None:
        return None
    public_key = base64text.decode(item["public_key"])
    return OfficerKey(
        item["key_id"], item["party"], role, item["person"], "sign", public_key
    )


def _verifier(evidence: Path) -> NoteVerifier:
    return NoteVerifier.from_vkey((evidence / "log.vkey").read_text().strip())
