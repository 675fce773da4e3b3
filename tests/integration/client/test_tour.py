# SPDX-License-Identifier: Apache-2.0
"""Promise: the client's README runs, block by block, as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from deploy.client_wheel import HOME
from tests.integration.client.standing import CLIENT, Standing

pytestmark = pytest.mark.slow
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_tour_runs_as_it_stands(
    stands: Standing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    place = stands.place
    (tmp_path / ".keyturn").symlink_to(place.state)
    (tmp_path / ".keyturn-keys").symlink_to(place.keys)
    text = (HOME / "README.md").read_text(encoding="utf-8")
    blocks = BLOCK.findall(text)
    assert len(blocks) == text.count("```python") > 8
    assert f"clients/{CLIENT}.json" in text
    ports = {8401: place.vault_port, 8402: place.transfer_port, 8403: place.audit_port}
    names: dict[str, Any] = {}
    for written, real in ports.items():
        text = text.replace(f"127.0.0.1:{written}", f"127.0.0.1:{real}")
    for number, block in enumerate(BLOCK.findall(text), 1):
        exec(compile(block, f"README block {number}", "exec"), names)
    assert (tmp_path / "log.pin").exists()
