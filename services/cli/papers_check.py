# SPDX-License-Identifier: Apache-2.0
"""Whether the papers of a handover are the ones that the log speaks of.

Owns the rules that bind officers' keys, signed documents, plan and decision to the
log's custody events (`custody_ledger`). Pure: reads no file and no clock.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from contracts import dsse
from contracts.custody.decision import DecisionSummary, decision_root
from contracts.custody.document import DocumentMalformed, validated
from contracts.custody.mandate import APPROVING, RELEASING
from contracts.custody.officers import OfficerRole, Role, role_in_handover
from contracts.custody.plan import Plan, Profile, parse_plan, plan_hash
from contracts.custody.signing import (
    APPROVAL_TYPE,
    RELEASE_TYPE,
    Approval,
    Release,
    parse_approval,
    parse_release,
)
from contracts.custody.statement import STATEMENT_TYPE, Statement, parse_statement
from contracts.events.vault import MandateAccepted
from services.cli.custody_ledger import Ledger

IN_TOTO_TYPE: Final = "application/vnd.in-toto+json"

_SIDES: Final[Mapping[Role, OfficerRole]] = {
    Role.SELLER_OWNER: OfficerRole.OWNER,
    Role.SELLER_COMPLIANCE: OfficerRole.COMPLIANCE,
    Role.SELLER_OPERATOR: OfficerRole.OPERATOR,
    Role.BUYER_OWNER: OfficerRole.OWNER,
    Role.BUYER_COMPLIANCE: OfficerRole.COMPLIANCE,
    Role.REVIEWER: OfficerRole.REVIEWER,
    Role.MONITOR: OfficerRole.MONITOR,
}


class PaperFinding(NamedTuple):
    """A rule that a paper breaks; `detail` repeats nothing of the paper.

    The rules: `foreign-key`, `signature`, `unlodged`, `undecided`, `wrong-role`,
    `plan-differs`, `decision-differs`, `mandate-incomplete`.
    """

    rule: str
    file: str
    detail: str


class ListedOfficer(NamedTuple):
    """An officer as `officers.json` lists them; None for a member that is absent."""

    public_key: bytes
    key_id: str | None = None
    role: str | None = None
    party: str | None = None


class PapersCheck:
    """Takes the papers one by one, then tells what does not fit the log.

    Order: officers, plan, decision, each document, and at last `finish`.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.found: list[PaperFinding] = []
        self.plan: Plan | None = None
        self._ledger = ledger
        self._keys: dict[str, bytes] = {}
        self._approvals: list[tuple[str, Approval]] = []
        self._releases: list[tuple[str, Release]] = []

    @property
    def decided(self) -> bool:
        """Whether the log holds a decision of the plan's handover."""
        if self.plan is None:
            return False
        return bool(self._ledger.handover(self.plan.handover).decisions)

    def take_officers(self, file: str, listed: Sequence[ListedOfficer]) -> None:
        """Take the officers' keys; only those that the log enrolled count."""
        for officer in listed:
            key_id = dsse.keyid(officer.public_key)
            enrolled = self._ledger.keys.get(key_id)
            if enrolled is None:
                self._fail("foreign-key", file, "the log enrolled no such signing key")
            elif (
                officer.key_id not in (None, key_id)
                or officer.role not in (None, enrolled.role)
                or officer.party not in (None, enrolled.party)
            ):
                detail = "the log enrolled the key with another id, role or party"
                self._fail("foreign-key", file, detail)
            else:
                self._keys[key_id] = officer.public_key

    def take_plan(self, file: str, raw: bytes) -> None:
        """Take the plan; its hash must be the one lodged for its handover."""
        try:
            plan = parse_plan(raw)
        except DocumentMalformed:
            self._fail("plan-differs", file, "the file is no plan in canonical form")
            return
        entries = self._ledger.handover(plan.handover)
        if plan_hash(raw) not in entries.binding_plans():
            detail = "the plan is not the one lodged in the log for its handover"
            self._fail("plan-differs", file, detail)
            return
        self.plan = plan

    def take_decision(self, file: str, members: Any) -> None:
        """Take the decision: its groups must give the root that the log holds.

        Args:
            file: Where it lies.
            members: The JSON as the vault's `GET /v1/custody/{id}/decision` gives it.
        """
        try:
            handover = str(members["handover"])
            summary = validated(DecisionSummary, {"groups": members["counts"]})
            said = (members["snapshot_id"], members["as_of"], members["decision_root"])
            plan, folios = members["plan_hash"], members["folios"]
        except (KeyError, TypeError, DocumentMalformed):
            self._fail("decision-differs", file, "the file is no decision")
            return
        root, counts = decision_root(summary), summary.counts()
        entries = self._ledger.handover(handover)
        for made in entries.binding_decisions():
            due = (made.snapshot, made.as_of, made.decision_root)
            if (root, counts) == (made.decision_root, made.counts) and said == due:
                break
        else:
            detail = "the groups do not give the decision that the log holds"
            self._fail("decision-differs", file, detail)
            return
        same_plan = plan in entries.binding_plans()
        if self.plan is not None and self.plan.handover != handover:
            same_plan = False
        if not same_plan or folios != summary.inventory():
            detail = "the decision is of another plan, or miscounts its folios"
            self._fail("decision-differs", file, detail)

    def take_document(self, file: str, envelope: bytes) -> None:
        """Take a signed document: its key must be enrolled, its subject logged."""
        try:
            kind = dsse.payload_type_of(envelope)
            signed = dsse.verify_envelope(envelope, self._keys, kind)
        except dsse.DsseError as exc:
            self._fail("signature", file, str(exc))
            return
        try:
            self._read(file, signed)
        except DocumentMalformed:
            self._fail("signature", file, "the signed document is malformed")

    def finish(self) -> list[PaperFinding]:
        """Return all findings, those on missing documents included.

        Complete must be the mandate of each handover that turned in the log and
        that the plan or an approval or a release names.
        """
        named = {paper.handover: "" for _, paper in self._approvals}
        named |= {paper.handover: "" for _, paper in self._releases}
        if self.plan is not None:
            named[self.plan.handover] = ""
        for handover in sorted(named):
            self._complete(handover)
        return self.found

    def _fail(self, rule: str, file: str, detail: str) -> None:
        self.found.append(PaperFinding(rule, file, detail))

    def _read(self, file: str, signed: dsse.SignedPayload) -> None:
        if signed.payload_type == APPROVAL_TYPE:
            approval = parse_approval(signed.payload)
            if self._in_role(file, signed.keyid, approval) and self._lodged(
                file, approval
            ):
                self._approvals.append((signed.keyid, approval))
        elif signed.payload_type == RELEASE_TYPE:
            release = parse_release(signed.payload)
            if (
                self._may_release(file, signed.keyid)
                and self._lodged(file, release)
                and self._decided(file, release)
            ):
                self._releases.append((signed.keyid, release))
        elif signed.payload_type == STATEMENT_TYPE:
            self._in_role(file, signed.keyid, parse_statement(signed.payload))
        elif signed.payload_type != IN_TOTO_TYPE:
            self._fail("signature", file, "the document is not one of Keyturn's")

    def _in_role(self, file: str, key_id: str, paper: Approval | Statement) -> bool:
        """Whether the key's officer has the role that the document claims."""
        enrolled = self._ledger.keys[key_id]
        fits = enrolled.role == _SIDES[paper.role]
        if fits and self.plan is not None and self.plan.handover == paper.handover:
            fits = self._role_of(key_id, self.plan) is paper.role
        if paper.installation != self._ledger.installation:
            fits = False
        if not fits:
            detail = "the log enrolled the signer in another role or installation"
            self._fail("wrong-role", file, detail)
        return fits

    def _may_release(self, file: str, key_id: str) -> bool:
        fits = self._ledger.keys[key_id].role == OfficerRole.COMPLIANCE
        if not fits:
            detail = "the log enrolled the signer in another role than compliance"
            self._fail("wrong-role", file, detail)
        return fits

    def _role_of(self, key_id: str, plan: Plan) -> Role | None:
        role, party = self._ledger.keys[key_id]
        if role not in set(OfficerRole):
            return None
        sides = {"seller": plan.seller, "buyer": plan.buyer}
        return role_in_handover(OfficerRole(role), party, **sides)

    def _lodged(self, file: str, paper: Approval | Release) -> bool:
        entries = self._ledger.handover(paper.handover)
        holds = paper.plan_hash in entries.plans
        holds = holds and paper.installation == self._ledger.installation
        if not holds:
            detail = "the log holds no such plan of that handover"
            self._fail("unlodged", file, detail)
        return holds

    def _decided(self, file: str, release: Release) -> bool:
        holds = any(
            (made.decision_root, made.snapshot, made.as_of, made.counts)
            == (
                release.decision_root,
                release.snapshot_id,
                release.as_of,
                release.counts,
            )
            for made in self._ledger.handover(release.handover).decisions
        )
        if not holds:
            detail = "the log holds no such decision of that handover"
            self._fail("undecided", file, detail)
        return holds

    def _complete(self, handover: str) -> None:
        entries = self._ledger.handover(handover)
        turned = entries.turned
        if turned is None:
            return
        due = (turned.plan_hash, turned.decision_root)
        approvals = [
            (key_id, paper.role)
            for key_id, paper in self._approvals
            if (paper.handover, paper.plan_hash) == (handover, turned.plan_hash)
        ]
        releasing = [
            key_id
            for key_id, paper in self._releases
            if paper.handover == handover
            and (paper.plan_hash, paper.decision_root) == due
        ]
        accepted = [m for m in entries.mandates if _subject(m[1]) == due]
        if not self._suffices(approvals, releasing, accepted):
            detail = (
                "custody turned, but these are not the approvals and releases of "
                "the mandate that the log accepted"
            )
            self._fail("mandate-incomplete", "handover", detail)

    def _suffices(
        self,
        approvals: Sequence[tuple[str, Role]],
        releasing: Sequence[str],
        accepted: Sequence[tuple[str, MandateAccepted]],
    ) -> bool:
        roles = {role for _, role in approvals}
        profile = Profile.STANDARD if self.plan is None else self.plan.profile
        compliance = {key_id for key_id, role in approvals if role in RELEASING}
        keys = {key_id for key_id, _ in approvals} | set(releasing)
        return (
            roles >= APPROVING[profile]
            and len(set(releasing)) == len(RELEASING)
            and set(releasing) == compliance
            and any(
                keys == set(mandate.signers)
                and all(self._revoked_after(key_id, time) for key_id in keys)
                for time, mandate in accepted
            )
        )

    def _revoked_after(self, key_id: str, time: str) -> bool:
        # One clock, the vault's, wrote both times in one spelling: text compares.
        return self._ledger.revoked.get(key_id, "~") > time


def _subject(mandate: MandateAccepted) -> tuple[str, str]:
    return mandate.plan_hash, mandate.decision_root
