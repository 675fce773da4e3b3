# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from services.chassis import measures, telemetry


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def written(write: Any, level: str = "info") -> list[dict[str, Any]]:
    stream = io.StringIO()
    telemetry.configure("shop", level, stream)
    write(telemetry.logger())
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_event_service_level_and_time() -> None:
    [line] = written(lambda log: log.info("relay.stuck", lane="0192", seq=7))
    assert line["event"] == "relay.stuck"
    assert (line["service"], line["level"]) == ("shop", "info")
    assert (line["lane"], line["seq"]) == ("0192", 7)
    assert line["time"].endswith("Z")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "zhangsan"),
        ("party", "Zhang San"),
        ("party", "zhang@example.cn"),
        ("reason", "张三"),
        ("code", "+8613800138000"),
        ("reason", {"phone": "13800138000"}),
        ("lane", b"13800138000"),
    ],
)
def test_values_that_are_no_ids_counts_or_codes_are_not_written(
    key: str, value: object
) -> None:
    [line] = written(lambda log: log.info("x", **{key: value}))
    assert line[key] == "***"


@pytest.mark.parametrize("event", ["failed for zhang@example.cn", "x.13800138000"])
def test_an_event_name_with_a_value_in_it_is_not_written(event: str) -> None:
    [line] = written(lambda log: log.info(event))
    assert line["event"] == "***"


def test_an_exception_is_its_type_and_place_never_its_message() -> None:
    def write(log: Any) -> None:
        try:
            telemetry._SAFE_VALUE.fullmatch(b"13800138000")  # type: ignore[arg-type]
        except TypeError:
            log.exception("x")
        try:
            raise ValueError("zhang@example.cn")
        except ValueError as error:
            log.error("y", exc_info=error)

    first, second = written(write)
    assert (first["error"], second["error"]) == ("TypeError", "ValueError")
    assert "test_telemetry.py:" in second["at"]
    assert "zhang" not in json.dumps([first, second])


def test_place_is_in_our_code_even_when_a_library_raised() -> None:
    with pytest.raises(TypeError) as caught:
        telemetry.configure("shop", "info", stream=1, level="info")  # type: ignore[misc,arg-type]
    with pytest.raises(KeyError) as caught_inside:
        telemetry.configure("shop", "no-such-level")
    assert telemetry.describe(caught_inside.value)["at"].startswith(
        "services/chassis/telemetry"
    )
    assert "test_telemetry" in telemetry.describe(caught.value)["at"]


def test_other_libraries_lines_lose_their_message() -> None:
    def write(_log: Any) -> None:
        try:
            raise ValueError("13800138000")
        except ValueError:
            logging.getLogger("uvicorn.error").exception("for %s", "zhang@example.cn")

    [line] = written(write)
    assert line["logger"] == "uvicorn.error"
    assert line["error"] == "ValueError"
    assert "zhang" not in json.dumps(line)
    assert "1380" not in json.dumps(line)


def test_level_is_respected() -> None:
    assert written(lambda log: log.info("x"), "warning") == []


async def test_requests_are_counted_by_route_template_and_never_by_path() -> None:
    metrics = telemetry.Metrics(process=False)

    class Route:
        path = "/v1/records/{id}"

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["route"] = Route()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(_message: Any) -> None:
        return None

    stream = io.StringIO()
    telemetry.configure("shop", "info", stream)
    log = telemetry.RequestLog(app, metrics, lambda: 1.0)
    for method in ("GET", "13800138000"):
        scope = {"type": "http", "method": method, "path": "/v1/records/13800138000"}
        await log(scope, send, send)  # type: ignore[arg-type]
    text = metrics.render().decode()
    assert (
        'keyturn_http_requests_total{method="GET",route="/v1/records/{id}",'
        'status="200"} 1.0' in text
    )
    assert 'method="other"' in text
    # The whole number: a part of it may stand in a time of the metrics.
    assert "13800138000" not in text
    assert "13800138000" not in stream.getvalue()
    assert json.loads(stream.getvalue().splitlines()[0])["route"] == "/v1/records/{id}"


def test_two_processes_worth_of_metrics_do_not_collide() -> None:
    one, other = telemetry.Metrics(process=False), telemetry.Metrics(process=False)
    one.counter(measures.POLICY_GAP).inc()
    other.counter(measures.POLICY_GAP)
    assert "keyturn_policy_gap_total 1.0" in one.render().decode()
    assert "keyturn_policy_gap_total 0.0" in other.render().decode()


def test_the_line_of_a_request_is_what_structlog_would_write() -> None:
    said = {
        "method": "GET",
        "route": "/v1/records/{id}",
        "status": 200,
        "milliseconds": 1.25,
        "request_id": "01a20ebe-2c03-76fa-aa5a-2d2650f156e8",
    }
    [slow] = written(lambda log: log.info("http.request", **said))
    stream = io.StringIO()
    line = telemetry.RequestLine("shop", logging.INFO, stream)
    line.write(**said)  # type: ignore[arg-type]
    [fast] = [json.loads(text) for text in stream.getvalue().splitlines()]
    assert slow.keys() == fast.keys()
    assert {**slow, "time": ""} == {**fast, "time": ""}
    assert slow["time"][:11] == fast["time"][:11]
    line.write("GET", "/v1/jane doe", 200, 1.0, 'x", "y": "jane@example.org')
    assert "jane" not in stream.getvalue()


def test_no_line_of_a_request_above_its_level() -> None:
    stream = io.StringIO()
    telemetry.RequestLine("shop", logging.WARNING, stream).write("GET", "/", 200, 1, "")
    assert stream.getvalue() == ""


def test_a_total_counted_elsewhere_only_grows() -> None:
    metrics = telemetry.Metrics(process=False)
    for total in (3, 7, 5, 8):
        metrics.reach(measures.COMMITTED, total, journal="reads")
    text = metrics.render().decode()
    assert 'keyturn_events_committed_total{journal="reads"} 8.0' in text


class Full(io.StringIO):
    """A stream on a disk that is full."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def test_a_line_that_cannot_be_written_stops_nobody() -> None:
    telemetry.configure("shop", "info", Full())
    telemetry.logger().error("process.stopping", reason="the-disk-refused-a-commit")
