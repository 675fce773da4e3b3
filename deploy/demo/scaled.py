# SPDX-License-Identifier: Apache-2.0
"""The demonstration on a real PostgreSQL and a real Apache Kafka.

`python -m deploy.worlds run` starts both and says where they are; here each run gets
fresh databases of its own. The topics are shared: events of other installations on
them are of no source that this one knows, and audit drops them.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

POSTGRES: Final = "KEYTURN_TEST_POSTGRES"
KAFKA: Final = "KEYTURN_TEST_KAFKA"
_SETTINGS: Final = {
    "KEYTURN_VAULT_DATABASE_URL": "vault",
    "KEYTURN_VAULT_KEYS_DATABASE_URL": "keys",
    "KEYTURN_TRANSFER_DATABASE_URL": "transfer",
    "KEYTURN_AUDIT_DATABASE_URL": "audit",
}


class WorldMissing(Exception):  # noqa: N818 - it names what is
    """There is no PostgreSQL or Kafka to run on; the message says how to get them."""


@dataclass(frozen=True, slots=True)
class ScaledWorld:
    """Settings of the services, and where the database server keeps its files."""

    environ: Mapping[str, str]
    data_directory: Path


@contextmanager
def scaled_world() -> Iterator[ScaledWorld]:
    """Give fresh databases for one run, dropped afterwards.

    Raises:
        WorldMissing: The servers' addresses are not in the environment.
    """
    postgres, kafka = os.environ.get(POSTGRES), os.environ.get(KAFKA)
    if postgres is None or kafka is None:
        raise WorldMissing(
            f"{POSTGRES} and {KAFKA} are not set; run `make test-scaled`, or "
            "`python -m deploy.worlds run --dir build/scaled -- <this command>`"
        )
    run = secrets.token_hex(4)
    names = {key: f"keyturn_demo_{run}_{what}" for key, what in _SETTINGS.items()}
    base = postgres.rpartition("/")[0]
    with psycopg.connect(postgres, autocommit=True) as server:
        row = server.execute("SHOW data_directory").fetchone()
        assert row is not None
        for name in names.values():
            server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            environ = {key: f"{base}/{name}" for key, name in names.items()}
            yield ScaledWorld({**environ, "KEYTURN_KAFKA_SERVERS": kafka}, Path(row[0]))
        finally:
            for name in names.values():
                drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
                server.execute(drop.format(sql.Identifier(name)))
