# SPDX-License-Identifier: Apache-2.0
"""Refusals about the state a request meets, and about a service that cannot answer."""

from __future__ import annotations

from contracts.problems.problem import Problem

# -- The state it meets -------------------------------------------------------

UNIQUE_CONFLICT = Problem(
    "unique-conflict",
    409,
    "Unique value already in use",
    "A field that the catalogue calls unique holds this value in another record.",
    "Look the record up and change that one; `errors` names the field.",
)
HANDED_OVER = Problem(
    "handed-over",
    409,
    "Customer was handed over",
    "This customer was handed over to another party and is not created again.",
    "Stop syncing this customer; an officer may release the identifier.",
)
FOLIO_FROZEN = Problem(
    "folio-frozen",
    409,
    "Folio frozen",
    "A running handover has frozen this folio.",
    "Wait for the handover to turn or to be cancelled; new entries are accepted.",
)
ALREADY_EXISTS = Problem(
    "already-exists",
    409,
    "Already exists",
    "Something with this name exists and differs from what was sent.",
    "Read what exists; choose another name or send the same content.",
)
STATE_CONFLICT = Problem(
    "state-conflict",
    409,
    "Not possible in this state",
    "The current state does not allow this step.",
    "Read the current state and follow the steps it allows.",
)
BATCH_DIGEST_MISMATCH = Problem(
    "batch-digest-mismatch",
    409,
    "Batch differs",
    "This batch was executed before with a different digest.",
    "Fetch the batches again; a batch never changes once it was executed.",
)
ROLLED_BACK = Problem(
    "rolled-back",
    424,
    "Rolled back",
    "Another item of this all-or-none batch was refused, so this one was not done.",
    "Mend the refused item and send the whole batch again.",
)
PLAN_REFUSED = Problem(
    "plan-refused",
    409,
    "Plan refused",
    "This vault cannot carry out the plan as it is.",
    "Read `reason` and `missing`; mend the catalogue or agree on another plan.",
)
TURN_REFUSED = Problem(
    "turn-refused",
    409,
    "Turn refused",
    "Custody cannot turn: a batch is open or unverified, or the mandate no longer "
    "holds.",
    "Read `reason`; verify every batch and check the mandate.",
)
NOT_RECONCILED = Problem(
    "not-reconciled",
    409,
    "Not what was decided",
    "What was prepared for the buyer is not what was decided, so nothing moved.",
    "Do not repeat it: the operator is alarmed; cancel the handover or have the vault "
    "looked at.",
)
IDEMPOTENCY_KEY_IN_USE = Problem(
    "idempotency-key-in-use",
    409,
    "Request still running",
    "A request with this idempotency key is still running.",
    "Wait and repeat the same request.",
)

# -- How much, how long -------------------------------------------------------

QUOTA_EXCEEDED = Problem(
    "quota-exceeded",
    429,
    "Quota exceeded",
    "The answer would show the caller more distinct records today than it may see; "
    "nothing of it was disclosed.",
    "Wait as long as `Retry-After` says; records seen today can still be read.",
)
AUDIT_UNAVAILABLE = Problem(
    "audit-unavailable",
    503,
    "Audit trail unavailable",
    "The access cannot be recorded as it must be, so nothing is disclosed.",
    "Repeat the request after `Retry-After`, with the same idempotency key if it "
    "has one.",
)
BUSY = Problem(
    "busy",
    503,
    "Busy",
    "The service could not take the request in time; nothing was changed.",
    "Repeat the request after `Retry-After`.",
)
LOCKED = Problem(
    "locked",
    503,
    "Vault locked",
    "The vault has no root key and opens nothing.",
    "An operator must provide the root key.",
)
SHUTTING_DOWN = Problem(
    "shutting-down",
    503,
    "Shutting down",
    "The service is stopping and takes no new requests.",
    "Repeat the request after `Retry-After`.",
)
UPSTREAM_UNAVAILABLE = Problem(
    "upstream-unavailable",
    502,
    "Other service unavailable",
    "A service this one depends on refused or broke off the call.",
    "Repeat the request later.",
)
UPSTREAM_TIMEOUT = Problem(
    "upstream-timeout",
    504,
    "Other service too slow",
    "A service this one depends on did not answer in time.",
    "Repeat the request later with the same idempotency key.",
)
SEAL_BROKEN = Problem(
    "seal-broken",
    500,
    "Sealed value does not open",
    "What is stored here was altered, moved or put back, so nothing of it is shown.",
    "Do not repeat it: the operator is alarmed; name `request_id` to the operator.",
)
INTERNAL = Problem(
    "internal",
    500,
    "Internal error",
    "Something went wrong here; the operator sees where.",
    "Repeat the request once; if it fails again, name `request_id` to the operator.",
)
