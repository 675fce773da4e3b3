# SPDX-License-Identifier: Apache-2.0
"""A process that a supervisor started ends when that supervisor is gone.

The supervisor alone holds the write end of a pipe, and each of its processes inherits
the read end. However the supervisor dies, SIGKILL included, the kernel closes its end,
and reading finds the end of the file. POSIX pipes need no more than that, so it holds
on every system; Linux's PR_SET_PDEATHSIG would not.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import Final

from services.chassis.background import stop_process
from services.chassis.settings import ServiceSettings, SettingsError

ORDERLY_SECONDS: Final = 10.0  # as long as a supervisor waits for a part that it stops


def hold(settings: ServiceSettings) -> None:
    """End this process, gently and then by force, once its supervisor is gone.

    Does nothing for a process that was started without a supervisor.

    Raises:
        SettingsError: The setting names no open file descriptor.
    """
    lifeline = settings.lifeline
    if lifeline is None:
        return
    try:
        os.set_inheritable(lifeline, False)  # noqa: FBT003 - its only spelling
    except OSError:
        raise SettingsError(
            settings.variable("lifeline"), "is set by a supervisor; unset it"
        ) from None
    threading.Thread(target=_wait, args=(lifeline,), daemon=True).start()


def _wait(lifeline: int) -> None:
    while os.read(lifeline, 1):  # nobody writes: it returns when the pipe is closed
        pass
    stop_process("the supervisor is gone")
    threading.Event().wait(ORDERLY_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)
