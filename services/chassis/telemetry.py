# SPDX-License-Identifier: Apache-2.0
"""What a running service says about itself: log lines and metrics.

Nothing personal is ever written: a line holds a constant event name and values of
allow-listed keys that look like ids, counts or codes. An exception is its type and the
place in the code; its message, which may quote input, is never read.
OpenTelemetry is off: its exporters would carry messages and query strings (api.md).
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, TextIO, TypeVar, cast

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from services.chassis import measures
from services.chassis.measures import Measure

M = TypeVar("M", Counter, Gauge, Histogram)
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

ALLOWED_KEYS = frozenset(
    (
        *("event", "level", "time", "service", "logger", "at", "error", "code"),
        *("status", "method", "route", "milliseconds", "request_id", "lane", "seq"),
        *("slot", "journal", "topic", "partition", "offset", "handover", "batch"),
        *("count", "installation", "party", "client", "officer", "key_id", "state"),
        *("reason", "attempt", "seconds", "bytes", "host", "port", "mode", "version"),
        *("label", "kind", "size", "root", "signal", "queue", "from_seq", "to_seq"),
    )
)
"""Keys a log line may have. A key that is not here loses its value."""

POLLED_ROUTES = frozenset(
    (
        *("/livez", "/readyz", "/metrics", "/checkpoint", "/v1/outbox/heads"),
        "/tile/{level}/{place:path}",
    )
)
"""Routes that machines poll many times a minute."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_SAFE_VALUE = re.compile(r"[A-Za-z0-9_.:/{}\-]{0,160}")
_EVENT_NAME = re.compile(r"[a-z_]+(\.[a-z_]+)*")
_ROOT = Path(__file__).parents[2]
_OURS = ("services", "contracts", "deploy", "tests")


def location(traceback: TracebackType | None) -> str:
    """Return `file:line` of the innermost frame of our own code, else of any code."""
    place = ""
    found = False
    while traceback is not None:
        path = Path(traceback.tb_frame.f_code.co_filename)
        inside = path.is_relative_to(_ROOT)
        parts = path.relative_to(_ROOT).parts if inside else path.parts[-2:]
        ours = inside and parts[0] in _OURS
        if ours or not found:
            place = f"{'/'.join(parts)}:{traceback.tb_lineno}"
        found = found or ours
        traceback = traceback.tb_next
    return place


def describe(error: BaseException) -> dict[str, str]:
    """Return what a log line may say about an exception: its type and its place."""
    return {"error": type(error).__name__, "at": location(error.__traceback__)}


def _safe(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value) if isinstance(value, str | Path) else ""
    return text if _SAFE_VALUE.fullmatch(text) and text else "***"


def redact(
    _logger: object, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Drop every value that is not of an allow-listed key and shape (structlog)."""
    safe = {
        key: _safe(value) if key in ALLOWED_KEYS else "***"
        for key, value in line.items()
    }
    if not _EVENT_NAME.fullmatch(str(line.get("event", ""))):
        safe["event"] = "***"
    return safe


def _without_messages(
    _logger: object, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    error = line.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    elif isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        line.update(describe(error))
    line.pop("stack_info", None)
    return line


class _LibraryHandler(logging.Handler):
    """Turns records of other libraries into our lines, without their messages."""

    def emit(self, record: logging.LogRecord) -> None:
        line: dict[str, Any] = {"logger": record.name}
        line["at"] = f"{record.module}:{record.lineno}"
        if record.exc_info and isinstance(record.exc_info[1], BaseException):
            line.update(describe(record.exc_info[1]))
        logger().log(record.levelno, "library.message", **line)


class _Enduring:
    """A stream whose trouble is never its writer's: a full disk must stop no service.

    A line that cannot be written is lost. Raised, it would end whatever wrote it: the
    thread that commits, on its way to say that the disk refused a commit.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or lose it."""
        with contextlib.suppress(OSError):
            return self._stream.write(text)
        return 0

    def flush(self) -> None:
        """Flush, or lose what is not written."""
        with contextlib.suppress(OSError):
            self._stream.flush()


def configure(service: str, level: str = "info", stream: TextIO | None = None) -> None:
    """Send every log line of this process as JSON to `stream`, by default stderr.

    The standard `logging` tree is led here as well, so that uvicorn or aiokafka write
    no line of their own.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    output = cast("TextIO", _Enduring(stream or sys.stderr))
    structlog.reset_defaults()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            _without_messages,
            _service_name(service),
            redact,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(output),
        cache_logger_on_first_use=False,
    )
    RequestLine.current = RequestLine(service, number, output)
    root = logging.getLogger()
    root.handlers[:] = [_LibraryHandler()]
    root.setLevel(max(number, logging.WARNING))


def _service_name(service: str) -> structlog.typing.Processor:
    def add(
        _logger: object, _method: str, line: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        line["service"] = service
        return line

    return add


def logger() -> structlog.typing.FilteringBoundLogger:
    """Return the logger. Event names are constants such as `relay.stuck`."""
    log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return log


class RequestLine:
    """Writes `http.request`, the one line of every request, past structlog's steps.

    Same members, same rules: what comes from outside is checked here as `redact` does.
    A fifth of what a lean read cost was this line.
    """

    current: ClassVar[RequestLine | None] = None
    _time = structlog.processors.TimeStamper(fmt="iso", utc=True, key="time")

    def __init__(self, service: str, level: int, stream: TextIO) -> None:
        self._end = f', "service": {json.dumps(service)}}}\n'
        self._said = level <= logging.INFO
        self._stream = stream
        self._begun: dict[tuple[str, str], str] = {}

    def write(
        self, method: str, route: str, status: int, milliseconds: float, request_id: str
    ) -> None:
        """Write the line, if the level is not above `info`."""
        if not self._said:
            return
        begun = self._begun.get((method, route))
        if begun is None:
            names = {"method": _safe(method), "route": _safe(route)}
            begun = self._begun[(method, route)] = json.dumps(names)[:-1]
        now = self._time(None, "", {})["time"]
        id_ = request_id if _SAFE_VALUE.fullmatch(request_id) else "***"
        self._stream.write(
            f'{begun}, "status": {status:d}, "milliseconds": {milliseconds!r}, '
            f'"request_id": "{id_}", "event": "http.request", "level": "info", '
            f'"time": "{now}"{self._end}'
        )
        self._stream.flush()


class Metrics:
    """The metrics of one process, in a registry of its own; `measures` declares them.

    Labels are route templates, codes and journal names; never a path or an id.
    """

    def __init__(self, *, process: bool = True) -> None:
        # Else each counter has a second series, which nobody asks for.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry(auto_describe=True)
        self._made: dict[str, Counter | Gauge | Histogram] = {}
        self._totals: dict[tuple[str, ...], float] = {}
        if process:
            ProcessCollector(registry=self.registry)
            PlatformCollector(registry=self.registry)
        self.http_requests = self.counter(measures.HTTP_REQUESTS)
        self.http_seconds = self.histogram(measures.HTTP_SECONDS)

    def counter(self, measure: Measure) -> Counter:
        """Return the counter of a measure; it is shown from the first call on."""
        return self._of(Counter, measure)

    def gauge(self, measure: Measure) -> Gauge:
        """Return the gauge of a measure; it is shown from the first call on."""
        return self._of(Gauge, measure)

    def histogram(self, measure: Measure) -> Histogram:
        """Return the histogram of a measure; it is shown from the first call on."""
        return self._of(partial(Histogram, buckets=measure.buckets), measure)

    def reach(self, measure: Measure, total: float, **labels: str) -> None:
        """Raise a counter to a total that is counted elsewhere, as in a database."""
        counter = self.counter(measure)
        key = (measure.name, *labels.values())
        shown = counter.labels(**labels) if labels else counter
        shown.inc(max(0.0, total - self._totals.get(key, 0.0)))
        self._totals[key] = max(total, self._totals.get(key, 0.0))

    def _of(self, make: Callable[..., M], measure: Measure) -> M:
        made = self._made.get(measure.name)
        if made is None:
            made = make(
                measure.name,
                measure.meaning,
                tuple(measure.labels),
                registry=self.registry,
            )
            self._made[measure.name] = made
        return cast("M", made)

    def render(self) -> bytes:
        """Return the text exposition format, version 0.0.4."""
        return generate_latest(self.registry)


class RequestLog:
    """ASGI middleware: one line and one observation per request, by route template.

    The line has neither path nor query, because both may hold what a caller typed.
    """

    def __init__(
        self,
        app: Callable[..., Awaitable[None]],
        metrics: Metrics,
        monotonic: Callable[[], float],
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._monotonic = monotonic
        self._log: structlog.typing.FilteringBoundLogger | None = None
        self._known: dict[
            tuple[str, str, int], tuple[Callable[[], None], Callable[[float], None]]
        ] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0
        started = self._monotonic()

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            self._observe(scope, status, self._monotonic() - started)

    def _observe(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        known = scope["method"] in _METHODS
        method = scope["method"] if known else "other"
        count, observe = self._meters(method, route, status)
        count()
        observe(seconds)
        milliseconds = round(seconds * 1000, 3)
        request_id = scope.get("state", {}).get("request_id", "")
        # What machines ask all the time is said only where it fails, or when debugging.
        quiet = route in POLLED_ROUTES and status < 400
        line = RequestLine.current
        if line is not None and not quiet:
            line.write(method, route, status, milliseconds, request_id)
            return
        if self._log is None:
            self._log = logger().bind()
        say = self._log.debug if quiet else self._log.info
        say(
            "http.request",
            method=method,
            route=route,
            status=status,
            milliseconds=milliseconds,
            request_id=request_id,
        )

    def _meters(
        self, method: str, route: str, status: int
    ) -> tuple[Callable[[], None], Callable[[float], None]]:
        """Return what counts and times requests of these labels; there are few."""
        found = self._known.get((method, route, status))
        if found is None:
            counted = self._metrics.http_requests.labels(method, route, str(status))
            timed = self._metrics.http_seconds.labels(method, route)
            found = self._known[(method, route, status)] = (counted.inc, timed.observe)
        return found
