# SPDX-License-Identifier: Apache-2.0
"""DSSE v1 envelopes with one Ed25519 signature: what people sign.

Owns the envelope's bytes and the check of its signature. Never reads the payload:
the caller parses exactly the bytes that are returned. Source: secure-systems-lab
DSSE 1.0.2 (protocol and envelope).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from contracts import base64text

CONTENT_TYPE: Final = "application/vnd.dsse.envelope.v1+json"
MAX_ENVELOPE_BYTES: Final = 4 * 1024 * 1024

_KEY_SIZE: Final = 32
_SIGNATURE_SIZE: Final = 64


class DsseError(Exception):
    """Root of everything this module raises; no message repeats the input."""


class EnvelopeMalformed(DsseError):  # noqa: N818 - says what the bytes are
    """The bytes are not an envelope with exactly one signature."""


class EnvelopeUnverified(DsseError):  # noqa: N818 - says what the signature is
    """The signature is by no given key, wrong, or over another payload type."""


@dataclass(frozen=True, slots=True)
class SignedPayload:
    """A payload whose signature is good.

    Attributes:
        payload: The exact signed bytes.
        payload_type: Their media type, signed too.
        keyid: Which key signed, as `keyid` names it.
    """

    payload: bytes
    payload_type: str
    keyid: str


def keyid(public_key: bytes) -> str:
    """Return a key's id: the hex SHA-256 of its 32 raw bytes."""
    return hashlib.sha256(public_key).hexdigest()


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that are signed: DSSE's pre-authentication encoding."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign_envelope(payload: bytes, payload_type: str, seed: bytes) -> bytes:
    """Return the envelope of a payload, signed with an Ed25519 seed of 32 bytes.

    Raises:
        DsseError: The seed has another length.
    """
    if len(seed) != _KEY_SIZE:
        raise DsseError("an Ed25519 seed has 32 bytes")
    key = SigningKey(seed)
    signature = key.sign(pae(payload_type, payload)).signature
    envelope = {
        "payload": base64text.encode(payload),
        "payloadType": payload_type,
        "signatures": [
            {
                "keyid": keyid(bytes(key.verify_key)),
                "sig": base64text.encode(signature),
            }
        ],
    }
    return json.dumps(envelope, separators=(",", ":")).encode()


def verify_envelope(
    envelope: bytes | Mapping[str, Any],
    keys: Mapping[str, bytes],
    payload_type: str,
) -> SignedPayload:
    """Return the payload of an envelope that one of the given keys signed.

    Args:
        envelope: JSON bytes, or what a JSON parser made of them.
        keys: Raw Ed25519 public keys, 32 bytes each, by key id.
        payload_type: The only media type that is accepted.

    Raises:
        EnvelopeMalformed: Not an envelope with exactly one signature, or one with
            members that DSSE does not have.
        EnvelopeUnverified: No given key has the key id, the signature is wrong, or
            the payload type is another.
    """
    document = _parse(envelope) if isinstance(envelope, bytes) else envelope
    signed, signature = _read(document)
    if signed.payload_type != payload_type:
        raise EnvelopeUnverified("the payload type is another")
    public_key = keys.get(signed.keyid)
    # A mapping that gives a key under another key's id must not pass.
    if public_key is None or keyid(public_key) != signed.keyid:
        raise EnvelopeUnverified("no given key has the key id")
    try:
        VerifyKey(public_key).verify(pae(payload_type, signed.payload), signature)
    except (BadSignatureError, ValueError) as exc:
        raise EnvelopeUnverified("the signature is wrong") from exc
    return signed


def payload_type_of(envelope: bytes) -> str:
    """Return the payload type that an envelope claims; nothing is verified.

    Raises:
        EnvelopeMalformed: Not an envelope with exactly one signature.
    """
    return _read(_parse(envelope))[0].payload_type


def _parse(envelope: bytes) -> Any:
    if len(envelope) > MAX_ENVELOPE_BYTES:
        raise EnvelopeMalformed("the envelope is too large")
    try:
        return json.loads(envelope.decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as exc:
        raise EnvelopeMalformed("the envelope is not JSON in UTF-8") from exc


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise EnvelopeMalformed("a member occurs twice")
    return members


def _read(document: Any) -> tuple[SignedPayload, bytes]:
    payload, payload_type, signatures = _members(
        document, "payload", "payloadType", "signatures"
    )
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise EnvelopeMalformed("an envelope has exactly one signature")
    key, signature = _members(signatures[0], "keyid", "sig")
    if not isinstance(payload_type, str) or not isinstance(key, str):
        raise EnvelopeMalformed("payloadType and keyid are strings")
    octets = _octets(signature)
    if len(octets) != _SIGNATURE_SIZE:
        raise EnvelopeMalformed("an Ed25519 signature has 64 bytes")
    return SignedPayload(_octets(payload), payload_type, key), octets


def _members(document: Any, *names: str) -> list[Any]:
    if not isinstance(document, Mapping) or set(document) != set(names):
        raise EnvelopeMalformed("the envelope lacks a member or has another one")
    return [document[name] for name in names]


def _octets(text: Any) -> bytes:
    if not isinstance(text, str):
        raise EnvelopeMalformed("payload and sig are strings")
    try:
        return base64text.decode(text)
    except ValueError as exc:
        raise EnvelopeMalformed("payload or sig is not canonical base64") from exc
