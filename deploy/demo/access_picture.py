# SPDX-License-Identifier: Apache-2.0
"""Who can see what, as a picture that can be compared with a later one.

A cancelled handover must leave the same picture: every record of both parties with
its etag, what the seller's clerk reads of a sample, and what the buyer finds of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from deploy.demo.office import Office
from deploy.demo.people_of_the_deal import (
    BUYER_CLERK,
    BUYER_CRM,
    SELLER_CLERK,
    SELLER_CRM,
)


@dataclass(frozen=True, slots=True)
class Sampled:
    """A customer of the seller that is looked at closely."""

    record: str
    email: str


@dataclass(frozen=True, slots=True)
class AccessPicture:
    """What both parties see at one moment; contents by hash only."""

    seller_records: frozenset[tuple[str, str]]
    buyer_records: frozenset[tuple[str, str]]
    seller_reads: tuple[tuple[int, str], ...]
    buyer_reads: tuple[int, ...]
    buyer_finds: tuple[tuple[str, ...], ...]


def take_picture(office: Office, sample: Sequence[Sampled]) -> AccessPicture:
    """Look at every record of both parties, and closely at a sample."""
    emails = [one.email for one in sample]
    found = office.found(BUYER_CLERK, "email", emails)
    return AccessPicture(
        seller_records=frozenset(office.listed(SELLER_CRM)),
        buyer_records=frozenset(office.listed(BUYER_CRM)),
        seller_reads=tuple(_read(office, SELLER_CLERK, one) for one in sample),
        buyer_reads=tuple(_read(office, BUYER_CLERK, one)[0] for one in sample),
        buyer_finds=tuple(tuple(records) for records in found),
    )


def _read(office: Office, client: str, one: Sampled) -> tuple[int, str]:
    answer = office.system(client).send("GET", f"/v1/records/{one.record}")
    if answer.is_success:
        return answer.status_code, hashlib.sha256(answer.content).hexdigest()
    return answer.status_code, str(answer.json()["code"])
