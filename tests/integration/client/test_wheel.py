# SPDX-License-Identifier: Apache-2.0
"""Promise: the wheel is enough: without the services, without our `contracts`."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from contracts.log import merkle
from contracts.log.checkpoint import Checkpoint
from contracts.log.note import NoteSigner
from contracts.log.proof import TlogProof
from deploy import client_wheel

CHECK = """
import sys
sys.path.insert(0, sys.argv[1])
import keyturn_client
from keyturn_client import OfficerLogin, verify_proof
vkey, event, proof = sys.argv[2], sys.argv[3].encode(), open(sys.argv[4], "rb").read()
print(verify_proof(event, proof, vkey).size, keyturn_client.__file__)
print(sorted(n for n in sys.modules if n.split(".")[0] in {"contracts", "services"}))
"""


@pytest.mark.slow
def test_the_wheel_verifies_a_proof_alone(tmp_path: Path) -> None:
    wheel = client_wheel.build(tmp_path / "built")
    signer = NoteSigner("keyturn.test", b"k" * 32)
    event = b'{"id":"a/1"}'
    checkpoint = Checkpoint("keyturn.test", 1, merkle.leaf_hash(event))
    proof = tmp_path / "a.tlog-proof"
    note = signer.sign(checkpoint.text())
    proof.write_bytes(TlogProof(0, (), note).encode())
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(tmp_path / "site")
        names = opened.namelist()
        metadata = next(name for name in names if name.endswith("/METADATA"))
        said = message_from_bytes(opened.read(metadata))
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {
        "keyturn_client"
    }
    assert "keyturn_client/py.typed" in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    needed = {re.split("[<>=]", line)[0] for line in said.get_all("Requires-Dist", [])}
    assert needed == {"httpx", "pynacl", "stamina"}
    done = subprocess.run(
        (
            sys.executable,
            "-I",
            "-c",
            CHECK,
            str(tmp_path / "site"),
            signer.vkey,
            event,
            str(proof),
        ),
        check=True,
        capture_output=True,
        text=True,
    )
    size, file, ours = done.stdout.split(maxsplit=2)
    assert size == "1"
    assert Path(file).is_relative_to(tmp_path / "site")
    assert ours.strip() == "[]"
