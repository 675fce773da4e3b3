# SPDX-License-Identifier: Apache-2.0
"""What people sign for a handover: the payloads of approvals and releases.

Owns their members, media types, domain strings and canonical bytes (RFC 8785).
Knows no signature: `contracts.dsse` makes and checks those.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeVar

from pydantic import Field, StringConstraints

from contracts.custody.document import (
    Code,
    Counts,
    Day,
    Digest,
    Document,
    HandoverId,
    Installation,
    Instant,
    canonical_document,
    parse_document,
)
from contracts.custody.officers import Role

APPROVAL_TYPE: Final = "application/vnd.keyturn.approval.v1+json"
RELEASE_TYPE: Final = "application/vnd.keyturn.release.v1+json"
APPROVAL_DOMAIN: Final = "keyturn-approval/1"
RELEASE_DOMAIN: Final = "keyturn-release/1"

Person = Annotated[
    str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")
]
CheckpointNote = Annotated[str, StringConstraints(min_length=1, max_length=16_384)]


class Approval(Document):
    """One person's consent to a plan, in one role; the payload of an envelope."""

    domain: Literal["keyturn-approval/1"] = APPROVAL_DOMAIN
    installation: Installation
    handover: HandoverId
    plan_hash: Digest
    role: Role = Field(strict=False)
    person: Person
    expires: Instant


class Release(Document):
    """One compliance officer's word that the frozen decision may be carried out.

    Attributes:
        checkpoint: The log's latest checkpoint that this person saw, a signed note;
            it was checked against the one pinned before, so a signer is a witness.
    """

    domain: Literal["keyturn-release/1"] = RELEASE_DOMAIN
    installation: Installation
    handover: HandoverId
    plan_hash: Digest
    snapshot_id: Code
    decision_root: Digest
    counts: Counts
    as_of: Day
    expires: Instant
    checkpoint: CheckpointNote


Signed = TypeVar("Signed", Approval, Release)


def approval_bytes(approval: Approval) -> bytes:
    """Return the canonical payload of an approval, as it is signed."""
    return canonical_document(approval)


def release_bytes(release: Release) -> bytes:
    """Return the canonical payload of a release, as it is signed."""
    return canonical_document(release)


def parse_approval(raw: bytes) -> Approval:
    """Read the payload of an approval that already is in its canonical bytes.

    Raises:
        DocumentMalformed: Not canonical, not an approval, or out of bounds.
    """
    return parse_document(Approval, raw)


def parse_release(raw: bytes) -> Release:
    """Read the payload of a release that already is in its canonical bytes.

    Raises:
        DocumentMalformed: Not canonical, not a release, or out of bounds.
    """
    return parse_document(Release, raw)
