# SPDX-License-Identifier: Apache-2.0
"""A repeated request gets the first answer and has no second effect.

The row is written in the transaction of the effect, so either both exist or neither.
What was answered is sealed and the key is kept as a keyed hash only: this table holds
no personal data. Header per draft-ietf-httpapi-idempotency-key-header-06.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    delete,
    insert,
    select,
)
from sqlalchemy.exc import IntegrityError

from contracts import problems
from contracts.problems import Refusal
from services.chassis.clock import milliseconds
from services.chassis.database import Tx

HEADER = "idempotency-key"
REPLAYED = "Idempotency-Replayed"
MAX_KEY_CHARACTERS = 255
KEEP_DAYS = 7
PURGE_ROWS = 100
KEPT_HEADERS = ("audit-event", "content-type", "etag", "location", "retry-after")

Sealer = Callable[[bytes, bytes], bytes]
"""Seals or opens bytes under a context: `(context, bytes) -> bytes`."""


class IdempotencyMismatch(Refusal):
    """The key was used before with other content."""

    problem = problems.IDEMPOTENCY_MISMATCH


class IdempotencyKeyInUse(Refusal):
    """Another process is just carrying out a request with this key."""

    problem = problems.IDEMPOTENCY_KEY_IN_USE


@dataclass(frozen=True, slots=True)
class KeyScope:
    """Within which a key means one operation.

    Attributes:
        party: The caller's party.
        client: The caller's client or officer id.
        route: The operation id of the route.
        key_hash: Keyed hash of the caller's key, 32 bytes.
    """

    party: str
    client: str
    route: str
    key_hash: bytes

    def context(self) -> bytes:
        """Return the context its answer is sealed under: rows cannot be swapped."""
        parts = (self.party, self.client, self.route)
        lengths = b"".join(
            len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts
        )
        return b"keyturn-idempotency/1" + lengths + self.key_hash


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer that was given before.

    Attributes:
        status: HTTP status.
        headers: Those of `KEPT_HEADERS` it had.
        body: Its exact bytes.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    def response(self) -> Response:
        """Return it as an answer, marked as a replay."""
        return Response(
            self.body,
            status_code=self.status,
            headers={**self.headers, REPLAYED: "true"},
        )


def define_table(metadata: MetaData) -> Table:
    """Define the table `idempotency` in `metadata`."""
    return Table(
        "idempotency",
        metadata,
        Column("party", String(64), primary_key=True),
        Column("client", String(128), primary_key=True),
        Column("route", String(128), primary_key=True),
        Column("key_hash", LargeBinary(32), primary_key=True),
        Column("fingerprint", LargeBinary(32), nullable=False),
        Column("status", Integer, nullable=False),
        Column("response_sealed", LargeBinary, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Index("ix_idempotency_created_at", "created_at"),
    )


def key_of(request: Request) -> str | None:
    """Return the request's idempotency key, bare or as an RFC 8941 string, or None.

    Raises:
        Refusal: `idempotency-key-invalid`.
    """
    values = request.headers.getlist(HEADER)
    if not values:
        return None
    text = values[0].strip()
    if text.startswith('"'):
        text = _unquote(text)
    visible = all(" " <= character <= "~" for character in text)
    if len(values) > 1 or not 1 <= len(text) <= MAX_KEY_CHARACTERS or not visible:
        raise Refusal(problems.IDEMPOTENCY_KEY_INVALID)
    return text


class KeyHeader:
    """Dependency that gives a route the caller's idempotency key (`Declared`).

    A parameter of FastAPI's would refuse with 422 and take a doubled header.
    """

    def __init__(self, *, required: bool) -> None:
        self.parameters = ({**_PARAMETER, "required": required},)
        self.refusals = (
            problems.IDEMPOTENCY_KEY_INVALID,
            problems.IDEMPOTENCY_KEY_IN_USE,
            problems.IDEMPOTENCY_MISMATCH,
            *((problems.IDEMPOTENCY_KEY_REQUIRED,) if required else ()),
        )
        self._required = required

    async def __call__(self, request: Request) -> str | None:
        """Return the key.

        Raises:
            Refusal: `idempotency-key-invalid`, or `idempotency-key-required`.
        """
        key = key_of(request)
        if key is None and self._required:
            raise Refusal(problems.IDEMPOTENCY_KEY_REQUIRED)
        return key


_PARAMETER: Mapping[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A fresh random value per operation, bare or in double quotes: a "
    "repetition within 7 days gets the first answer and has no second effect.",
    "schema": {
        "type": "string",
        "pattern": r'^([!#-~]([ -~]{0,253}[!-~])?|"([ !#-\[\]-~]|\\["\\]){1,255}")$',
    },
}
OptionalKey = Annotated[str | None, Depends(KeyHeader(required=False))]
RequiredKey = Annotated[str, Depends(KeyHeader(required=True))]


def _unquote(text: str) -> str:
    """Return the content of an RFC 8941 §3.3.3 string."""
    content: list[str] = []
    characters = iter(text[1:])
    for character in characters:
        if character == '"':
            break
        following = next(characters, "") if character == "\\" else character
        if character == "\\" and following not in {'"', "\\"}:
            raise Refusal(problems.IDEMPOTENCY_KEY_INVALID)
        content.append(following)
    else:
        raise Refusal(problems.IDEMPOTENCY_KEY_INVALID)
    if next(characters, None) is not None:
        raise Refusal(problems.IDEMPOTENCY_KEY_INVALID)
    return "".join(content)


class IdempotencyStore:
    """Remembers answers inside the caller's transaction."""

    def __init__(
        self, table: Table, *, secret: bytes, seal: Sealer, unseal: Sealer
    ) -> None:
        """Bind the table to its secrets.

        Args:
            table: Of `define_table`.
            secret: 32 bytes that key the hashes; lost, all keys are new again.
            seal: Seals an answer under a context.
            unseal: Opens what `seal` made, or raises.
        """
        self._table = table
        self._secret = secret
        self._seal = seal
        self._unseal = unseal
        columns = ("party", "client", "route", "key_hash")
        self._is_key = tuple(table.c[name] for name in columns)

    def scope(self, *, party: str, client: str, route: str, key: str) -> KeyScope:
        """Return where `key` of this caller at this route is remembered."""
        return KeyScope(party, client, route, self._hash(b"kt-idem-key", key.encode()))

    def fingerprint(self, *content: Any) -> bytes:
        """Return the keyed hash of a request's content, 32 bytes.

        Args:
            content: Path parameters and the decoded body; JSON values. Members in
                another order and other white space are the same content.
        """
        canonical = json.dumps(
            content, sort_keys=True, ensure_ascii=True, separators=(",", ":")
        )
        return self._hash(b"kt-idem-body", canonical.encode())

    def _hash(self, person: bytes, data: bytes) -> bytes:
        return hashlib.blake2b(
            data, key=self._secret, digest_size=32, person=person
        ).digest()

    def recall(self, tx: Tx, scope: KeyScope, fingerprint: bytes) -> Stored | None:
        """Return the answer given before in `scope`, or None if there was none.

        Raises:
            IdempotencyMismatch: It was given to other content.
        """
        table = self._table
        row = tx.execute(
            select(table.c.fingerprint, table.c.status, table.c.response_sealed).where(
                *(
                    column == value
                    for column, value in zip(
                        self._is_key,
                        (scope.party, scope.client, scope.route, scope.key_hash),
                        strict=True,
                    )
                )
            )
        ).first()
        if row is None:
            return None
        if not hmac.compare_digest(bytes(row.fingerprint), fingerprint):
            raise IdempotencyMismatch
        answer = json.loads(
            self._unseal(scope.context() + fingerprint, bytes(row.response_sealed))
        )
        return Stored(row.status, answer["headers"], base64.b64decode(answer["body"]))

    def remember(
        self,
        tx: Tx,
        scope: KeyScope,
        fingerprint: bytes,
        *,
        answer: Stored,
    ) -> None:
        """Keep `answer` for repetitions. Call it in the transaction of the effect.

        Raises:
            IdempotencyKeyInUse: Another process committed this key just now; the
                effect of this transaction is rolled back with it.
        """
        kept = {
            name.lower(): value
            for name, value in answer.headers.items()
            if name.lower() in KEPT_HEADERS
        }
        text = json.dumps(
            {"headers": kept, "body": base64.b64encode(answer.body).decode()}
        )
        try:
            tx.execute(
                insert(self._table).values(
                    party=scope.party,
                    client=scope.client,
                    route=scope.route,
                    key_hash=scope.key_hash,
                    fingerprint=fingerprint,
                    status=answer.status,
                    response_sealed=self._seal(
                        scope.context() + fingerprint, text.encode()
                    ),
                    created_at=milliseconds(tx.now),
                )
            )
        except IntegrityError as error:
            raise IdempotencyKeyInUse from error

    def purge(self, tx: Tx) -> int:
        """Delete at most 100 answers older than 7 days; return how many."""
        table = self._table
        limit = milliseconds(tx.now) - KEEP_DAYS * 86_400_000
        old = tx.execute(
            select(*self._is_key).where(table.c.created_at < limit).limit(PURGE_ROWS)
        ).all()
        for row in old:
            tx.execute(
                delete(table).where(
                    *(c == v for c, v in zip(self._is_key, row, strict=True))
                )
            )
        return len(old)
