# SPDX-License-Identifier: Apache-2.0
"""Seal and open bytes, bound to the place where they belong. Pure: no I/O, no clock.

Sealed = algorithm id (1) ‖ commitment (32) ‖ nonce (24) ‖ ciphertext and tag (n + 16).
XChaCha20-Poly1305-IETF (draft-irtf-cfrg-xchacha-03) under a key derived from the
caller's key *and* the context by BLAKE2b (RFC 7693). That cipher alone does not commit
to its key, so half of the derived bytes stand in front and are compared first: one
sealed value never opens to two different people.
"""

import hmac
from hashlib import blake2b
from typing import Final, Literal, NoReturn, SupportsIndex, TypeAlias

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError

from services.vault.errors import SealBroken, SealFault

ALGORITHM_ID: Final = 1  # XChaCha20-Poly1305-IETF with a BLAKE2b commitment
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 24
COMMITMENT_BYTES: Final = 32
TAG_BYTES: Final = 16
OVERHEAD_BYTES: Final = 1 + COMMITMENT_BYTES + NONCE_BYTES + TAG_BYTES

_PERSON: Final = b"keyturn-seal-1"
_ALGORITHM_BYTE: Final = bytes([ALGORITHM_ID])
_NONCE_AT: Final = 1 + COMMITMENT_BYTES
_CIPHERTEXT_AT: Final = _NONCE_AT + NONCE_BYTES

KeyUse: TypeAlias = Literal["class", "index"]


class Key:
    """Thirty-two secret bytes that do not show themselves.

    `repr`, `str` and `format` give `***`, it cannot be pickled or copied, and it
    compares in constant time. Python cannot wipe memory (SECURITY.md says so); this
    keeps keys out of logs, tracebacks and caches that serialise.
    """

    __slots__ = ("secret",)

    def __init__(self, secret: bytes) -> None:
        """Hold `secret`.

        Raises:
            ValueError: it is not exactly 32 bytes.
        """
        if len(secret) != KEY_BYTES:
            raise ValueError(f"a key is {KEY_BYTES} bytes")
        self.secret: Final[bytes] = bytes(secret)

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Key):
            return NotImplemented
        return hmac.compare_digest(self.secret, other.secret)

    # Not hashable: a secret has no business being a key of a dictionary.
    __hash__ = None  # type: ignore[assignment]

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a key is not pickled and not copied")


def canonical_context(kind: str, *parts: str | int) -> bytes:
    """Return the one byte string that stands for `kind` and `parts` in this order.

    Each part is preceded by its length (4 bytes, big-endian); an integer is written as
    8 bytes, big-endian. A kind fixes the number and types of its parts, so no two
    places share a context. Identifiers are taken as they are stored: another spelling
    of the same UUID is another context.

    Raises:
        ValueError: a part is not UTF-8 text, or an integer is outside 0..2^64-1.
    """
    pieces = [_ALGORITHM_BYTE]
    for part in (kind, *parts):
        try:
            piece = part.encode() if isinstance(part, str) else part.to_bytes(8, "big")
        except OverflowError:
            raise ValueError("a number in a context is 0..2^64-1") from None
        pieces.append(len(piece).to_bytes(4, "big"))
        pieces.append(piece)
    return b"".join(pieces)


def payload_context(class_: str, version_id: str) -> bytes:
    """Context of a version's payload. No party: a handover re-wraps only the key."""
    return canonical_context("keyturn-payload-1", class_, version_id)


def wrap_context(
    party: str,
    record: str,
    class_: str,
    volume: str,
    version_id: str,
    key_version: int,
) -> bytes:
    """Context of a data key wrapped for one custody under a party's class key."""
    return canonical_context(
        "keyturn-wrap-1", party, record, class_, volume, version_id, key_version
    )


def identity_context(party: str, record: str, column: str, key_version: int) -> bytes:
    """Context of a record's own number in a CRM, sealed under the class `identity`.

    `column` is `external_id` or `origin_external_id`, so that the two cannot be
    swapped inside one row either.
    """
    return canonical_context("keyturn-identity-1", party, record, column, key_version)


def class_key_context(party: str, class_: str, key_version: int, use: KeyUse) -> bytes:
    """Context of a class key or index key wrapped by the root key."""
    return canonical_context("keyturn-class-key-1", party, class_, key_version, use)


def idempotency_context(party: str, actor: str, idempotency_key: str) -> bytes:
    """Context of a stored answer, replayed only to the actor who caused it."""
    return canonical_context("keyturn-idempotency-1", party, actor, idempotency_key)


def secret_context(name: str, *owner: str | int) -> bytes:
    """Context of an installation's own secret (a signing key, a decision's secret)."""
    return canonical_context("keyturn-secret-1", name, *owner)


def seal(key: Key, plaintext: bytes, context: bytes, nonce: bytes) -> bytes:
    """Return `plaintext` sealed under `key` for `context`; 73 bytes longer.

    `nonce` is 24 fresh random bytes of the caller; a nonce is never used twice with
    one key and context.

    Raises:
        ValueError: the nonce is not 24 bytes.
    """
    if len(nonce) != NONCE_BYTES:
        raise ValueError(f"a nonce is {NONCE_BYTES} bytes")
    okm = _derive(key, context)
    ciphertext = crypto_aead_xchacha20poly1305_ietf_encrypt(
        plaintext, context, nonce, okm[:KEY_BYTES]
    )
    return b"".join((_ALGORITHM_BYTE, okm[KEY_BYTES:], nonce, ciphertext))


def open_sealed(key: Key, sealed: bytes, context: bytes) -> bytes:
    """Return the plaintext of `sealed`, if it was sealed by `key` for `context`.

    Raises:
        SealBroken: it was not, or a byte of it changed.
    """
    if len(sealed) < OVERHEAD_BYTES:
        raise SealBroken(SealFault.TRUNCATED)
    if sealed[0] != ALGORITHM_ID:
        raise SealBroken(SealFault.ALGORITHM)
    okm = _derive(key, context)
    if not hmac.compare_digest(sealed[1:_NONCE_AT], okm[KEY_BYTES:]):
        raise SealBroken(SealFault.COMMITMENT)
    try:
        return crypto_aead_xchacha20poly1305_ietf_decrypt(
            sealed[_CIPHERTEXT_AT:],
            context,
            sealed[_NONCE_AT:_CIPHERTEXT_AT],
            okm[:KEY_BYTES],
        )
    except CryptoError:
        raise SealBroken(SealFault.CIPHERTEXT) from None


def wrap_key(wrapping_key: Key, key: Key, context: bytes, nonce: bytes) -> bytes:
    """Seal a key under another key: 105 bytes. See `seal`."""
    return seal(wrapping_key, key.secret, context, nonce)


def unwrap_key(wrapping_key: Key, wrapped: bytes, context: bytes) -> Key:
    """Open a wrapped key.

    Raises:
        SealBroken: see `open_sealed`; or what opens is not a key.
    """
    secret = open_sealed(wrapping_key, wrapped, context)
    if len(secret) != KEY_BYTES:
        raise SealBroken(SealFault.KEY_LENGTH)
    return Key(secret)


def _derive(key: Key, context: bytes) -> bytes:
    """Return 64 bytes: the encryption key and the commitment to key and context."""
    return blake2b(
        context,
        key=key.secret,
        digest_size=KEY_BYTES + COMMITMENT_BYTES,
        person=_PERSON,
    ).digest()
