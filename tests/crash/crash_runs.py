# SPDX-License-Identifier: Apache-2.0
"""Where each run of `test_crash_points` kills: every label of the code, somewhere."""

from __future__ import annotations

from typing import Final

#: Run → part → `label[:hits]` of each of its lives in turn.
RUNS: Final[dict[str, dict[str, list[str]]]] = {
    "writing": {
        "vault": [
            "database.before_commit:20",
            "database.after_commit:20",
            "vault.batch.before_write",
            "vault.turn.after_write",
        ],
        "audit": ["intake.before_commit:3", "intake.after_commit:3"],
        "worker": [
            "transfer.advance.before_vault",  # the freeze
            "transfer.advance.after_vault",
            "transfer.advance.before_vault",  # the backup
            "transfer.advance.after_vault",
            "transfer.batch.after_execute",
        ],
    },
    "delivering": {
        "vault": [
            "relay.before_publish:2",
            "relay.after_publish:2",
            "follower.before_receipt:2",
            "follower.after_receipt:2",
        ],
        "audit": [
            "publish.before_tiles:3",
            "publish.before_checkpoint:3",
            "publish.after_checkpoint:3",
        ],
        "worker": [
            "transfer.advance.before_vault:3",  # the mandate
            "transfer.advance.after_vault",
            "transfer.advance.before_vault",  # the turn
            "transfer.advance.after_vault",
        ],
        "transfer": ["database.before_commit:6", "database.after_commit:6"],
    },
}


#: Labels that these runs do not arm, and the test that kills there.
ELSEWHERE: Final = {
    "migrate.before_commit": "tests/integration/migrations/conftest.py",
    "vault.settlement.after_slice": "tests/crash/test_handover_killed.py",
}
