# SPDX-License-Identifier: Apache-2.0
"""Which topic carries whose events. The message key is the lane."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

PARTITIONS: Final = 4

#: One topic per producing service (architecture.md, Events).
TOPICS: Final = MappingProxyType(
    {
        "vault": "keyturn.access.v1",
        "transfer": "keyturn.handover.v1",
        "audit": "keyturn.alert.v1",
    }
)


def topic_of(service: str) -> str:
    """Return the topic that `service` writes. Raises KeyError for a stranger."""
    return TOPICS[service]
