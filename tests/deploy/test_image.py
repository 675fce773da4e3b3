# SPDX-License-Identifier: Apache-2.0
"""Promise: what the Dockerfile copies is enough to run, read-only, as a stranger.

No engine builds the image here. The test reads the Dockerfile, takes its steps in a
folder, and starts a service from what came of it.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.parcels import PARCELS
from tests.deploy.conftest import DEPLOY, ROOT
from tests.integration.test_serve_process import free_port

USER = 10001
SECONDS = 60.0


def _instructions() -> list[tuple[str, str]]:
    text = re.sub(
        r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE
    )
    lines = text.replace("\\\n", " ").splitlines()
    return [(w, rest.strip()) for w, _, rest in (line.partition(" ") for line in lines)]


def _copies() -> list[tuple[list[str], str]]:
    """Sources in this repository and target of each COPY of the last stage."""
    found: list[tuple[list[str], str]] = []
    for word, rest in _instructions():
        if word == "FROM":
            found = []
        elif word == "COPY" and not rest.startswith("--from"):
            *sources, target = rest.split()
            found.append((sources, target))
    return found


def _environment() -> dict[str, str]:
    env = next(rest for word, rest in _instructions() if word == "ENV")
    return dict(pair.split("=", 1) for pair in env.split())


def _ignored(path: str) -> bool:
    """Whether `.dockerignore` keeps a path out: the last line that matches decides."""
    kept_out = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!").removeprefix("**/")
        parts = path.split("/")
        if line.startswith("**/"):
            hit = any(fnmatch.fnmatch(part, pattern) for part in parts)
        else:
            heads = ["/".join(parts[: n + 1]) for n in range(len(parts))]
            hit = any(fnmatch.fnmatch(head, pattern) for head in heads)
        if hit:
            kept_out = not line.startswith("!")
    return kept_out


def _tracked(source: str) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", source],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return listed.stdout.split()


def _reachable(program: str) -> bool:
    """Whether another user may enter every folder on the way to a program."""
    real = Path(program).resolve()
    return all(folder.stat().st_mode & 0o001 for folder in real.parents)


def _interpreter() -> str:
    """A Python for the image: this one, or the system's where others cannot enter."""
    for program in (sys.executable, "/usr/bin/python3"):
        if Path(program).exists() and _reachable(program):
            return program
    return sys.executable


def _as_another() -> bool:
    """Whether the test can be another user; elsewhere it stays who it is."""
    return os.geteuid() == 0 and _reachable(_interpreter())


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The image's tree under a folder that another user may enter, not write."""
    root = Path(f"/tmp/keyturn-image-{os.getpid()}")  # pytest's own is closed to others
    shutil.rmtree(root, ignore_errors=True)
    for sources, target in _copies():
        for source in sources:
            for path in _tracked(source):
                assert (ROOT / path).is_file()
                if _ignored(path):
                    continue
                inside = path if (ROOT / source).is_dir() else Path(path).name
                inside = inside.removeprefix(f"{source}/")
                to = root / target.lstrip("/")
                one_file = len(sources) == 1 and not (ROOT / source).is_dir()
                to = to if one_file and not target.endswith("/") else to / inside
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / path, to)
    venv = root / "opt/keyturn/venv"
    uv = Path(sys.executable).with_name("uv")
    base = _interpreter()
    subprocess.run([uv, "venv", "--quiet", "--python", base, venv], check=True)
    sync: list[str | Path] = [uv, "pip", "sync", "--quiet"]
    sync += ["--python", venv / "bin/python"]
    sync += ["--require-hashes", "--only-binary", ":all:", "--compile-bytecode"]
    subprocess.run([*sync, ROOT / "requirements/run.lock"], check=True)
    compiling = next(rest for _, rest in _instructions() if "compileall" in rest)
    command = compiling.replace("/opt/", f"{root}/opt/").split()
    subprocess.run(command, check=True)
    subprocess.run(["chmod", "-R", "a+rX,a-w", root], check=True)
    for folder in ("state", "keys", "parcels"):
        (root / folder).parent.chmod(0o755)
        (root / folder).mkdir(mode=0o700)
        if _as_another():
            os.chown(root / folder, USER, USER)
    yield root
    subprocess.run(["chmod", "-R", "u+w", root], check=True)
    shutil.rmtree(root)


class Container:
    """The image's user, environment and folders, without its walls."""

    def __init__(self, image: Path, port: int) -> None:
        self._image = image
        at = str(image / "opt")
        environ = {k: v.replace("/opt", at) for k, v in _environment().items()}
        environ["PATH"] = environ["PATH"].replace("$PATH", os.environ["PATH"])
        environ["KEYTURN_STATE_DIR"] = str(image / "state")
        environ["KEYTURN_KEYS_DIR"] = str(image / "keys")
        environ["KEYTURN_VAULT_PORT"] = str(port)
        self._environ = environ

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        entry = ["-m", "deploy.entry"] if arguments[0] != "probe" else []
        arguments = arguments if entry else ("-m", "deploy.probe", *arguments[1:])
        ids = {"user": USER, "group": USER, "extra_groups": []}
        return subprocess.Popen(
            [self._image / "opt/keyturn/venv/bin/python", *entry, *arguments],
            cwd=self._image / "opt/keyturn/app",
            env=self._environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **(ids if _as_another() else {}),  # type: ignore[arg-type]
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        with self.start(*arguments) as process:
            said, _ = process.communicate(timeout=SECONDS)
            return process.returncode, said


@pytest.mark.timeout(240)
def test_the_image_starts_read_only_as_another_user(image: Path) -> None:
    container = Container(image, free_port())
    before = {p: p.stat().st_mtime_ns for p in (image / "opt").rglob("*")}
    for service in ("vault", "transfer", "audit"):
        code, said = container.run(service, "init")
        assert code == 0, said
    code, said = container.run("parcels", "--out", str(image / "parcels"))
    assert code == 0, said
    for service, parcel in PARCELS.items():
        files = list((image / "parcels" / service).iterdir())
        assert {f.name for f in files} == set(parcel.names)
        assert {f.stat().st_mode & 0o777 for f in files} == {0o600}
    with container.start("vault", "serve") as process:
        try:
            end = time.monotonic() + SECONDS
            while (probed := container.run("probe", "vault")[0]) != 0:
                assert process.poll() is None, process.communicate()[0]
                assert time.monotonic() < end
        finally:
            process.send_signal(signal.SIGTERM)
            said, _ = process.communicate(timeout=SECONDS)
    assert probed == 0
    # The signal reached the service itself, and ended it in good order.
    assert process.returncode in {0, -signal.SIGTERM}, said
    assert "service.stopped" in said
    assert container.run("probe", "vault")[0] == 1  # nobody answers any more
    assert before == {p: p.stat().st_mtime_ns for p in (image / "opt").rglob("*")}


@pytest.mark.timeout(120)
def test_nothing_of_the_repository_that_is_not_needed_is_in_the_image(
    image: Path,
) -> None:
    app = image / "opt/keyturn/app"
    assert {p.name for p in app.iterdir()} == {
        "LICENSE",
        "contracts",
        "deploy",
        "services",
    }
    assert not [p for p in app.rglob("*") if p.suffix in {".key", ".pem", ".md"}]
    made = subprocess.run(
        [image / "opt/keyturn/venv/bin/python", "-m", "services.cli.main", "--help"],
        cwd=app,
        env={"PYTHONPATH": str(app)},
        capture_output=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr


def test_a_file_that_is_ignored_is_never_copied() -> None:
    for sources, _target in _copies():
        for source in sources:
            assert (ROOT / source).exists(), source
            if (ROOT / source).is_file():
                assert not _ignored(source), source
    assert _ignored("deploy/compose/secrets/ca.key")
    assert _ignored(".git/config")
    assert _ignored("services/vault/README.md")
    assert not _ignored("services/vault/app.py")


def test_the_image_runs_as_nobody_in_particular() -> None:
    words = dict(_instructions())
    assert words["USER"] == f"{USER}:{USER}"
    assert words["HEALTHCHECK"].endswith('["python", "-m", "deploy.probe"]')
    assert words["EXPOSE"].split() == ["8401", "8402", "8403"]
    assert "sha256" not in (DEPLOY / "Dockerfile").read_text().replace(
        "@sha256:...", ""
    )


def test_the_entrance_refuses_what_is_no_service() -> None:
    for arguments in ([], ["vaults", "serve"], ["--parcel"]):
        done = subprocess.run(
            [sys.executable, "-m", "deploy.entry", *arguments],
            cwd=ROOT,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 2
