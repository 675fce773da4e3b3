# SPDX-License-Identifier: Apache-2.0
"""Whether a person may sign a document now, as the handover says before anybody asks.

A courtesy: transfer decides when the document is handed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from contracts.custody.officers import Role
from contracts.custody.statement import StatementKind
from services.cli.http import CliError
from services.cli.papers import Desk, handover_of, role_of
from services.cli.screen_text import visible

APPROVAL: Final = "approval"
RELEASE: Final = "release"


class NotToSign(CliError):  # noqa: N818 - a state of the handover
    """The document is not due, is another person's, or is signed already."""


def require_turn(desk: Desk, handover: str, kind: str) -> None:
    """Let a person go on whose signature the handover takes now.

    Args:
        desk: Who wants to sign.
        handover: What about.
        kind: `approval`, `release` or a kind of statement.

    Raises:
        NotToSign: It does not; the sentence says who signs, or what it waits for.
        EvidenceWrong: The person has no role in the handover.
        Refused, Unreachable: Transfer does not show it.
    """
    shown = handover_of(desk, handover)
    role = role_of(desk.officer, shown)
    due = next((item for item in shown["to_sign"] if item["kind"] == kind), None)
    said = kind.replace("_", " ")
    if due is None or due["subject"] is None:
        raise NotToSign(f"{_not_due(kind, said, shown)}; {_where(shown)}")
    if role.value in due["roles"]:
        return
    done = _signed(shown, str(due["event"]))
    if role.value in done:
        raise NotToSign(f"the {said} is signed by {role.value} already")
    signers = visible(", ".join(sorted({*map(str, due["roles"]), *done})))
    message = f"your role is {role.value}; the {said} is signed by {signers}"
    raise NotToSign(message)


def _not_due(kind: str, said: str, shown: Mapping[str, Any]) -> str:
    if kind == APPROVAL and shown["plan_hash"] is None:
        return "there is no plan to approve yet"
    if kind == StatementKind.SCOPE and shown["state"] == "scoping":
        return "there is no scope to agree to yet"
    return f"no {said} is to be signed now"


def _where(shown: Mapping[str, Any]) -> str:
    waits = ", ".join(map(str, shown["waiting_for"])) or "nobody"
    state = visible(str(shown["state"]))
    return f"the handover is in state {state} and waits for {visible(waits)}"


def _signed(shown: Mapping[str, Any], event: str) -> set[str]:
    """Return the roles that have signed what this step collects."""
    return {
        role.value for role in Role if f"{event}:{role.value}" in set(shown["signed"])
    }
