# SPDX-License-Identifier: Apache-2.0
"""The server as a process: it answers, logs no address, and ends when told to."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
CANARY = "13800138000"

PROGRAM = """
import asyncio, os, sys
from services.chassis.auth import public
from services.chassis.body import StrictRouter
from services.chassis.serve import create_service_app, run
from services.chassis.settings import ServiceSettings
from starlette.responses import StreamingResponse

router = StrictRouter(dependencies=[public()])

@router.get("/stream")
async def stream(request: __import__("fastapi").Request) -> StreamingResponse:
    async def chunks():
        yield b"begin\\n"
        await request.app.state.stopping.wait()
        yield b"end\\n"
    return StreamingResponse(chunks())

@router.get("/broken/{what}")
async def broken(what: str, q: str) -> None:
    raise RuntimeError(what)

settings = ServiceSettings.from_environ(os.environ)
run(create_service_app(settings=settings, routers=[router]), settings)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(log: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    port = free_port()
    environ = {**os.environ, "KEYTURN_PORT": str(port), "PYTHONPATH": str(ROOT)}
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], env=environ, stderr=stderr, stdout=stderr
        )
        try:
            base = f"http://127.0.0.1:{port}"
            wait_until_ready(base, process)
            yield process, base
        finally:
            process.kill()
            process.wait(10)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("server") / "log") as (_, address):
        yield address


def wait_until_ready(base: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert process.poll() is None
        try:
            if httpx.get(f"{base}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("the server did not become ready")


@pytest.mark.slow
def test_an_open_stream_ends_well_and_the_process_with_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with serving(log) as (process, base):
        stop_while_streaming(process, base)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    events = {line["event"] for line in lines}
    assert {"service.started", "http.request", "request.failed"} <= events
    assert lines[-1]["event"] == "service.stopped"
    assert CANARY not in log.read_text()


def stop_while_streaming(process: subprocess.Popen[bytes], base: str) -> None:
    answer = httpx.get(f"{base}/broken/{CANARY}", params={"q": CANARY})
    assert answer.json()["code"] == "internal"
    assert "server" not in answer.headers
    assert httpx.get(f"{base}/nowhere/{CANARY}").status_code == 404

    with httpx.stream("GET", f"{base}/stream", timeout=10) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "begin"
        told = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert next(lines) == "end"
    process.wait(10)
    assert time.monotonic() - told < 3


def raw(base: str, request: bytes) -> bytes:
    host, port = base.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
    return answer


@pytest.mark.parametrize(
    "request_bytes",
    [
        (b"POST /stream HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\n"
        b"Content-Length: 2\r\n\r\nab"),
        b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: a/../b?x\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: " + b"a" * 200_000
        + b"\r\n\r\n",
        b"GET /livez%ff HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /livez?%00 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00garbage\r\n\r\n",
    ],
    ids=[
        "length and encoding", "two lengths", "negative length", "no host", "host",
        "long header", "path", "query", "no HTTP",
    ],
)  # fmt: skip
def test_hostile_bytes_on_the_wire_are_answered_4xx(
    base: str, request_bytes: bytes
) -> None:
    answer = raw(base, request_bytes)
    assert answer.startswith(b"HTTP/1.1 4"), answer[:200]
    assert httpx.get(f"{base}/livez").status_code == 200
