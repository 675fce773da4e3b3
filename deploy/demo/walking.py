# SPDX-License-Identifier: Apache-2.0
"""The custody way as its people walk it: who says what, and in which order.

Texts are those of the demonstration; a real handover says its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from deploy.demo.crm import AS_OF
from deploy.demo.office import Office
from deploy.demo.people_of_the_deal import BUYER, REVIEWER, SELLER
from services.chassis.clock import rfc3339

DEAL: Final = {
    "seller": SELLER,
    "buyer": BUYER,
    "reviewer": REVIEWER,
    "deal_type": "asset_sale",
    "path": "separate_consent",
}
CONTRACT: Final = (
    "Synthetic contract of the demonstration: Sparkle Supplies sells its business "
    "with cleaning supplies to Bright Home. Customer data is handed over to those who "
    "consented separately, for the purposes that the plan names, and for no other.\n"
)
CONSENT_WINDOW: Final = "2018-01-22"  # closed before the day of the decision
HABITS_WINDOW: Final = "2018-03-01"  # still open on it: habits are held
KEEP_HABITS_UNTIL: Final = "2030-12-31"
PLAN_DAYS: Final = 30

_SERVE: Final = ["customer_service", "invoicing", "order_fulfilment"]
_NEVER: Final = ["advertising", "marketing", "sale", "unrelated_disclosure"]
_PURPOSES: Final = {
    "basic": _SERVE,
    "habits": ["customer_service"],
    "purchases": _SERVE,
}
_WHY: Final = {
    "basic": "The buyer delivers what was ordered and answers the customers.",
    "habits": "The buyer advises customers as the seller did.",
    "purchases": "The buyer honours returns and warranties of these purchases.",
}


def scope_of(classes: list[str]) -> dict[str, Any]:
    """Return the scope of a handover of these classes.

    Wholesale customers are out of scope for habits: their buyers are staff.
    """
    ruled_out = {"class": "habits", "fact": "tag", "op": "ne", "value": "wholesale"}
    return {
        "classes": sorted(classes),
        "filters": [ruled_out] if "habits" in classes else [],
        "purposes": {name: _PURPOSES[name] for name in classes},
        "denied_purposes": dict.fromkeys(classes, _NEVER),
    }


def plan_of(office: Office, classes: list[str]) -> dict[str, Any]:
    """Return the plan's own members, beside deal and scope."""
    expires = office.clock.now() + timedelta(days=PLAN_DAYS)
    windows = dict.fromkeys(classes, CONSENT_WINDOW)
    keep: dict[str, str | None] = dict.fromkeys(classes)
    if "habits" in classes:
        windows["habits"] = HABITS_WINDOW
        keep["habits"] = KEEP_HABITS_UNTIL
    return {
        "retention": keep,
        "window_closes": windows,
        "contract_hash": "sha256:" + hashlib.sha256(CONTRACT.encode()).hexdigest(),
        "expires": rfc3339(expires),
        "as_of": AS_OF.isoformat(),
    }


def walk_to_freeze(
    office: Office, classes: list[str], note: str, say: Callable[[str], None]
) -> str:
    """Open a handover and bring it to its freeze; return its id."""
    handover = office.open_handover({**DEAL, "note": note})
    office.act("SO", handover, "submit", note="Closing of the deal is in February.")
    necessity = {
        "classes": {
            name: {
                "service": "The shops and their service go on at the buyer.",
                "why": _WHY[name],
                "alternative": "Asking each customer to register anew was considered.",
            }
            for name in sorted(classes)
        }
    }
    office.state_as("SC", handover, "necessity", **necessity)
    say("SC stated the necessity of each class and signed")
    office.act("SR", handover, "propose", scope=scope_of(classes))
    for seat in ("SO", "BO"):
        office.state_as(seat, handover, "scope", agreed="this scope and no other")
    say("SR proposed the scope, SO and BO signed it")
    office.act("SR", handover, "ready", plan=plan_of(office, classes))
    opinion = {"opinion": "Separate consent is asked for each class.", "open": []}
    office.state_as("PR", handover, "opinion", **opinion)
    say("SR wrote the plan, the independent reviewer signed the opinion")
    for seat in ("SO", "SC", "BO", "BC"):
        office.approve(seat, handover)
    say("SO, SC, BO and BC signed the plan")
    office.act("SC", handover, "freeze")
    return handover


def frozen(office: Office, handover: str) -> dict[str, Any]:
    """Wait until the vault has decided; return the handover."""
    return office.await_handover(handover, lambda shown: shown["state"] == "backup")


def back_up(office: Office, handover: str) -> dict[str, Any]:
    """Have the scope backed up and restored; return the vault's drill."""
    office.act("SR", handover, "back_up")
    office.await_handover(handover, lambda shown: shown["state"] == "await_release")
    drill: dict[str, Any] = office.custody(handover)["backup"]
    return drill


def executed(
    office: Office, handover: str, seen: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Wait until every batch is executed and verified, and the buyer may answer."""

    def awaits_receipt(shown: Mapping[str, Any]) -> bool:
        return shown["state"] == "verify" and "BC" in shown["waiting_for"]

    return office.await_handover(handover, awaits_receipt, seen)


def receive_and_close(office: Office, handover: str) -> dict[str, Any]:
    """Sign the buyer's receipt, let custody turn, and pass the audit."""
    progress = office.handover(handover)["progress"]
    receipt = {"batches": progress["batches"], "verified": progress["verified"]}
    office.state_as("BC", handover, "receipt", **receipt)
    office.await_handover(handover, lambda shown: shown["state"] == "post_audit")
    report = {"findings": [], "scope": "Delivered as agreed; the counts add up."}
    office.state_as("PR", handover, "audit_report", **report)
    return office.await_handover(
        handover, lambda shown: shown["state"] == "seller_restricted"
    )
