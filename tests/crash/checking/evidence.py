# SPDX-License-Identifier: Apache-2.0
"""What is judged: a history, the published log, and what the services say afterwards.

Values only. Whoever gathers them (`tests.crash.cycles.gathering`, a test) fills them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.crash.checking.history import Attempt
from tests.crash.checking.published import Checkpoint, Leaf


@dataclass(frozen=True, slots=True)
class Anomaly:
    """Something that must not be; `rule` is its short name."""

    rule: str
    detail: str


@dataclass(frozen=True, slots=True)
class Holding:
    """What one party is shown of one customer, under an ordinary purpose.

    Attributes:
        records: How many records the party finds under the customer's identifier.
        classes: The classes that it reads.
        entries: Ids of the entries that it reads, as often as they are shown.
    """

    records: int = 0
    classes: frozenset[str] = frozenset()
    town: str = ""
    etag: int = 0
    entries: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a handover, as transfer's history tells it."""

    step: int
    role: str
    event: str
    from_state: str
    to_state: str


@dataclass(frozen=True, slots=True)
class Handover:
    """A handover at its end; counts by class, outcome and reason, None before them."""

    id: str
    state: str
    at_the_vault: str
    steps: Sequence[Step]
    frozen: Mapping[str, Mapping[str, Mapping[str, int]]] | None = None
    turned: Mapping[str, Mapping[str, Mapping[str, int]]] | None = None


@dataclass(frozen=True, slots=True)
class SignedEnd:
    """A source's signed head of a lane."""

    service: str
    lane: str
    seq: int
    leaf: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that one run left.

    Attributes:
        customers: By external id, what seller and buyer are shown, in this order.
        listed: Records that each party lists.
        seen: Checkpoints in the order in which they were seen while it ran.
        keys: Raw Ed25519 key of each source.
    """

    history: Sequence[Attempt]
    leaves: Sequence[Leaf]
    checkpoint: Checkpoint
    seen: Sequence[Checkpoint]
    ends: Sequence[SignedEnd]
    keys: Mapping[str, bytes]
    installation: str
    customers: Mapping[str, tuple[Holding, Holding]]
    handovers: Sequence[Handover] = field(default_factory=tuple)
