# SPDX-License-Identifier: Apache-2.0
"""Well-formed bodies that the rows of the operations send."""

from tests.integration.vault.records.shop import JANE

NO_ID = "0192f0c1-2222-7333-8444-555566667777"
CONSENT = {
    "kind": "separate",
    "recipient": "buyer",
    "classes": ["basic"],
    "given_at": "2026-01-01T10:00:00Z",
    "withdrawn_at": "2026-01-02T10:00:00Z",
    "evidence_sha256": "sha256:" + "ab" * 32,
}
OBJECTION = {
    "recipient": "buyer",
    "handover": NO_ID,
    "objected_at": "2026-01-01T10:00:00Z",
    "withdrawn_at": "2026-01-02T10:00:00Z",
    "evidence_sha256": "sha256:" + "ab" * 32,
}
RECORD = {
    **JANE,
    "basis": {"basic": "contract"},
    "retention": {"basic": "2030-01-01"},
}
ENTRY = {"entry_id": "o-9", "at": "2026-01-01T10:00:00Z", "product": "Seife"}
ENVELOPE = {
    "payload": "e30=",
    "payloadType": "application/vnd.keyturn.statement.v1+json",
    "signatures": [{"keyid": "ab" * 32, "sig": "QUJD"}],
}
STEP = {
    "note": "a note",
    "document": ENVELOPE,
    "scope": {"classes": ["basic"], "filters": []},
    "plan": {"retention": {"basic": None}},
}
