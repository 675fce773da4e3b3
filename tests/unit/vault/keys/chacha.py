# SPDX-License-Identifier: Apache-2.0
"""The attacker's side of A11: one ciphertext, two keys.

XChaCha20-Poly1305's tag is a polynomial in the ciphertext blocks modulo 2^130 - 5.
Who knows both keys can solve for one block that gives the same tag under both. This
module needs the one-time Poly1305 key, hence ChaCha20's block function (RFC 8439).
"""

import struct

from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt

P = (1 << 130) - 5
_CLAMP = 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
_CONSTANTS = (0x61707865, 0x3320646E, 0x79622D32, 0x6B206574)
_QUARTERS = (
    (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
    (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
)  # fmt: skip


def _rounds(state: list[int]) -> list[int]:
    x = list(state)
    for _ in range(10):
        for a, b, c, d in _QUARTERS:
            for first, second, mixed, turn in (
                (a, b, d, 16),
                (c, d, b, 12),
                (a, b, d, 8),
                (c, d, b, 7),
            ):
                x[first] = (x[first] + x[second]) & 0xFFFFFFFF
                y = x[mixed] ^ x[first]
                x[mixed] = ((y << turn) | (y >> (32 - turn))) & 0xFFFFFFFF
    return x


def one_time_key(key: bytes, nonce: bytes) -> tuple[int, int]:
    """Return Poly1305's (r, s) for XChaCha20-Poly1305 with this key and nonce."""
    state = [*_CONSTANTS, *struct.unpack("<8I", key), *struct.unpack("<4I", nonce[:16])]
    mixed = _rounds(state)
    subkey = mixed[:4] + mixed[12:]
    state = [*_CONSTANTS, *subkey, 0, 0, *struct.unpack("<2I", nonce[16:])]
    block = [(a + b) & 0xFFFFFFFF for a, b in zip(_rounds(state), state, strict=True)]
    stream = struct.pack("<16I", *block)
    r = int.from_bytes(stream[:16], "little") & _CLAMP
    return r, int.from_bytes(stream[16:32], "little")


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 16)


def _polynomial(blocks: list[int], r: int) -> int:
    total = 0
    for block in blocks:
        total = (total + block) * r % P
    return total


def two_key_ciphertext(key1: bytes, key2: bytes, nonce: bytes, aad: bytes) -> bytes:
    """Return a ciphertext with tag that opens under both keys (two 16-byte blocks)."""
    (r1, s1), (r2, s2) = one_time_key(key1, nonce), one_time_key(key2, nonce)
    lengths = struct.pack("<2Q", len(aad), 32)
    for attempt in range(10_000):
        filler = attempt.to_bytes(16, "little")
        message = _padded(aad) + filler + bytes(16) + lengths
        blocks = [
            int.from_bytes(message[i : i + 16], "little") | 1 << 128
            for i in range(0, len(message), 16)
        ]
        base1, base2 = _polynomial(blocks, r1), _polynomial(blocks, r2)
        inverse = pow(r1 * r1 - r2 * r2, -1, P)
        for lift in range(-4, 5):
            free = (s2 - s1 + (lift << 128) - base1 + base2) * inverse % P
            if free >> 128:
                continue
            tag1 = ((base1 + free * r1 * r1) % P + s1) % (1 << 128)
            tag2 = ((base2 + free * r2 * r2) % P + s2) % (1 << 128)
            if tag1 == tag2:
                return (
                    filler + free.to_bytes(16, "little") + tag1.to_bytes(16, "little")
                )
    raise AssertionError("no collision found")


def opens(key: bytes, ciphertext: bytes, nonce: bytes, aad: bytes) -> bytes:
    """Open with the bare cipher, as a vault without commitment would."""
    return crypto_aead_xchacha20poly1305_ietf_decrypt(ciphertext, aad, nonce, key)
