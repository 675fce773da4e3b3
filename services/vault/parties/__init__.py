# SPDX-License-Identifier: Apache-2.0
"""Parties, clients, officers and the embedded token issuer.

Other rooms use what is named here: `Parties`, and the functions that work inside a
caller's own transaction.
"""

from services.chassis.auth import PLATFORM
from services.vault.parties.members import Party, Terms
from services.vault.parties.officers import officer_keys
from services.vault.parties.operations import Parties
from services.vault.parties.store import (
    actor_alias,
    are_enrolled,
    bump_epoch,
    epoch,
    party_of,
    terms_of,
)

__all__ = [
    "PLATFORM",
    "Parties",
    "Party",
    "Terms",
    "actor_alias",
    "are_enrolled",
    "bump_epoch",
    "epoch",
    "officer_keys",
    "party_of",
    "terms_of",
]
