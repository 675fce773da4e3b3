# SPDX-License-Identifier: Apache-2.0
"""Signed lane heads: who wrote a lane's events, and up to which one.

Each group commit of a source ends with one Ed25519 signature over its lane's
last leaf. Audit integrates only events under a verified head, so whoever can
write to Kafka can forge nothing.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from nacl.signing import SigningKey, VerifyKey

from contracts.signature import is_signed

KAFKA_HEADER = "kt-head"


@dataclass(frozen=True, slots=True)
class Head:
    """A source's claim: `lane` ends, at this commit, with `leaf` at `seq`.

    Attributes:
        installation: The installation's id.
        lane: 32 lower hex digits.
        seq: Sequence number of the last event, from 1.
        leaf: Its leaf hash, 32 bytes.
    """

    installation: str
    lane: str
    seq: int
    leaf: bytes

    def message(self) -> bytes:
        """Return the bytes that are signed; the first line is the domain string."""
        leaf = base64.b64encode(self.leaf).decode()
        return (
            f"keyturn-head/1\n{self.installation}\n{self.lane}\n{self.seq}\n{leaf}\n"
        ).encode()

    def sign(self, key: SigningKey) -> bytes:
        """Return the 64-byte Ed25519 signature."""
        return key.sign(self.message()).signature

    def verifies(self, signature: bytes, key: VerifyKey) -> bool:
        """Whether `signature` (64 bytes) is `key`'s signature of this head."""
        return is_signed(self.message(), signature, key)
