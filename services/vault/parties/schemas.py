# SPDX-License-Identifier: Apache-2.0
"""Answers of the parties room."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from contracts import base64text
from services.vault.parties.issuer import IssuedToken
from services.vault.parties.members import EnrolledKey


class TokenOut(BaseModel):
    """An access token. RFC 6749 §5.1."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a kind, not a token
    expires_in: int
    scope: str

    @classmethod
    def of(cls, token: IssuedToken) -> TokenOut:
        """Return the answer for a token."""
        return cls(access_token=token.text, expires_in=token.seconds, scope=token.scope)


class JwkOut(BaseModel):
    """One public key. RFC 8037 §2."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: str
    kid: str
    use: Literal["sig"]
    alg: Literal["Ed25519"]


class JwksOut(BaseModel):
    """The issuer's public keys. RFC 7517 §5."""

    keys: list[JwkOut]


class InstallationOut(BaseModel):
    """Which installation this is."""

    installation: str


class OfficerKeyOut(BaseModel):
    """One public key of an officer.

    Attributes:
        key_id: Hex SHA-256 of the raw public key.
        public_key: Ed25519, base64.
        revoked: Whether it was revoked; it then signs and opens nothing.
    """

    key_id: str
    party: str
    person: str
    role: str
    use: Literal["login", "sign"]
    public_key: str
    revoked: bool

    @classmethod
    def of(cls, key: EnrolledKey) -> OfficerKeyOut:
        """Return the answer for a key."""
        return cls(
            key_id=key.key_id,
            party=key.party,
            person=key.person,
            role=key.role.value,
            use=key.use,
            public_key=base64text.encode(key.public_key),
            revoked=key.revoked_at is not None,
        )


class OfficerKeysOut(BaseModel):
    """The public keys of a party's officers."""

    items: list[OfficerKeyOut]


class RevocationOut(BaseModel):
    """A client or officer was revoked.

    Attributes:
        subject: `sub` of the tokens that are good no more.
        revoked_at: Milliseconds; tokens issued after it are another key's, and good.
    """

    subject: str
    revoked_at: int


class RevocationsOut(BaseModel):
    """Who was revoked while a token of theirs may still live."""

    items: list[RevocationOut]


class RevokedOut(BaseModel):
    """A key file was revoked."""

    key_id: str
    revoked: Literal[True] = True
