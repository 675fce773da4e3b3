# SPDX-License-Identifier: Apache-2.0
"""Decide one access from a tuple of attributes, by the rules in `policies.cedar`. Pure.

The tuple holds no ids, so a decision is the same for everybody in the same position
and may be remembered. Cedar skips a rule that fails while deciding, which would turn a
failing `forbid` into silence: the rules are checked against the schema when they are
read, and a decision with any error is none.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import Final, NamedTuple, TypeAlias

import cedarpy

from services.vault.errors import PolicyBroken

CACHED_DECISIONS: Final = 4_096

SCHEMA: Final = """\
entity Role;
entity Class;
action read, pseudonym, aggregate, create, patch, append, lookup, list, resolve,
    history, erase appliesTo {
  principal: [Role],
  resource: [Class],
  context: {
    purpose: String,
    grade: String,
    clearance: Set<String>,
    custody: String,
    opted_in: Bool,
    objected: Bool,
    jurisdiction: String,
  }
};
"""

_REASON: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_NO_ENTITIES: Final = cedarpy.Entities.from_json_str("[]")
_SCHEMA: Final = cedarpy.Schema.from_str(SCHEMA)


class Role(StrEnum):
    """In which position somebody asks; `system` is the vault's own work."""

    CLIENT = "client"
    OPERATOR = "operator"
    COMPLIANCE = "compliance"
    OWNER = "owner"
    REVIEWER = "reviewer"
    MONITOR = "monitor"
    SYSTEM = "system"


class Action(StrEnum):
    """What is to be done with records of one class."""

    READ = "read"
    PSEUDONYM = "pseudonym"
    AGGREGATE = "aggregate"
    CREATE = "create"
    PATCH = "patch"
    APPEND = "append"
    LOOKUP = "lookup"
    LIST = "list"
    RESOLVE = "resolve"
    HISTORY = "history"
    ERASE = "erase"


class Grade(StrEnum):
    """How delicate a field is, by the catalogue."""

    GENERAL = "general"
    SENSITIVE = "sensitive"
    MINOR = "minor"


class Custody(StrEnum):
    """The derived state of a party's custody of one folio."""

    ACTIVE = "active"
    PENDING = "pending"
    RESTRICTED = "restricted"
    DESTROYED = "destroyed"


class Attributes(NamedTuple):
    """All a decision depends on; `policies.cedar` says what each member means.

    `grade` is the most delicate one asked for; with sensitive fields and fields of
    minors in one request, decide twice and take the denial.
    """

    role: str
    action: str
    class_: str
    purpose: str
    grade: str = Grade.GENERAL
    custody: str = Custody.ACTIVE
    opted_in: bool = False
    objected: bool = False
    clearance: frozenset[str] = frozenset()
    jurisdiction: str = ""


@dataclass(frozen=True, slots=True)
class Allowed:
    """A rule permits it and none forbids it."""


@dataclass(frozen=True, slots=True)
class Denied:
    """A rule forbids it; `reason` is that rule's id, a code for the log."""

    reason: str


@dataclass(frozen=True, slots=True)
class Gap:
    """No rule speaks of it: denied too, and counted as something to configure."""


Outcome: TypeAlias = Allowed | Denied | Gap


class Policy:
    """One version of the rules, parsed once, with its remembered decisions.

    The cache lives and dies with this object and the version is the hash of the text,
    so changed rules never meet an old decision. Safe to use from several threads.
    """

    def __init__(self, text: str) -> None:
        """Parse and check the rules in `text` (Cedar, the schema is `SCHEMA`).

        Raises:
            PolicyBroken: they do not parse, do not fit the schema, or a rule has no
                `@id` of its own in lower case, digits and hyphens.
        """
        try:
            self._policies = cedarpy.PolicySet.from_str(text)
            checked = cedarpy.validate_policies(text, _SCHEMA)
            rules = json.loads(cedarpy.policies_to_json_str(text))
        except ValueError as error:
            raise PolicyBroken(f"The policies do not parse: {error}") from None
        if not checked.validation_passed:
            faults = "; ".join(error.error for error in checked.errors)
            raise PolicyBroken(f"The policies do not fit the schema: {faults}")
        _require_ids(rules)
        self.version: Final = sha256(f"{SCHEMA}\0{text}".encode()).hexdigest()[:16]
        self._remembered = lru_cache(maxsize=CACHED_DECISIONS)(self._evaluate)

    def decide(self, attributes: Attributes) -> Outcome:
        """Return whether `attributes` are allowed; forbid wins over permit.

        Raises:
            PolicyBroken: the rules gave no decision, for one because the role or
                action is none of the schema. Nothing may be opened then.
        """
        return self._remembered(attributes)

    def decide_all(self, each: Iterable[Attributes]) -> Outcome:
        """Return the first outcome that is not `Allowed`, else `Allowed`.

        Raises:
            PolicyBroken: as `decide`; or there was nothing to decide.
        """
        outcome: Outcome | None = None
        for attributes in each:
            outcome = self._remembered(attributes)
            if not isinstance(outcome, Allowed):
                return outcome
        if outcome is None:
            raise PolicyBroken("There was nothing to decide.")
        return outcome

    def _evaluate(self, attributes: Attributes) -> Outcome:
        try:
            result = cedarpy.is_authorized(
                _request(attributes), self._policies, _NO_ENTITIES, _SCHEMA
            )
        except ValueError:
            raise PolicyBroken("The attributes are not text.") from None
        # Cedar's own message may quote an attribute; the log names the error's kind.
        if result.diagnostics.errors or result.decision is cedarpy.Decision.NoDecision:
            raise PolicyBroken("The policies gave no decision.")
        if result.allowed:
            return Allowed()
        forbidding = result.diagnostics.id_annotations_by_reason
        if not forbidding:
            return Gap()
        return Denied(forbidding[min(forbidding, key=_position)])


def _request(attributes: Attributes) -> dict[str, object]:
    return {
        "principal": {"type": "Role", "id": str(attributes.role)},
        "action": {"type": "Action", "id": str(attributes.action)},
        "resource": {"type": "Class", "id": str(attributes.class_)},
        "context": {
            "purpose": str(attributes.purpose),
            "grade": str(attributes.grade),
            "clearance": sorted(attributes.clearance),
            "custody": str(attributes.custody),
            "opted_in": attributes.opted_in,
            "objected": attributes.objected,
            "jurisdiction": attributes.jurisdiction,
        },
    }


def _position(policy_id: str) -> int:
    """Return the place of a rule in the text: Cedar calls the first one policy0."""
    return int(policy_id.removeprefix("policy"))


def _require_ids(rules: dict[str, dict[str, dict[str, dict[str, str]]]]) -> None:
    """Refuse rules whose reason could not be told apart in the log."""
    if rules["templates"]:
        raise PolicyBroken("A rule with ?slots decides nothing here.")
    seen: set[str] = set()
    for rule in rules["staticPolicies"].values():
        name = rule.get("annotations", {}).get("id") or ""
        if not _REASON.fullmatch(name):
            raise PolicyBroken("A rule has no @id in lower case, digits and hyphens.")
        if name in seen:
            raise PolicyBroken("Two rules have the same @id.")
        seen.add(name)
