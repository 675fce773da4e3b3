# SPDX-License-Identifier: Apache-2.0
"""The decision of a freeze: one row per folio, bound by one root.

Owns a row's leaf, its salt, the groups {class: {outcome: {reason: {count, root}}}}
and their checks. Decides nothing (`contracts.law` does) and stores nothing.
Source of the trees: RFC 6962 §2.1 over RFC 8785 leaves, in order of position.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, NamedTuple, TypeAlias

from pydantic import Field

from contracts.custody.document import (
    ClassName,
    Code,
    Count,
    Counts,
    Digest,
    Document,
    DocumentMalformed,
    digest,
    read_canonical,
    validated,
)
from contracts.events.envelope import canonical_json
from contracts.log.errors import LogError
from contracts.log.merkle import (
    CompactRange,
    inclusion_proof,
    leaf_hash,
    verify_inclusion,
)

SALT_SIZE: Final = 16
SECRET_SIZE: Final = 32
_SALT_PERSON: Final = b"keyturn-salt-1"
_BUFFERED_LEAVES: Final = 1024  # bounded memory; one tree step per so many rows


class DecisionError(Exception):
    """Root of everything this module raises."""


class RowsOutOfOrder(DecisionError):  # noqa: N818
    """Rows do not come with the positions 0, 1, 2, ... or a group's do not rise."""


class DecisionMismatch(DecisionError):  # noqa: N818
    """Rows do not have the count and root, or a row not the place, that was signed."""


class DecisionRow(NamedTuple):
    """The outcome for one folio.

    Attributes:
        position: From 0, without gaps, over the whole inventory.
        record: The seller's record id.
        new_record: The buyer's record id; drawn at the freeze, not in the leaf.
        version: The frozen version.
        rule: Id of the rule that matched, as in the rule pack.
    """

    position: int
    record: str
    new_record: str
    class_: str
    volume: str
    version: str
    outcome: str
    rule: str
    reason: str


class DisclosedRow(NamedTuple):
    """A row with its salt, as a party that may see it gets it."""

    row: DecisionRow
    salt: bytes


GroupItem: TypeAlias = DisclosedRow | bytes
"""A disclosed row, or of a dropped one its leaf hash only."""

GroupKey: TypeAlias = tuple[str, str, str]
"""Class, outcome, reason."""


class Group(Document):
    """How many rows share a class, an outcome and a reason, and their tree's root."""

    count: Count
    root: Digest


class DecisionSummary(Document):
    """The groups of a decision: what both compliance officers sign the root of."""

    groups: dict[ClassName, dict[Code, dict[Code, Group]]]

    def counts(self) -> Counts:
        """Return the folios per class, outcome and reason."""
        return {
            name: {
                outcome: {reason: group.count for reason, group in reasons.items()}
                for outcome, reasons in outcomes.items()
            }
            for name, outcomes in self.groups.items()
        }

    def inventory(self) -> int:
        """Return how many folios the decision covers."""
        return sum(
            group.count
            for outcomes in self.groups.values()
            for reasons in outcomes.values()
            for group in reasons.values()
        )

    def group(self, key: GroupKey) -> Group | None:
        """Return one group, or None where no row has these three."""
        class_, outcome, reason = key
        return self.groups.get(class_, {}).get(outcome, {}).get(reason)


def salt(position: int, secret: bytes) -> bytes:
    """Return the 16-byte salt of a row, by position and the decision's secret."""
    assert len(secret) == SECRET_SIZE
    return hashlib.blake2b(
        position.to_bytes(8, "big"),
        key=secret,
        digest_size=SALT_SIZE,
        person=_SALT_PERSON,
    ).digest()


def leaf_bytes(row: DecisionRow, row_salt: bytes) -> bytes:
    """Return the RFC 8785 leaf of a row.

    The reason is not in it: the group that the leaf stands in says it.
    """
    return canonical_json(
        [
            base64.b64encode(row_salt).decode(),
            row.position,
            row.record,
            row.class_,
            row.volume,
            row.version,
            row.outcome,
            row.rule,
        ]
    )


def row_leaf(row: DecisionRow, row_salt: bytes) -> bytes:
    """Return the 32-byte leaf hash of a row."""
    return leaf_hash(leaf_bytes(row, row_salt))


class _GroupTree:
    """A group in the making: a compact range and a bounded buffer of leaf hashes."""

    __slots__ = ("_buffer", "_range")

    def __init__(self, stored: CompactRange | None = None) -> None:
        self._range = stored or CompactRange()
        self._buffer: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        self._buffer.append(leaf)
        if len(self._buffer) >= _BUFFERED_LEAVES:
            self.settle()

    def settle(self) -> CompactRange:
        self._range = self._range.extend(self._buffer)
        self._buffer.clear()
        return self._range

    def group(self) -> Group:
        settled = self.settle()
        return Group(count=settled.size, root=_spelled(settled.root()))


def _spelled(root: bytes) -> str:
    return f"sha256:{root.hex()}"


class DecisionTally:
    """Sums up a decision row by row, in memory that does not grow with the rows.

    It may be saved between two slices and continued later, by another process.
    """

    def __init__(self, secret: bytes) -> None:
        """Start an empty tally.

        Args:
            secret: The 32 bytes of this decision that its salts come from.
        """
        self._secret = secret
        self._next = 0
        self._trees: dict[GroupKey, _GroupTree] = {}

    @property
    def next_position(self) -> int:
        """The position of the row that comes next."""
        return self._next

    def add(self, row: DecisionRow) -> bytes:
        """Add the next row and return its leaf hash.

        Raises:
            RowsOutOfOrder: Its position is not `next_position`.
        """
        if row.position != self._next:
            raise RowsOutOfOrder("positions are 0, 1, 2, ... without gaps")
        leaf = row_leaf(row, salt(row.position, self._secret))
        key = (row.class_, row.outcome, row.reason)
        tree = self._trees.get(key)
        if tree is None:
            tree = self._trees[key] = _GroupTree()
        tree.add(leaf)
        self._next += 1
        return leaf

    def summary(self) -> DecisionSummary:
        """Return the groups of the rows so far."""
        groups: dict[str, dict[str, dict[str, Group]]] = {}
        for (name, outcome, reason), tree in sorted(self._trees.items()):
            reasons = groups.setdefault(name, {}).setdefault(outcome, {})
            reasons[reason] = tree.group()
        return DecisionSummary(groups=groups)

    def saved(self) -> bytes:
        """Return the state without the secret, for `continued`."""
        trees = [
            [*key, tree.settle().to_bytes().hex()]
            for key, tree in sorted(self._trees.items())
        ]
        return canonical_json({"next": self._next, "trees": trees})

    @classmethod
    def continued(cls, state: bytes, secret: bytes) -> DecisionTally:
        """Return the tally that `saved` saved.

        Raises:
            DocumentMalformed: The bytes are not of a saved tally.
        """
        saved = validated(_SavedTally, read_canonical(state))
        tally = cls(secret)
        tally._next = saved.next
        try:
            for name, outcome, reason, stored in saved.trees:
                kept = CompactRange.from_bytes(bytes.fromhex(stored))
                tally._trees[(name, outcome, reason)] = _GroupTree(kept)
        except (LogError, ValueError) as exc:
            raise DocumentMalformed("trees: not of a saved tally") from exc
        return tally


class _SavedTally(Document):
    next: Count
    trees: list[Annotated[list[str], Field(min_length=4, max_length=4)]]


def summarise(rows: Iterable[DecisionRow], secret: bytes) -> DecisionSummary:
    """Return the summary of all rows of a decision, in order of position.

    Raises:
        RowsOutOfOrder: The positions are not 0, 1, 2, ... without gaps.
    """
    tally = DecisionTally(secret)
    for row in rows:
        tally.add(row)
    return tally.summary()


def summary_bytes(summary: DecisionSummary) -> bytes:
    """Return the RFC 8785 bytes {class: {outcome: {reason: {count, root}}}}."""
    members: dict[str, Any] = summary.model_dump(mode="json")["groups"]
    return canonical_json(members)


def parse_summary(raw: bytes) -> DecisionSummary:
    """Read a summary that already is in its canonical bytes.

    Raises:
        DocumentMalformed: Not canonical, or not of this form.
    """
    return validated(DecisionSummary, {"groups": read_canonical(raw)})


def decision_root(summary: DecisionSummary) -> str:
    """Return the hash that both releases sign; it binds the counts too."""
    return digest(summary_bytes(summary))


def recompute_group(key: GroupKey, items: Iterable[GroupItem]) -> Group:
    """Return count and root of a group from its rows, in order of position.

    Raises:
        RowsOutOfOrder: The positions of the disclosed rows do not rise.
        DecisionMismatch: A row is of another group.
    """
    tree = _GroupTree()
    last = -1
    for item in items:
        if isinstance(item, bytes):
            tree.add(item)
            continue
        row = item.row
        if (row.class_, row.outcome, row.reason) != key:
            raise DecisionMismatch("a row of another group")
        if row.position <= last:
            raise RowsOutOfOrder("the positions of a group rise")
        last = row.position
        tree.add(row_leaf(row, item.salt))
    return tree.group()


def check_group(
    summary: DecisionSummary, key: GroupKey, items: Iterable[GroupItem]
) -> None:
    """Check that these are all rows of a group, and no other.

    Raises:
        RowsOutOfOrder: The positions of the disclosed rows do not rise.
        DecisionMismatch: They are not what the decision bound.
    """
    try:
        found = recompute_group(key, items)
    except LogError as exc:
        raise DecisionMismatch("a leaf hash has another length") from exc
    if found != summary.group(key):
        raise DecisionMismatch("count or root differ from the signed decision")


def prove_row(group_leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the inclusion proof of the row at an index within its group.

    Raises:
        TreePositionError: The group has no such row.
    """
    return inclusion_proof(group_leaves, index)


def check_row(
    summary: DecisionSummary, item: DisclosedRow, index: int, proof: Sequence[bytes]
) -> None:
    """Check that a row stands in the decision, at an index within its group.

    Raises:
        DecisionMismatch: It does not.
    """
    row = item.row
    group = summary.group((row.class_, row.outcome, row.reason))
    if group is None:
        raise DecisionMismatch("the decision has no such group")
    root = bytes.fromhex(group.root.removeprefix("sha256:"))
    leaf = row_leaf(row, item.salt)
    try:
        verify_inclusion(leaf, index, group.count, proof, root)
    except LogError as exc:
        raise DecisionMismatch("the proof does not lead to the signed root") from exc


@dataclass(frozen=True, slots=True)
class FrozenDecision:
    """What a release covers: one decision, as the vault computed it.

    Attributes:
        snapshot_id: The freeze it belongs to.
        decision_root: As `decision_root` says it.
        counts: Folios per class, outcome and reason.
        as_of: The day it was decided for, `YYYY-MM-DD`.
    """

    snapshot_id: str
    decision_root: str
    counts: Mapping[str, Mapping[str, Mapping[str, int]]]
    as_of: str
