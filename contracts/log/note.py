# SPDX-License-Identifier: Apache-2.0
"""Signed notes: a text and the signatures under it.

Owns C2SP signed-note with Ed25519 keys: key ids, vkeys, signature lines and the
rules by which a reader accepts a note. Knows nothing of what the text says.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from contracts import base64text
from contracts.log.errors import KeyMalformed, NoteMalformed, NoteUnverified

MAX_NOTE_BYTES: Final = 64 * 1024
MAX_SIGNATURES: Final = 100  # as golang.org/x/mod/sumdb/note; C2SP asks for 16 or more

_SIGNATURE_PREFIX: Final = "— "
_KEY_SIZE: Final = 32
_SIGNATURE_SIZE: Final = 64


class KeyType(IntEnum):
    """The signature types of signed-note that this module verifies."""

    ED25519 = 0x01
    COSIGNATURE = 0x04


@dataclass(frozen=True, slots=True)
class NoteVerifier:
    """A public key that a note may be signed with, and the name it signs under.

    Attributes:
        name: Key name; not empty, without spaces and `+`.
        key_type: What kind of signature the key makes.
        public_key: Raw Ed25519 public key, 32 bytes.
    """

    name: str
    key_type: KeyType
    public_key: bytes

    def __post_init__(self) -> None:
        _check_name(self.name)
        if len(self.public_key) != _KEY_SIZE:
            raise KeyMalformed("an Ed25519 public key has 32 bytes")

    @property
    def key_id(self) -> bytes:
        """The 4 bytes before each signature: H(name || LF || type || key)[:4]."""
        return _key_id(self.name, self.key_type, self.public_key)

    @property
    def vkey(self) -> str:
        """The key in text, `name+hex(key id)+base64(type || key)`."""
        encoded = base64text.encode(bytes([self.key_type]) + self.public_key)
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    @classmethod
    def from_vkey(cls, vkey: str) -> "NoteVerifier":
        """Read a verifier key in its text form.

        Raises:
            KeyMalformed: Not a vkey, another key type, or a key id that is wrong.
        """
        parts = vkey.split("+", 2)
        if len(parts) != 3:
            raise KeyMalformed("a vkey has three parts, joined by +")
        name, key_id, encoded = parts
        try:
            body = base64text.decode(encoded)
            verifier = cls(name, KeyType(body[0]), body[1:])
            expected = verifier.key_id.hex()
        except (ValueError, IndexError) as exc:
            raise KeyMalformed("a vkey ends in base64 of a known type and key") from exc
        if expected != key_id:
            raise KeyMalformed("the key id does not belong to the name and key")
        return verifier

    def verify(self, text: str, signature: bytes) -> "VerifiedSignature":
        """Check the bytes that follow the key id in a signature line.

        Raises:
            NoteUnverified: The signature is not this key's one of this text.
        """
        timestamp, message = None, text
        if self.key_type is KeyType.COSIGNATURE:
            timestamp, signature = int.from_bytes(signature[:8], "big"), signature[8:]
            message = cosigned_message(text, timestamp)
        try:
            if len(signature) != _SIGNATURE_SIZE:
                raise NoteUnverified("a signature of a known key has the wrong length")
            VerifyKey(self.public_key).verify(message.encode(), signature)
        except BadSignatureError as exc:
            raise NoteUnverified("a signature of a known key is wrong") from exc
        return VerifiedSignature(self, timestamp)


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """One checked signature; `timestamp` is POSIX seconds, of a cosignature only."""

    verifier: NoteVerifier
    timestamp: int | None


@dataclass(frozen=True, slots=True)
class OpenedNote:
    """A note whose known signatures are all good; at least one is.

    Attributes:
        text: What is signed, with its final LF.
        verified: One signature for each verifier that signed.
    """

    text: str
    verified: tuple[VerifiedSignature, ...]

    def signed_by(self, verifier: NoteVerifier) -> bool:
        """Whether this key signed the note."""
        return any(found.verifier == verifier for found in self.verified)


class NoteSigner:
    """Signs notes under a name with an Ed25519 seed of 32 bytes.

    Raises:
        KeyMalformed: The name or the seed breaks the rules.
    """

    def __init__(self, name: str, seed: bytes) -> None:
        self._key = signing_key(seed)
        self.verifier = NoteVerifier(name, KeyType.ED25519, bytes(self._key.verify_key))

    def __repr__(self) -> str:
        return f"NoteSigner({self.verifier.name!r}, ***)"

    @property
    def vkey(self) -> str:
        """The verifier key to publish."""
        return self.verifier.vkey

    def sign(self, text: str) -> bytes:
        """Return a whole note: the text, an empty line, one signature line.

        Raises:
            NoteMalformed: The text is empty, or does not end in LF, or holds a
                control character.
        """
        _check_text(text)
        signature = self._key.sign(text.encode()).signature
        return f"{text}\n{signature_line(self.verifier, signature)}".encode()


def cosigned_message(text: str, timestamp: int) -> str:
    """Return what a cosignature/v1 signs. C2SP tlog-cosignature."""
    return f"cosignature/v1\ntime {timestamp}\n{text}"


def open_note(note: bytes, verifiers: Iterable[NoteVerifier]) -> OpenedNote:
    """Split a signed note and check every signature by a known key.

    A line under an unknown name and key id is ignored, whatever it holds; a known
    key that signed twice is counted once. C2SP signed-note.

    Raises:
        NoteMalformed: The bytes are not a note.
        NoteUnverified: A known key's signature is wrong, or no known key signed.
        KeyMalformed: Two different verifiers have the same name and key id.
    """
    known = _by_name_and_id(verifiers)
    text, lines = _split_note(note)
    verified: dict[NoteVerifier, VerifiedSignature] = {}
    for name, blob in lines:
        verifier = known.get((name, blob[:4]))
        if verifier is not None:
            checked = verifier.verify(text, blob[4:])
            verified.setdefault(verifier, checked)
    if not verified:
        raise NoteUnverified("no known key signed the note")
    return OpenedNote(text, tuple(verified.values()))


def _by_name_and_id(
    verifiers: Iterable[NoteVerifier],
) -> Mapping[tuple[str, bytes], NoteVerifier]:
    known: dict[tuple[str, bytes], NoteVerifier] = {}
    for verifier in verifiers:
        if known.setdefault((verifier.name, verifier.key_id), verifier) != verifier:
            raise KeyMalformed("two keys with the same name and key id")
    return known


def _split_note(note: bytes) -> tuple[str, list[tuple[str, bytes]]]:
    if len(note) > MAX_NOTE_BYTES:
        raise NoteMalformed("the note is too large")
    try:
        whole = note.decode()
    except UnicodeDecodeError as exc:
        raise NoteMalformed("a note is UTF-8") from exc
    # The text may hold empty lines itself, so the last one is the border.
    body, border, tail = whole.rpartition("\n\n")
    if not border or not tail.endswith("\n"):
        raise NoteMalformed("a note is text, an empty line and signature lines")
    text = body + "\n"
    _check_text(text)
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteMalformed("the note has too many signatures")
    return text, [_parse_line(line) for line in lines]


def _parse_line(line: str) -> tuple[str, bytes]:
    name, space, encoded = line.removeprefix(_SIGNATURE_PREFIX).partition(" ")
    if not line.startswith(_SIGNATURE_PREFIX) or not space:
        raise NoteMalformed("a signature line is dash, name and base64")
    try:
        _check_name(name)
        blob = base64text.decode(encoded)
    except (KeyMalformed, ValueError) as exc:
        raise NoteMalformed("a signature line has a bad name or base64") from exc
    if len(blob) < 5:
        raise NoteMalformed("a signature line is too short for a key id")
    return name, blob


def signature_line(verifier: NoteVerifier, blob: bytes) -> str:
    """Return one signature line with its LF; `blob` follows the key id in it."""
    encoded = base64text.encode(verifier.key_id + blob)
    return f"{_SIGNATURE_PREFIX}{verifier.name} {encoded}\n"


def _check_name(name: str) -> None:
    if not name or "+" in name or any(c.isspace() or c < " " for c in name):
        raise KeyMalformed("a key name is not empty and has no space and no +")


def _check_text(text: str) -> None:
    if not text.endswith("\n"):
        raise NoteMalformed("the text of a note ends in LF")
    if any(char < " " and char != "\n" for char in text):
        raise NoteMalformed("the text of a note has no control characters")


def _key_id(name: str, key_type: KeyType, public_key: bytes) -> bytes:
    return hashlib.sha256(
        name.encode() + b"\n" + bytes([key_type]) + public_key
    ).digest()[:4]


def signing_key(seed: bytes) -> SigningKey:
    """Return the Ed25519 key of a seed of 32 bytes, or raise KeyMalformed."""
    if len(seed) != _KEY_SIZE:
        raise KeyMalformed("an Ed25519 seed has 32 bytes")
    return SigningKey(seed)
