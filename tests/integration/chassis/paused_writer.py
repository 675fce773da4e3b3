# SPDX-License-Identifier: Apache-2.0
"""A process that writes one event, waits for a line on its input, and writes again.

    python -m tests.integration.chassis.paused_writer sqlite PATH KEY_HEX
    python -m tests.integration.chassis.paused_writer postgres URL

Ends with 3 if it was fenced, 0 if it could write.
"""

import asyncio
import sys
from pathlib import Path

from services.chassis.database import Fenced
from services.chassis.engines import Engines, postgres_engines, sqlite_engines
from tests.integration.chassis.conftest import World
from tests.integration.chassis.test_group_commit import draft

FENCED = 3


def connect() -> Engines:
    if sys.argv[1] == "sqlite":
        return sqlite_engines(Path(sys.argv[2]), bytes.fromhex(sys.argv[3]))
    return postgres_engines(sys.argv[2])


async def main() -> int:
    stopped: list[str] = []
    journal = World(connect).journal(on_fatal=stopped.append)
    await journal.append(draft())
    print("written", flush=True)
    sys.stdin.readline()
    try:
        await journal.append(draft())
    except Fenced:
        return FENCED if stopped else 1
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
