# SPDX-License-Identifier: Apache-2.0
"""Whether the papers are all those, and only those, that the log says were filed.

The log names each filed document by its digest. Pure: reads no file and no clock.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from contracts import base64text
from contracts.custody.document import digest
from contracts.custody.signing import APPROVAL_TYPE, RELEASE_TYPE
from contracts.events.envelope import canonical_json
from contracts.events.transfer import DocumentFiled
from services.cli.custody_ledger import Filed, Ledger

_PAPERS: Final = "handover"
_KINDS: Final[Mapping[str, str]] = {APPROVAL_TYPE: "approval", RELEASE_TYPE: "release"}


class FilingFinding(NamedTuple):
    """A paper that is missing or was never filed.

    `rule` is `paper-missing`, `unfiled` or, where a handover has no papers at all,
    `unchecked`; `leaf` is the index of the filing.
    """

    rule: str
    file: str
    detail: str
    leaf: int | None = None


def document_digest(envelope: bytes) -> str | None:
    """Return the digest by which transfer files an envelope; None where it is no JSON.

    `sha256:` of its canonical JSON, so spaces and line ends of a copy do not count.
    """
    try:
        return digest(canonical_json(json.loads(envelope)))
    except (ValueError, RecursionError):
        return None


def filed_as(document: DocumentFiled, envelope: bytes) -> bool:
    """Whether an envelope is of the handover, kind, role and key that the log says.

    Checks no signature. A release names no role: who may sign one is another rule.
    """
    try:
        outer = json.loads(envelope)
        said = json.loads(base64text.decode(outer["payload"]))
        kind = _KINDS.get(outer["payloadType"]) or said["kind"]
        role = said.get("role", document.role)
        told = (said["handover"], kind, role, outer["signatures"][0]["keyid"])
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return False
    due = (document.handover, document.kind, document.role, document.key_id)
    return bool(told == due)


class FilingCheck:
    """Takes the documents one by one, then tells which did not come.

    Args of the constructor: what the log says, and the one handover whose papers are
    demanded; None for every one's.
    """

    def __init__(self, ledger: Ledger, only: str | None = None) -> None:
        self._ledger = ledger
        self._only = only
        self._filed: dict[str, list[DocumentFiled]] = {}
        for entries in ledger.handovers.values():
            for _leaf, document in entries.filed:
                self._filed.setdefault(document.digest, []).append(document)
        self._here: set[str] = set()
        self.found: list[FilingFinding] = []

    @property
    def matched(self) -> int:
        """How many different documents are here as they were filed."""
        return len(self._here)

    def take(self, file: str, envelope: bytes, *, refused: bool) -> None:
        """Take a document.

        Args:
            file: Where it lies.
            envelope: Its bytes.
            refused: Whether it has a finding already; a second one would say no more.
        """
        named = document_digest(envelope)
        filings = [] if named is None else self._filed.get(named, [])
        if named is not None and filings:
            self._here.add(named)
        if refused or (filings and all(filed_as(one, envelope) for one in filings)):
            return
        detail = "the log knows no filing of this document"
        if filings:
            detail = "the log filed it as of another handover, kind, role or key"
        self.found.append(FilingFinding("unfiled", file, detail))

    def finish(self) -> Sequence[FilingFinding]:
        """Return all findings, those on missing papers included."""
        for handover, entries in sorted(self._ledger.handovers.items()):
            if self._only in (None, handover):
                self.found.extend(self._missing(handover, entries.filed))
        return self.found

    def _missing(
        self, handover: str, filed: Sequence[Filed]
    ) -> Iterator[FilingFinding]:
        due = {one.document.digest for one in filed}
        if due and not due & self._here:
            detail = f"none of the {len(due)} papers filed in handover {handover}"
            yield FilingFinding("unchecked", _PAPERS, f"{detail} is here")
            return
        for leaf, document in filed:
            if document.digest not in self._here:
                what = f"{document.kind} of {document.role} in handover {handover}"
                detail = f"the log says that it was filed: {what}"
                yield FilingFinding("paper-missing", _PAPERS, detail, leaf)
