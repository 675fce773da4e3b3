# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt as aead_open,
)
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_encrypt as aead_seal,
)
from nacl.exceptions import CryptoError
from sqlalchemy import MetaData, create_engine, func, insert, select, update
from sqlalchemy.engine import Connection
from starlette.requests import Request

from contracts.problems import Refusal
from services.chassis.clock import random_bytes
from services.chassis.database import Tx
from services.chassis.idempotency import (
    IdempotencyKeyInUse,
    IdempotencyMismatch,
    IdempotencyStore,
    KeyHeader,
    KeyScope,
    Stored,
    define_table,
    key_of,
)

METADATA = MetaData()
TABLE = define_table(METADATA)
NOW = datetime(2026, 3, 2, tzinfo=UTC)
KEY = random_bytes(32)
REQUIRED = KeyHeader(required=True)
PATTERN = re.compile(REQUIRED.parameters[0]["schema"]["pattern"])
CANARY = b"zhang-san-13800138000"
ANSWER = Stored(
    201,
    {"ETag": '"1"', "Audit-Event": "l/7", "Set-Cookie": "x", "content-type": "a/b"},
    b'{"name":"' + CANARY + b'"}',
)


def seal(context: bytes, data: bytes) -> bytes:
    nonce = random_bytes(24)
    return nonce + aead_seal(data, context, nonce, KEY)


def unseal(context: bytes, data: bytes) -> bytes:
    return aead_open(data[24:], context, data[:24], KEY)


STORE = IdempotencyStore(TABLE, secret=random_bytes(32), seal=seal, unseal=unseal)


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    METADATA.create_all(engine)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def tx(connection: Connection) -> Tx:
    return Tx(connection, NOW, None)


def scope(key: str = "k", **change: str) -> KeyScope:
    return STORE.scope(
        **{"party": "seller", "client": "crm", "route": "create_record", "key": key}
        | change
    )


def test_a_repetition_gets_the_same_bytes_and_is_marked(tx: Tx) -> None:
    print_ = STORE.fingerprint({"a": 1, "b": [2]})
    assert STORE.recall(tx, scope(), print_) is None
    STORE.remember(tx, scope(), print_, answer=ANSWER)
    again = STORE.recall(tx, scope(), STORE.fingerprint({"b": [2], "a": 1}))
    assert again is not None
    assert (again.status, again.body) == (201, ANSWER.body)
    response = again.response()
    assert response.headers["idempotency-replayed"] == "true"
    assert response.headers["etag"] == '"1"'
    assert response.headers["audit-event"] == "l/7"
    assert "set-cookie" not in response.headers


def test_other_content_under_the_same_key_is_refused(tx: Tx) -> None:
    STORE.remember(tx, scope(), STORE.fingerprint({"a": 1}), answer=ANSWER)
    for other in ({"a": 2}, {"a": True}, {"a": "1"}, [{"a": 1}], None):
        with pytest.raises(IdempotencyMismatch):
            STORE.recall(tx, scope(), STORE.fingerprint(other))


@pytest.mark.parametrize(
    "change",
    [{"party": "buyer"}, {"client": "shop"}, {"route": "patch_record"}, {"key": "K"}],
    ids=str,
)
def test_a_key_means_nothing_outside_its_scope(tx: Tx, change: dict[str, str]) -> None:
    print_ = STORE.fingerprint(1)
    STORE.remember(tx, scope(), print_, answer=ANSWER)
    assert STORE.recall(tx, scope(**change), print_) is None


def test_the_second_of_two_at_once_is_told_and_has_no_effect(tx: Tx) -> None:
    print_ = STORE.fingerprint(1)
    STORE.remember(tx, scope(), print_, answer=ANSWER)
    with pytest.raises(IdempotencyKeyInUse) as caught:
        STORE.remember(tx, scope(), print_, answer=ANSWER)
    assert caught.value.problem.status == 409


def test_the_table_holds_neither_the_answer_nor_the_key(tx: Tx) -> None:
    STORE.remember(
        tx, scope(CANARY.decode()), STORE.fingerprint(CANARY.decode()), answer=ANSWER
    )
    [row] = tx.execute(select(TABLE)).all()
    assert CANARY not in b"".join(v for v in row if isinstance(v, bytes))
    assert CANARY.decode() not in repr(row)


def test_a_stored_answer_moved_to_another_row_does_not_open(tx: Tx) -> None:
    print_ = STORE.fingerprint(1)
    STORE.remember(tx, scope("a"), print_, answer=ANSWER)
    STORE.remember(tx, scope("b"), print_, answer=ANSWER)
    sealed = tx.execute(
        select(TABLE.c.response_sealed).where(TABLE.c.key_hash == scope("a").key_hash)
    ).scalar_one()
    tx.execute(update(TABLE).values(response_sealed=sealed))
    assert STORE.recall(tx, scope("a"), print_) is not None
    with pytest.raises(CryptoError):
        STORE.recall(tx, scope("b"), print_)


def test_scopes_whose_parts_only_join_alike_have_different_contexts() -> None:
    one = KeyScope("ab", "c", "r", b"k").context()
    assert one != KeyScope("a", "bc", "r", b"k").context()


def test_answers_are_kept_a_week_and_purged_in_slices(tx: Tx) -> None:
    print_ = STORE.fingerprint(1)
    STORE.remember(tx, scope("fresh"), print_, answer=ANSWER)
    old = {
        "party": "p", "client": "c", "route": "r", "fingerprint": print_,
        "status": 200, "response_sealed": b"",
        "created_at": int((NOW - timedelta(days=7, seconds=1)).timestamp() * 1000),
    }  # fmt: skip
    tx.execute(
        insert(TABLE), [{**old, "key_hash": n.to_bytes(32, "big")} for n in range(150)]
    )
    assert [STORE.purge(tx) for _ in range(3)] == [100, 50, 0]
    assert tx.execute(select(func.count()).select_from(TABLE)).scalar_one() == 1


def request(*values: bytes) -> Request:
    headers = [(b"idempotency-key", value) for value in values]
    return Request({"type": "http", "headers": headers})


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        (b"abc", "abc"),
        (b'"abc"', "abc"),
        (rb'"a\"b\\c"', 'a"b\\c'),
        (b"a" * 255, "a" * 255),
        (b" abc ", "abc"),
    ],
)
async def test_key_is_taken_bare_or_quoted(sent: bytes, key: str) -> None:
    assert await REQUIRED(request(sent)) == key
    assert PATTERN.fullmatch(sent.decode().strip())


@pytest.mark.parametrize(
    "sent",
    [b"", b'""', b'"a', b'"a"b', rb'"a\n"', rb'"a\"', b"a" * 256, b"\xe9", b"a\tb"],
)
def test_a_key_that_is_no_key_is_refused(sent: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        key_of(request(sent))
    assert caught.value.problem.code == "idempotency-key-invalid"
    assert not PATTERN.fullmatch(sent.decode("latin-1"))


async def test_a_missing_key_is_refused_only_where_it_is_required() -> None:
    assert await KeyHeader(required=False)(request()) is None
    with pytest.raises(Refusal) as caught:
        await REQUIRED(request())
    assert caught.value.problem.code == "idempotency-key-required"
    with pytest.raises(Refusal):
        key_of(request(b"a", b"b"))
