# SPDX-License-Identifier: Apache-2.0
"""What an access token may allow: every scope of every service, alphabetically.

A scope opens a door; what is behind it is decided by purpose, policy and custody.
No scope enrols anybody: parties, clients and first officers are made on the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Scope(StrEnum):
    """A `<resource>:<verb>` that a token carries (RFC 6749 §3.3)."""

    ALIASES_RESOLVE = "aliases:resolve"
    AUDIT_EVENTS = "audit:events"
    AUDIT_EXPORT = "audit:export"
    AUDIT_INCIDENTS = "audit:incidents"
    AUDIT_MONITOR = "audit:monitor"
    AUDIT_READ = "audit:read"
    CATALOGUE_READ = "catalogue:read"
    CATALOGUE_WRITE = "catalogue:write"
    CONSENTS_WRITE = "consents:write"
    CUSTODY_BACKUP = "custody:backup"
    CUSTODY_CANCEL = "custody:cancel"
    CUSTODY_DESTROY = "custody:destroy"
    CUSTODY_EXECUTE = "custody:execute"
    CUSTODY_FREEZE = "custody:freeze"
    CUSTODY_MANDATE = "custody:mandate"
    CUSTODY_PLAN = "custody:plan"
    CUSTODY_READ = "custody:read"
    CUSTODY_ROWS = "custody:rows"
    CUSTODY_SETTLE = "custody:settle"
    HANDOVERS_ACT = "handovers:act"
    HANDOVERS_CREATE = "handovers:create"
    HANDOVERS_READ = "handovers:read"
    IMPORTS_READ = "imports:read"
    IMPORTS_WRITE = "imports:write"
    KEYS_DESTROY = "keys:destroy"
    KEYS_READ = "keys:read"
    KEYS_ROTATE = "keys:rotate"
    METRICS_READ = "metrics:read"
    OBJECTIONS_WRITE = "objections:write"
    OFFICERS_READ = "officers:read"
    OFFICERS_WRITE = "officers:write"
    OUTBOX_READ = "outbox:read"
    RECORDS_AGGREGATE = "records:aggregate"
    RECORDS_APPEND = "records:append"
    RECORDS_CREATE = "records:create"
    RECORDS_ERASE = "records:erase"
    RECORDS_LIST = "records:list"
    RECORDS_LOOKUP = "records:lookup"
    RECORDS_PATCH = "records:patch"
    RECORDS_PSEUDONYM = "records:pseudonym"
    RECORDS_READ = "records:read"
    RETENTION_WRITE = "retention:write"
    REVOCATIONS_READ = "revocations:read"


MEANINGS: Mapping[Scope, str] = MappingProxyType(
    {
        Scope.ALIASES_RESOLVE: "Learn which own record an alias in the log names.",
        Scope.AUDIT_EVENTS: "Search and follow the own party's events.",
        Scope.AUDIT_EXPORT: "Export the own party's events in bulk.",
        Scope.AUDIT_INCIDENTS: "Open, work on and close incidents.",
        Scope.AUDIT_MONITOR: "See every party's events, bundles and lanes (operator).",
        Scope.AUDIT_READ: "Read checkpoints, hash tiles and proofs.",
        Scope.CATALOGUE_READ: "Read classes and fields of the own catalogue.",
        Scope.CATALOGUE_WRITE: "Add and change classes and fields.",
        Scope.CONSENTS_WRITE: "File and withdraw consents of own records.",
        Scope.CUSTODY_BACKUP: "Have a handover's scope backed up and drilled.",
        Scope.CUSTODY_CANCEL: "Cancel, revoke or thaw a handover at the vault.",
        Scope.CUSTODY_DESTROY: "Have the restricted copies' keys destroyed when due.",
        Scope.CUSTODY_EXECUTE: "Run batches, verify them and ask for the turn.",
        Scope.CUSTODY_FREEZE: "Freeze a scope under an approved plan.",
        Scope.CUSTODY_MANDATE: "Hand in approvals and releases.",
        Scope.CUSTODY_PLAN: "Upload a plan.",
        Scope.CUSTODY_READ: "Read plan, decision counts and batch states.",
        Scope.CUSTODY_ROWS: "Read the rows of a decision one is entitled to.",
        Scope.CUSTODY_SETTLE: "See and settle collisions of records that arrived.",
        Scope.HANDOVERS_ACT: "Take a step of an own handover in one's role.",
        Scope.HANDOVERS_CREATE: "Open a handover.",
        Scope.HANDOVERS_READ: "Read an own handover, its documents and progress.",
        Scope.IMPORTS_READ: "Read import jobs and their result sets.",
        Scope.IMPORTS_WRITE: "Open, fill and start import jobs.",
        Scope.KEYS_DESTROY: "Destroy a class key of the own party.",
        Scope.KEYS_READ: "See key versions and the state of rotations.",
        Scope.KEYS_ROTATE: "Rotate a class key of the own party.",
        Scope.METRICS_READ: "Scrape /metrics.",
        Scope.OBJECTIONS_WRITE: "File and withdraw objections of own records.",
        Scope.OFFICERS_READ: "See the own party's officers; reviewers, every party's.",
        Scope.OFFICERS_WRITE: "Enrol by signature and revoke keys of own officers.",
        Scope.OUTBOX_READ: "Read a source's outbox and heads (audit only).",
        Scope.RECORDS_AGGREGATE: "Count and add up own records in large groups.",
        Scope.RECORDS_APPEND: "Append entries to own records.",
        Scope.RECORDS_CREATE: "Create own records.",
        Scope.RECORDS_ERASE: "Erase an own record.",
        Scope.RECORDS_LIST: "List own records page by page.",
        Scope.RECORDS_LOOKUP: "Find an own record by an identifier.",
        Scope.RECORDS_PATCH: "Change own records.",
        Scope.RECORDS_PSEUDONYM: "Read an own record in the view `pseudonym` alone.",
        Scope.RECORDS_READ: "Read an own record for a purpose.",
        Scope.RETENTION_WRITE: "Set retention of own classes and folios.",
        Scope.REVOCATIONS_READ: "Learn whose tokens were revoked (services only).",
    },
)
"""What each scope allows, in one line."""


def parse(scope: str) -> frozenset[Scope]:
    """Return the known scopes of a space-separated scope string (RFC 6749 §3.3).

    Unknown scopes open nothing and are left out.
    """
    known = Scope._value2member_map_
    return frozenset(Scope(word) for word in scope.split(" ") if word in known)
