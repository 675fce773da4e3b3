# SPDX-License-Identifier: Apache-2.0
"""Who may see what for which purpose, and how much of it."""

from services.vault.access.errors import (
    AccessRefused,
    AuditUnavailable,
    PurposeMissing,
    PurposeNotGiven,
    PurposeUnknown,
    QuotaSpent,
)
from services.vault.access.operations import Access, Caller, in_pages
from services.vault.access.policy import (
    Action,
    Allowed,
    Attributes,
    Denied,
    Gap,
    Outcome,
    Policy,
    Role,
)
from services.vault.access.policy_file import load_policy
from services.vault.access.quota import Quota
from services.vault.access.views import View, show_fields, show_pseudonymous

__all__ = [
    "Access",
    "AccessRefused",
    "Action",
    "Allowed",
    "Attributes",
    "AuditUnavailable",
    "Caller",
    "Denied",
    "Gap",
    "Outcome",
    "Policy",
    "PurposeMissing",
    "PurposeNotGiven",
    "PurposeUnknown",
    "Quota",
    "QuotaSpent",
    "Role",
    "View",
    "in_pages",
    "load_policy",
    "show_fields",
    "show_pseudonymous",
]
