# SPDX-License-Identifier: Apache-2.0
"""`keyturn verify --party PARTY DIR`: is a party's own export of the log whole?

Reads the party's events, the hash tiles and the sources' party heads; the rules are
`contracts.log.party_check`'s. Believes no file that the signed root or a source's
signature does not cover; `view.json` is not even read.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from nacl.signing import VerifyKey

from contracts.events.party_heads import (
    MAX_STATEMENT_BYTES,
    PartyHeads,
    PartyHeadsMalformed,
    SignedPartyHeads,
)
from contracts.log import merkle, tiles
from contracts.log.checkpoint import Checkpoint
from contracts.log.errors import TileMalformed
from contracts.log.lane_check import UNREADABLE
from contracts.log.party_check import PartyChecker
from services.cli.evidence import (
    MAX_BUNDLE_BYTES,
    SERVICES,
    SOURCES,
    Evidence,
    FileUnreadable,
    Sources,
)
from services.cli.verify_keys import open_directory, read_sources
from services.cli.verify_report import Report
from services.cli.verify_tree import check_tree

_EVENTS: Final = "events"
_HEADS: Final = "party-heads"
_LINE: Final = re.compile(rb"(0|[1-9][0-9]{0,15}) (.+)", re.DOTALL)


def verify_party(
    directory: Path,
    party: str,
    *,
    vkey: str | None = None,
    source_keys: Mapping[str, bytes] | None = None,
    allow_unchecked: bool = False,
) -> Report:
    """Check that a party's export holds every event of the party, and no other.

    Args:
        directory: Holds `log/checkpoint` and the hash tiles, `log.vkey`,
            `sources.json`, `events/` and `party-heads/`.
        party: Whose export it should be.
        vkey: The log's key as the reader knows it from elsewhere.
        source_keys: Raw Ed25519 keys of services, known from elsewhere. Where one is
            not given the directory's own is believed, and the report says so.
        allow_unchecked: Whether a source without party heads is only told.

    Returns:
        The report; no damage of the directory raises.
    """
    evidence = Evidence(directory)
    report = Report(allow_unchecked=allow_unchecked, party=party)
    opened = open_directory(evidence, vkey, report)
    sources = read_sources(evidence, source_keys or {}, report)
    if opened is None or sources is None:
        return report
    checkpoint = opened[0]
    leaves = _leaves(evidence, checkpoint, report)
    if leaves is None:
        return report
    check_tree(evidence, checkpoint, leaves, report, of="hash tiles of the leaves")
    _tell_believed(sources, source_keys or {}, report)
    checker = PartyChecker(sources.installation, party)
    _check_events(evidence, checker, leaves, report)
    for service in sorted(sources.keys):
        signed = _statement(evidence, service, sources, report)
        if signed is not None and _is_of_this_log(signed, leaves, report):
            checker.check_heads(signed)
            _tell(checker, _heads_file(service), report)
            report.tell_heads(signed)
    report.count("lanes", checker.lanes)
    return report


def _leaves(
    evidence: Evidence, checkpoint: Checkpoint, report: Report
) -> list[bytes] | None:
    """Return the leaf hashes as the tiles hold them; None where a tile is missing."""
    found: list[bytes] = []
    # One by one: a signed size may be absurd, the files decide where it ends.
    for n in range(-(-checkpoint.size // tiles.TILE_WIDTH)):
        width = min(tiles.TILE_WIDTH, checkpoint.size - n * tiles.TILE_WIDTH)
        tile = tiles.TileId(0, n, width)
        try:
            found += tiles.decode_tile(evidence.tile(tile), width)
        except (FileUnreadable, TileMalformed):
            detail = "the hash tile is missing or malformed; nothing can be placed"
            report.fail("missing", f"log/{tile.path}", detail)
            return None
    return found


def _tell_believed(
    sources: Sources, pinned: Mapping[str, bytes], report: Report
) -> None:
    believed = sorted(sources.keys.keys() - pinned.keys())
    if believed:
        named = ", ".join(believed)
        detail = f"believed as the directory gives them: the keys of {named}"
        report.note("believed", SOURCES, detail)
    for service in sorted(SERVICES - sources.keys.keys()):
        detail = f"without the key of {service} nobody knows what it signed"
        report.unchecked(SOURCES, detail)


def _check_events(
    evidence: Evidence, checker: PartyChecker, leaves: Sequence[bytes], report: Report
) -> None:
    last = -1
    types: Counter[str] = Counter()
    for file in evidence.files(_EVENTS, "*"):
        try:
            lines = list(_lines(evidence.read(file, MAX_BUNDLE_BYTES)))
        except (FileUnreadable, ValueError):
            report.fail("events", file, "the file is unreadable or no page of events")
            continue
        for index, entry in lines:
            if index <= last:
                report.fail("order", file, "the leaf stands out of order", index=index)
            last = max(last, index)
            if index >= len(leaves) or merkle.leaf_hash(entry) != leaves[index]:
                detail = "the log holds another leaf, or none, in this place"
                report.fail("leaf", file, detail, index=index)
            event = checker.add(index, entry)
            types[UNREADABLE if event is None else event.type] += 1
        _tell(checker, file, report)
        report.count("events", len(lines))
    report.types = types


def _lines(page: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield leaf index and exact bytes of each line. Raises ValueError."""
    lines = page.split(b"\n")
    if lines.pop():
        raise ValueError("the last line is cut off")
    for line in lines:
        found = _LINE.fullmatch(line)
        if found is None:
            raise ValueError("a line is an index and an event")
        yield int(found[1]), found[2]


def _tell(checker: PartyChecker, file: str, report: Report) -> None:
    for found in checker.findings:
        report.fail(found.rule, file, found.detail, index=found.index)
    checker.findings.clear()


def _heads_file(service: str) -> str:
    return f"{_HEADS}/{service}.json"


def _statement(
    evidence: Evidence, service: str, sources: Sources, report: Report
) -> PartyHeads | None:
    """Return what a source signed on the party; None, and told, where it did not."""
    file = _heads_file(service)
    if not evidence.has(file):
        detail = f"nothing shows where the lanes of {service} end for this party"
        report.unchecked(file, f"{detail}: it was away, or was left out")
        return None
    try:
        octets = evidence.read(file, 2 * MAX_STATEMENT_BYTES)
        signed = SignedPartyHeads.from_json(octets)
    except (FileUnreadable, PartyHeadsMalformed):
        report.fail("heads", file, "the file is unreadable or malformed")
        return None
    heads, key = signed.heads, VerifyKey(sources.keys[service])
    if not heads.verifies(signed.signature, key):
        report.fail("head-signature", file, f"the key of {service} did not sign this")
    elif (heads.installation, heads.service, heads.party) != (
        sources.installation,
        service,
        report.party,
    ):
        report.fail("head-signature", file, "it was signed of something else")
    else:
        return heads
    return None


def _is_of_this_log(heads: PartyHeads, leaves: list[bytes], report: Report) -> bool:
    """Whether the checkpoint that the source was shown is a beginning of this log."""
    fits = heads.size <= len(leaves)
    if fits:
        before = merkle.CompactRange.empty().extend(leaves[: heads.size])
        fits = before.root() == heads.root
    if not fits:
        detail = "it was signed under a checkpoint that this log does not continue"
        report.fail("head-checkpoint", _heads_file(heads.service), detail)
    return fits
