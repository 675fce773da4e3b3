# SPDX-License-Identifier: Apache-2.0
"""Plays a runbook in a directory of its own: one shell, as a person would have."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from deploy.demo.playing import free_ports
from tests.runbooks.reading import Block, missing

ROOT: Final = Path(__file__).parents[2]
PATIENCE_SECONDS: Final = 600.0  # on a busy machine
_MARK: Final = "@@ block"


def play(folder: Path, blocks: Sequence[Block], environ: Mapping[str, str]) -> None:
    """Run the blocks in order.

    Raises:
        AssertionError: One did not do what the runbook says; with all that was said.
    """
    (folder / "deploy").symlink_to(ROOT / "deploy")
    (folder / "shop.sh").symlink_to(Path(__file__).with_name("shop.sh"))
    said = _run(folder, _script(blocks), _environ(environ))
    parts = said.split(f"{_MARK}\n")[1:]
    for number, block in enumerate(blocks):
        part = parts[number] if number < len(parts) else ""
        assert f"{_MARK} done\n" in part, f"line {block.line} failed:\n{said}"
        absent = missing(block.expected, part)
        assert not absent, f"line {block.line} did not print {absent}:\n{part}"


def _script(blocks: Sequence[Block]) -> str:
    lines = [
        "set -eu -o pipefail",
        "trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT",
        ". ./shop.sh",
    ]
    for block in blocks:
        lines.append(f"echo '{_MARK}'")
        if block.refused:
            lines += ["set +e", "(", block.code, ")", "code=$?", "set -e"]
            lines.append("[ $code -ne 0 ] || { echo 'it was not refused'; exit 1; }")
        else:
            lines.append(block.code)
        lines.append(f"echo '{_MARK} done'")
    return "\n".join(lines)


def _environ(environ: Mapping[str, str]) -> dict[str, str]:
    *ports, spare = [*free_ports(), *free_ports()][:4]
    names = ("VAULT", "TRANSFER", "AUDIT")
    own = {
        f"KEYTURN_{name}_PORT": str(port)
        for name, port in zip(names, ports, strict=True)
    }
    # Beside the interpreter, not where its link leads to.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    clean = {k: v for k, v in os.environ.items() if not k.startswith("KEYTURN_")}
    return {
        **clean,
        **own,
        "SPARE_PORT": str(spare),
        "PATH": path,
        "PYTHONPATH": str(ROOT),
        "LC_ALL": "C.UTF-8",
        **environ,
    }


def _run(folder: Path, script: str, environ: dict[str, str]) -> str:
    path, output = folder / "runbook.sh", folder / "runbook.out"
    path.write_text(script, encoding="utf-8")
    with output.open("wb") as file:
        shell = subprocess.Popen(
            ("/bin/bash", str(path)),
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            shell.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            pass  # what was said until then tells where it stands
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGTERM)
            shell.wait(PATIENCE_SECONDS)
    return output.read_text(encoding="utf-8", errors="replace")
