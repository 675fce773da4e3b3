# SPDX-License-Identifier: Apache-2.0
"""The embedded broker with a hand on its controls: errors, delays (librdkafka's mock).

confluent-kafka shows none of the mock cluster's controls to Python, but its bundled
library exports them. A child process holds the broker and takes orders over a pipe.
"""

from __future__ import annotations

import ctypes
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Producer

from services.chassis.broker_embedded import EmbeddedBroker

PRODUCE, FETCH, LIST_OFFSETS, METADATA = range(4)  # Kafka's API keys
_ID: Final = ctypes.c_int32(1)  # the one broker there is
_HANDLE_AT: Final = 2 * ctypes.sizeof(ctypes.c_void_p)  # behind PyObject's head


class MockBroker:
    """The controls, from the parent's side."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._child = child
        self.address = str(self._answer())

    def answer_errors(self, api: int, errors: list[int]) -> None:
        """Answer the next requests of an API key with these errors, one each."""
        self._order("errors", api, errors)

    def answer_after(self, milliseconds: int) -> None:
        """Delay every answer from now on."""
        self._order("delay", milliseconds)

    def errors_left(self) -> int:
        """Return how many errors no request has met."""
        return int(self._order("left"))

    def _order(self, *order: Any) -> Any:
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(order) + "\n")
        self._child.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._child.stdout is not None
        return json.loads(self._child.stdout.readline())


@contextmanager
def mock_broker() -> Iterator[MockBroker]:
    """Run a broker in a child process; it ends with the pipe, however that ends."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.crash.faults.mock_broker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            yield MockBroker(child)
        finally:
            child.kill()


class Controls:
    """The mock cluster of an embedded broker, through the library's C interface."""

    def __init__(self, producer: Producer) -> None:
        self._library = ctypes.CDLL(_bundled_library())
        for name in ("rd_kafka_handle_mock_cluster", "rd_kafka_name"):
            getattr(self._library, name).restype = ctypes.c_void_p
        handle = ctypes.c_void_p.from_address(id(producer) + _HANDLE_AT)
        self._cluster = ctypes.c_void_p(
            self._library.rd_kafka_handle_mock_cluster(handle)
        )
        assert self._cluster.value, "confluent-kafka holds its handle elsewhere now"

    def errors(self, api: int, errors: list[int]) -> None:
        """Push errors for the next requests of an API key."""
        push = self._library.rd_kafka_mock_broker_push_request_error_rtts
        for error in errors:  # variadic: how many, then error and round trip of each
            one, at_once = ctypes.c_size_t(1), ctypes.c_int(0)
            told = push(
                self._cluster,
                _ID,
                ctypes.c_int16(api),
                one,
                ctypes.c_int(error),
                at_once,
            )
            assert told == 0, told

    def delay(self, milliseconds: int) -> None:
        """Set the round trip of every answer."""
        self._library.rd_kafka_mock_broker_set_rtt(
            self._cluster, _ID, ctypes.c_int(milliseconds)
        )

    def left(self) -> int:
        """Return how many pushed errors no request has met."""
        total = 0
        for api in range(4):
            count = ctypes.c_size_t()
            self._library.rd_kafka_mock_broker_error_stack_cnt(
                self._cluster, _ID, ctypes.c_int16(api), ctypes.byref(count)
            )
            total += count.value
        return total


def _bundled_library() -> str:
    """Return the path of the librdkafka that this process has loaded."""
    maps = Path("/proc/self/maps").read_text(encoding="utf-8")
    found = re.search(r"(/\S*librdkafka\S*)$", maps, re.MULTILINE)
    assert found is not None, "librdkafka is not a library of its own here"
    return found[1]


def main() -> None:
    """Hold a broker, and carry out orders until the pipe ends."""
    broker = EmbeddedBroker()
    controls = Controls(broker._handle)
    print(json.dumps(broker.bootstrap), flush=True)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(getattr(controls, name)(*arguments)), flush=True)


if __name__ == "__main__":
    main()
