# SPDX-License-Identifier: Apache-2.0
"""Real worker processes on the server's database, killed at every call they make."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from services.chassis.clock import SystemClock
from tests.integration.transfer.house import House, Running

ROOT = Path(__file__).parents[3]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

KILLED_AT = [
    "/plan$",
    "/snapshot$",
    "/backup$",
    "/mandate$",
    "/batches/1$",
    "/batches/3$",
    "/batches/2:verify$",
    ":turn$",
]


@contextlib.contextmanager
def over_http(house: House) -> Iterator[str]:
    """Serve the fake vault on a random port; one call at a time."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            size = int(self.headers.get("content-length", 0))
            request = httpx.Request(
                self.command,
                "http://vault.test" + self.path,
                headers=dict(self.headers.items()),
                content=self.rfile.read(size),
            )
            with lock:
                answer = house.vault.handle(request)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.send_response(answer.status_code)
                self.send_header("content-length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

        do_GET = do_PUT = do_POST = _answer  # noqa: N815 - the library's names

        def log_message(self, *_args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Workers:
    """Worker processes; the newest is the one that a call kills."""

    def __init__(self, house: House, vault_url: str) -> None:
        self.house, self.vault_url = house, vault_url
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        settings = self.house.settings
        self.running[name] = subprocess.Popen(
            [sys.executable, "-m", "services.transfer", "worker"],
            cwd=ROOT,
            env={
                "PATH": os.environ["PATH"],
                "KEYTURN_STATE_DIR": str(settings.state_dir),
                "KEYTURN_KEYS_DIR": str(settings.keys_dir),
                "KEYTURN_VAULT_URL": self.vault_url,
                "KEYTURN_AUDIT_URL": self.vault_url,
                "KEYTURN_TRANSFER_WORKER": name,
                "KEYTURN_TRANSFER_LEASE_SECONDS": "600",
                "KEYTURN_TRANSFER_PARALLEL": "2",
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def stop(self) -> None:
        for process in self.running.values():
            if process.poll() is None:
                process.terminate()
        for process in self.running.values():
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, clock=SystemClock())


@pytest.fixture
def workers(house: House) -> Iterator[Workers]:
    with over_http(house) as url:
        made = Workers(house, url)
        yield made
        made.stop()


async def until(running: Running, handover: str, role: str, workers: Workers) -> None:
    """Wait for the handover to wait for somebody; restart what was killed."""
    for _ in range(1200):
        view = await running.view(handover)
        if role in view["waiting_for"] or (not role and not view["waiting_for"]):
            return
        for name, process in list(workers.running.items()):
            if process.poll() is not None:
                assert process.returncode == -signal.SIGKILL
                workers.start(name)
        await asyncio.sleep(0.1)
    raise AssertionError(view)


async def walk(running: Running, handover: str, workers: Workers) -> None:
    """Take every person's step from the freeze on."""
    await running.post(handover, "freeze", "SC")
    await until(running, handover, "SR", workers)
    await running.post(handover, "back_up", "SR")
    await until(running, handover, "SC", workers)
    for role in ("SC", "BC"):
        assert (await running.signed(handover, "release", role)).status_code == 200
    await until(running, handover, "BC", workers)
    assert (await running.signed(handover, "receive", "BC")).status_code == 200
    await until(running, handover, "PR", workers)
    assert (await running.signed(handover, "pass", "PR")).status_code == 200


async def test_a_worker_killed_at_any_call_loses_and_doubles_nothing(
    house: House, workers: Workers
) -> None:
    left = list(KILLED_AT)

    def kill(_method: str, path: str) -> None:
        """Kill between the vault's effect and its answer."""
        for pattern in left:
            if re.search(pattern, path):
                left.remove(pattern)
                workers.running["worker-1"].kill()
                return

    house.vault.after = kill
    async with house.running() as running:
        handover = await running.to("freeze")
        workers.start("worker-1")
        await walk(running, handover, workers)
        view = await running.view(handover)
        history = (await running.get(handover, "/history")).json()["items"]
    assert left == []
    assert view["state"] == "seller_restricted"
    assert view["progress"]["verified"] == view["progress"]["batches"] == 4
    assert house.vault.turns[handover] == 1
    system = [step["event"] for step in history if step["role"] == "SYS"]
    assert system == [
        "frozen",
        "backed_up",
        "mandated",
        "executed",
        "verified",
        "turned",
    ]


async def test_several_processes_write_one_database_safely(
    house: House, workers: Workers
) -> None:
    house.vault.inventory = {"basic": [("transfer", "eligible")] * 400}
    async with house.running() as running:
        handover = await running.to("freeze")
        workers.start("worker-1")
        workers.start("worker-2")
        await walk(running, handover, workers)
        view = await running.view(handover)
    assert view["progress"]["verified"] == 100
    # Leases keep them apart: nothing was done twice, nothing was waited for in vain.
    assert house.vault.calls["POST /v1/custody/H/batches/N"] == 100
    assert house.vault.calls["POST /v1/custody/H/batches/N:verify"] == 100
    assert all(p.poll() is None for p in workers.running.values())
