# SPDX-License-Identifier: Apache-2.0
"""Audit killed at each labelled point: after the restart every leaf stands once.

The audit process is the real one (`python -m services.audit serve`) on real files,
with a real broker; the source is a journal served over HTTP from this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import Request
from sqlalchemy import MetaData

from contracts.log.checkpoint import open_checkpoint
from contracts.scopes import Scope
from services.audit.opening import Opening, init, open_audit
from services.audit.settings import AuditSettings
from services.chassis import installation, outbox
from services.chassis.auth import public
from services.chassis.body import StrictRouter
from services.chassis.bus import Publisher
from services.chassis.clock import random_alias
from services.chassis.crashpoints import LABELS
from services.chassis.engines import sqlite_engines
from services.chassis.journal import Journal
from services.chassis.lanes import EventRef, Source, define_tables
from services.chassis.outbox_routes import router as outbox_router
from services.chassis.relay import Relay
from services.chassis.serve import create_service_app
from services.chassis.settings import ServiceSettings
from services.cli.verify import verify_directory
from services.cli.verify_report import Level
from tests.integration.audit.checking import INSTALLATION, VAULT_KEY, published_entries
from tests.integration.audit.house import CLOCK, VERIFIER, read_event, token
from tests.worlds import embedded_broker

ROOT = Path(__file__).parents[3]
POINTS = sorted(
    label for label in LABELS if label.startswith(("intake.", "publish.", "database."))
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Source1:
    """A journal with its outbox and a token endpoint on a port of this process."""

    def __init__(self, folder: Path) -> None:
        metadata = MetaData()
        tables = define_tables(metadata)
        engines = sqlite_engines(folder / "vault.db", bytes(32))
        metadata.create_all(engines.writer)
        self.journal = Journal(
            engines,
            tables,
            Source(INSTALLATION, "vault", VAULT_KEY),
            "vault-1/changes",
            clock=CLOCK,
            new_id=random_alias,
        )
        self.journal.start()
        self.written: list[EventRef] = []
        tokens = StrictRouter(dependencies=[public()])

        @tokens.post("/v1/token")
        async def issue(request: Request) -> dict[str, object]:
            access = token("platform", Scope.OUTBOX_READ, id_="audit")
            return {"access_token": access, "expires_in": 600}

        self.port = free_port()
        app = create_service_app(
            settings=ServiceSettings(installation=INSTALLATION, port=self.port),
            routers=[outbox_router([self.journal]), tokens],
            verifier=VERIFIER,
        )
        config = uvicorn.Config(app, port=self.port, log_config=None)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()

    async def write(self, count: int) -> None:
        self.written += await asyncio.gather(
            *(self.journal.append(read_event()) for _ in range(count))
        )

    def heads(self) -> list[outbox.LaneHead]:
        return self.journal.database.read_now(
            lambda c: outbox.heads(c, self.journal.tables)
        )

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self.journal.database.close()


class Audit:
    """The audit process of one state directory."""

    def __init__(self, folder: Path, vault_port: int, bootstrap: str) -> None:
        self.state = folder / "state"
        self.port = free_port()
        self.environ = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "KEYTURN_STATE_DIR": str(self.state),
            "KEYTURN_KEYS_DIR": str(folder / "keys"),
            "KEYTURN_AUDIT_PORT": str(self.port),
            "KEYTURN_VAULT_URL": f"http://127.0.0.1:{vault_port}",
            "KEYTURN_TRANSFER_URL": f"http://127.0.0.1:{free_port()}",
            "KEYTURN_DEMONSTRATION": "true",
        }
        self.log_file = folder / "audit.log"
        self.process: subprocess.Popen[bytes] | None = None
        for path in (self.state, folder / "keys", folder / "keys" / "clients"):
            path.mkdir(mode=0o700, parents=True)
        made = {"installation": INSTALLATION, "created_at": "2026-11-24T00:00:00Z"}
        (self.state / "installation.json").write_text(json.dumps(made))
        (self.state / "broker.json").write_text(json.dumps({"bootstrap": bootstrap}))
        credentials = folder / "keys" / "clients" / "audit.json"
        credentials.write_text(json.dumps({"client_id": "a", "client_secret": "b"}))
        credentials.chmod(0o600)
        self.settings = AuditSettings.from_environ(self.environ)
        self.opening: Opening = init(self.settings)
        installation.name_source(
            self.state, INSTALLATION, "vault", bytes(VAULT_KEY.verify_key)
        )

    def start(self, crash_at: str | None = None) -> None:
        environ = dict(self.environ)
        if crash_at is not None:
            environ["KEYTURN_CRASH_AT"] = crash_at
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services.audit", "serve"],
                env=environ,
                stdout=log,
                stderr=log,
            )

    async def dies(self) -> int:
        assert self.process is not None
        async with asyncio.timeout(30):
            return await asyncio.to_thread(self.process.wait)

    async def holds(self, lane: str, seq: int) -> None:
        """Wait until the published log holds a place."""
        place = f'"id":"{lane}/{seq}"'.encode()
        async with asyncio.timeout(30):
            while True:
                assert self.process is not None
                assert self.process.poll() is None, self.log_file.read_text()
                if any(place in entry for entry in self.entries()):
                    return
                await asyncio.sleep(0.05)

    def entries(self) -> list[bytes]:
        folder = self.settings.log_dir
        return published_entries(folder) if (folder / "checkpoint").exists() else []

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)

    def fsck(self) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "services.audit", "fsck"],
            env=self.environ,
            capture_output=True,
            check=False,
        )


@contextlib.contextmanager
def pair(folder: Path) -> Iterator[tuple[Source1, Audit]]:
    with embedded_broker() as running:
        source = Source1(folder)
        audit = Audit(folder, source.port, running.address)
        try:
            yield source, audit
        finally:
            audit.stop()
            source.close()


@contextlib.asynccontextmanager
async def relaying(source: Source1, audit: Audit) -> AsyncIterator[None]:
    bootstrap = json.loads((audit.state / "broker.json").read_text())["bootstrap"]
    relay = asyncio.create_task(
        Relay(source.journal, Publisher(lambda: bootstrap)).run()
    )
    try:
        yield
    finally:
        relay.cancel()
        await asyncio.gather(relay, return_exceptions=True)


def check(audit: Audit, source: Source1, folder: Path) -> None:
    """Every committed event once, tiles and lanes whole, stored and published alike."""
    documents = [json.loads(entry) for entry in audit.entries()]
    places = [(document["lane"], document["seq"]) for document in documents]
    assert len(places) == len(set(places)), "a leaf twice"
    assert {(ref.lane, ref.seq) for ref in source.written} <= set(places)
    evidence = folder / "evidence"
    evidence.mkdir()
    (evidence / "log").symlink_to(audit.settings.log_dir)
    for name in ("log.vkey", "sources.json"):
        (evidence / name).write_bytes((audit.state / name).read_bytes())
    report = verify_directory(evidence, allow_unchecked=True)  # no heads: the log alone
    assert [f for f in report.findings if f.level is Level.FAILURE] == []
    checked = audit.fsck()
    assert checked.returncode == 0, checked.stdout
    assert b"all holds" in checked.stdout


@pytest.mark.slow
@pytest.mark.parametrize("label", POINTS)
async def test_killed_at_a_point_every_leaf_stands_once(
    tmp_path: Path, label: str
) -> None:
    with pair(tmp_path) as (source, audit):
        # The first hit is the opening of audit's own lane: die at a later one.
        await source.write(20)
        audit.start(f"{label}:3")
        async with relaying(source, audit):
            dead = asyncio.create_task(audit.dies())
            while not dead.done():
                await source.write(5)
                await asyncio.sleep(0.1)
            assert await dead == -signal.SIGKILL
            audit.start()
            await source.write(20)
            last = source.written[-1]
            await audit.holds(last.lane, last.seq)
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{audit.port}/checkpoint")
        opened = open_audit(audit.settings)
        assert open_checkpoint(answer.content, opened.signer.verifier).size > 40
        audit.stop()
        check(audit, source, tmp_path)


@pytest.mark.slow
async def test_fsck_names_each_damaged_file_and_row(tmp_path: Path) -> None:
    with pair(tmp_path) as (source, audit):
        await source.write(300)
        audit.start()
        async with relaying(source, audit):
            last = source.written[-1]
            await audit.holds(last.lane, last.seq)
        audit.stop()
        assert audit.fsck().returncode == 0
        for path in sorted(audit.settings.log_dir.rglob("*")):
            if path.is_dir() or ".p" in path.parent.name:
                continue
            octets = path.read_bytes()
            flipped = bytearray(octets)
            flipped[len(octets) // 2] ^= 1
            path.write_bytes(flipped)
            found = audit.fsck()
            assert found.returncode == 1, path
            name = path.relative_to(audit.settings.log_dir).as_posix()
            assert name.encode() in found.stdout
            path.write_bytes(octets)
        assert audit.fsck().returncode == 0


@pytest.mark.slow
async def test_fsck_names_a_missing_or_older_checkpoint(tmp_path: Path) -> None:
    with pair(tmp_path) as (source, audit):
        audit.start()
        checkpoint = audit.settings.log_dir / "checkpoint"
        async with relaying(source, audit):
            await source.write(5)
            await audit.holds(source.written[-1].lane, source.written[-1].seq)
            older = checkpoint.read_bytes()
            await source.write(5)
            await audit.holds(source.written[-1].lane, source.written[-1].seq)
        audit.stop()
        newest = checkpoint.read_bytes()
        assert newest != older
        assert audit.fsck().returncode == 0
        checkpoint.write_bytes(older)
        found = audit.fsck()
        assert found.returncode == 1
        assert b"checkpoint: covers" in found.stdout
        checkpoint.unlink()
        found = audit.fsck()
        assert found.returncode == 1
        assert b"checkpoint: missing" in found.stdout
        checkpoint.write_bytes(newest)
        assert audit.fsck().returncode == 0


@pytest.mark.slow
async def test_a_database_older_than_the_tiles_is_refused(tmp_path: Path) -> None:
    with pair(tmp_path) as (source, audit):
        audit.start()
        async with relaying(source, audit):
            await source.write(5)
            await audit.holds(source.written[-1].lane, source.written[-1].seq)
            audit.stop()
            database = audit.settings.database_path
            copies = {
                path: path.read_bytes() for path in database.parent.glob("audit.db*")
            }
            audit.start()
            await source.write(5)
            await audit.holds(source.written[-1].lane, source.written[-1].seq)
            audit.stop()
        for path in database.parent.glob("audit.db*"):
            path.unlink()
        for path, octets in copies.items():
            path.write_bytes(octets)
        before = (audit.settings.log_dir / "checkpoint").read_bytes()
        audit.start()
        assert await audit.dies() != 0
        assert b"older copy" in audit.log_file.read_bytes()
        assert (audit.settings.log_dir / "checkpoint").read_bytes() == before
        assert audit.fsck().returncode == 1
