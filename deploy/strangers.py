# SPDX-License-Identifier: Apache-2.0
"""Has other people's tools check an evidence directory; prints one line for each.

    python -m deploy.strangers build/demo/evidence

Nothing of Keyturn's own checks takes part: bundles are split and signed bytes are
built here anew. A tool that is not on this machine is named as not run.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from proofbundle.tlogproof import verify_tlog_proof

FSCK: Final = "github.com/transparency-dev/tessera/cmd/fsck@v1.0.4"
FSCK_BINARY: Final = Path(__file__).parents[1] / "build" / "strangers" / "fsck"
FSCK_SECONDS: Final = 120.0
TILE: Final = 256
ED25519_SPKI: Final = bytes.fromhex("302a300506032b6570032100")
"""DER before the 32 raw bytes of an Ed25519 public key (RFC 8410)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one tool said; `accepted` is None where it was not run."""

    tool: str
    accepted: bool | None
    detail: str

    @classmethod
    def good(cls, tool: str, detail: str) -> Verdict:
        """Return that the tool found nothing wrong."""
        return cls(tool, accepted=True, detail=detail)

    @classmethod
    def bad(cls, tool: str, detail: str) -> Verdict:
        """Return that the tool found something wrong."""
        return cls(tool, accepted=False, detail=detail)

    @classmethod
    def absent(cls, tool: str, detail: str) -> Verdict:
        """Return that the tool was not run."""
        return cls(tool, accepted=None, detail=detail)

    def __str__(self) -> str:
        word = {True: "accepted", False: "REFUSED", None: "not run"}[self.accepted]
        return f"{self.tool:<12} {word:<9} {self.detail}"


def tlog_scales(evidence: Path) -> Verdict:
    """Have tlog-scales make proofs from the served tiles, and proofbundle check them.

    The one reads tiles and checks no signature, the other reads no tiles.
    """
    tool = "tlog-scales"
    program = Path(sys.executable).with_name("tlog-tiles")
    leaves = entries(evidence / "log")
    sampled = sorted({0, len(leaves) // 3, len(leaves) // 2, len(leaves) - 1})
    with served(evidence / "log") as url:
        for index in sampled:
            made = _run([program, "gen-proof", url, str(index)])
            if made.returncode != 0:
                return Verdict.bad(tool, f"no proof of leaf {index}")
            verdict = _proofbundle_says(evidence, made.stdout.decode(), leaves[index])
            if verdict:
                return Verdict.bad(tool, f"its proof of leaf {index}: {verdict}")
    return Verdict.good(tool, f"{len(sampled)} proofs made from the tiles")


def proofbundle(evidence: Path) -> Verdict:
    """Have proofbundle check the proofs that audit gave."""
    tool = "proofbundle"
    leaves = {}
    for leaf in entries(evidence / "log"):
        event = json.loads(leaf)
        leaves[f"{event['lane']}-{event['seq']}"] = leaf
    paths = sorted((evidence / "proofs").glob("*.tlog-proof"))
    for path in paths:
        logged = leaves.get(path.stem)
        if logged is None:
            return Verdict.bad(tool, f"no leaf for {path.name}")
        verdict = _proofbundle_says(evidence, path.read_text("utf-8"), logged)
        if verdict:
            return Verdict.bad(tool, f"{path.name}: {verdict}")
    if not paths:
        return Verdict.absent(tool, "there are no proofs in proofs/")
    return Verdict.good(tool, f"{len(paths)} proofs that audit gave")


def tessera_fsck(evidence: Path, seconds: float = FSCK_SECONDS) -> Verdict:
    """Have Tessera's fsck derive every tile and the root from the entries.

    It exits with 0 even on failure, and tries a bad tile again for minutes: only its
    line of success within `seconds` counts.
    """
    tool = "tessera fsck"
    program, missing = fsck_program()
    if program is None:
        return Verdict.absent(tool, missing)
    with served(evidence / "log") as url:
        key = evidence / "log.vkey"
        flags = [f"--storage_url={url}", f"--public_key={key}", "--ui=false"]
        try:
            said = _run([program, *flags], seconds).stderr.decode()
        except subprocess.TimeoutExpired:
            return Verdict.bad(tool, f"did not find it whole in {seconds:.0f} s")
    size = len(entries(evidence / "log"))
    if f"Successfully fsck'd log with size {size} " in said:
        return Verdict.good(tool, f"{size} leaves, every tile and the root")
    _, _, reason = said.partition("fsck failed: ")
    return Verdict.bad(tool, reason.strip()[:200] or "it said nothing of success")


def openssl(evidence: Path) -> Verdict:
    """Have openssl check the signature of each signed document."""
    tool = "openssl"
    program = shutil.which("openssl")
    if program is None:
        return Verdict.absent(tool, "there is no openssl here")
    folder = evidence / "handover"
    known = json.loads((folder / "officers.json").read_text("utf-8"))["officers"]
    raw = [base64.b64decode(officer["public_key"]) for officer in known]
    keys = {hashlib.sha256(key).hexdigest(): key for key in raw}
    paths = sorted(folder.rglob("*.dsse.json"))
    for path in paths:
        envelope = json.loads(path.read_bytes())
        for signature in envelope["signatures"]:
            key = keys.get(signature["keyid"])
            if key is None or not _openssl_says(program, envelope, signature, key):
                return Verdict.bad(tool, f"{path.name}: signature not good")
    if not paths:
        return Verdict.absent(tool, "there are no signed documents in handover/")
    return Verdict.good(tool, f"{len(paths)} signed documents")


TOOLS: Final[tuple[Callable[[Path], Verdict], ...]] = (
    tlog_scales,
    proofbundle,
    tessera_fsck,
    openssl,
)


def entries(log: Path) -> list[bytes]:
    """Return the leaves of a static log, split by this function alone.

    Raises:
        OSError: A bundle that the checkpoint covers is missing.
    """
    size = int((log / "checkpoint").read_text("utf-8").split("\n")[1])
    found: list[bytes] = []
    for number in range(-(-size // TILE)):
        width = min(TILE, size - number * TILE)
        octets = _bundle_path(log / "tile" / "entries", number, width).read_bytes()
        at = 0
        for _ in range(width):
            length = int.from_bytes(octets[at : at + 2], "big")
            found.append(octets[at + 2 : at + 2 + length])
            at += 2 + length
    return found


def fsck_program() -> tuple[Path | None, str]:
    """Return Tessera's fsck, built where it is not yet, or why there is none."""
    if FSCK_BINARY.exists():
        return FSCK_BINARY, ""
    go = shutil.which("go")
    if go is None:
        return None, "there is no go here to build it"
    FSCK_BINARY.parent.mkdir(parents=True, exist_ok=True)
    # Without cgo, because then no C compiler is needed.
    bin_folder = str(FSCK_BINARY.parent)
    environ = {**os.environ, "GOBIN": bin_folder, "CGO_ENABLED": "0"}
    built = _run([go, "install", FSCK], 300, environ)
    if built.returncode != 0 or not FSCK_BINARY.exists():
        return None, "it could not be built: " + built.stderr.decode()[-200:].strip()
    return FSCK_BINARY, ""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a directory on loopback as any static web server would."""
    handler = partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
        """Say nothing."""


def _bundle_path(folder: Path, number: int, width: int) -> Path:
    groups = [f"{number % 1000:03d}"]
    while number := number // 1000:
        groups.append(f"x{number % 1000:03d}")
    path = folder.joinpath(*reversed(groups))
    if width == TILE:
        return path
    return path.with_name(f"{path.name}.p") / str(width)


def _proofbundle_says(evidence: Path, proof: str, leaf: bytes) -> str:
    """Return what is wrong with a proof; empty where nothing is."""
    vkey = (evidence / "log.vkey").read_text("utf-8").strip()
    origin = vkey.split("+", 1)[0]  # a name has no +, base64 may
    try:
        said = verify_tlog_proof(proof, leaf, vkey, expected_origin=origin)
    except ValueError as error:
        return type(error).__name__
    if said["ok"]:
        return ""
    parts = ("log_ok", "inclusion_ok")
    return ", ".join(part for part in parts if not said[part]) or "not ok"


def _openssl_says(
    program: str, envelope: Mapping[str, Any], signature: Mapping[str, str], key: bytes
) -> bool:
    payload = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"].encode()
    signed = b" ".join(
        [b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload]
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "signed").write_bytes(signed)
        (folder / "signature").write_bytes(base64.b64decode(signature["sig"]))
        (folder / "key.der").write_bytes(ED25519_SPKI + key)
        command = [program, "pkeyutl", "-verify", "-pubin", "-keyform", "DER"]
        command += ["-inkey", str(folder / "key.der"), "-rawin"]
        command += ["-in", str(folder / "signed")]
        command += ["-sigfile", str(folder / "signature")]
        return _run(command).returncode == 0


def _run(
    command: Sequence[str | Path],
    seconds: float = 60,
    environ: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command, capture_output=True, check=False, timeout=seconds, env=environ
    )


def main() -> int:
    """Ask every tool; 0 if none refused and at least one accepted."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.strangers",
        description=__doc__,
        epilog="Exit code: 0 if a tool ran and all that ran accepted, else 1.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("evidence", type=Path, help="the directory to check")
    evidence: Path = parser.parse_args().evidence
    if not (evidence / "log" / "checkpoint").is_file():
        parser.error(f"{evidence} holds no log/checkpoint: run make demo first")
    verdicts = []
    for tool in TOOLS:
        verdict = tool(evidence)
        print(verdict, flush=True)
        verdicts.append(verdict.accepted)
    return 0 if any(verdicts) and False not in verdicts else 1


if __name__ == "__main__":
    sys.exit(main())
