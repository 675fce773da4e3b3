# SPDX-License-Identifier: Apache-2.0
"""Whether a process lives, whether it can serve, and its metrics.

Readiness asks only what a request needs, such as a write to the database. How far the
relay or audit is behind is reported in /metrics and never makes a service unready:
an outage of audit must not become one of the vault (api.md, Health).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import Response
from pydantic import BaseModel
from starlette.responses import JSONResponse

from services.chassis import telemetry
from services.chassis.body import PageRoute, StrictRouter
from services.chassis.telemetry import Metrics

Check = Callable[[], Awaitable[None]]
"""Returns when the thing it names works; raises when it does not."""

CHECK_SECONDS = 2.0


class Health(BaseModel):
    """What a probe is told: no version, no host, no detail.

    Attributes:
        status: `ok` or `unavailable`.
    """

    status: str


def health_router(
    *,
    checks: Mapping[str, Check],
    metrics: Metrics,
    probe_guard: Any,
    scrape_guard: Any,
) -> StrictRouter:
    """Return the routes /livez, /readyz and /metrics.

    Args:
        checks: What must work for this service to serve, by a name for the log.
        metrics: The metrics of this process.
        probe_guard: Dependency of /livez and /readyz; public.
        scrape_guard: Dependency of /metrics.
    """
    router = StrictRouter(route_class=PageRoute, tags=["health"])

    @router.get("/livez", dependencies=[probe_guard], summary="The process runs")
    async def livez() -> Health:
        return Health(status="ok")

    @router.get(
        "/readyz",
        dependencies=[probe_guard],
        summary="The service can serve",
        responses={503: {"model": Health, "description": "Not now."}},
    )
    async def readyz() -> Response:
        results = await asyncio.gather(
            *(_passes(name, check) for name, check in checks.items())
        )
        ready = all(results)
        return JSONResponse(
            {"status": "ok" if ready else "unavailable"},
            status_code=200 if ready else 503,
        )

    @router.get(
        "/metrics",
        dependencies=[scrape_guard],
        summary="Metrics in the Prometheus text format",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def metrics_text() -> Response:
        return Response(
            metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8"
        )

    return router


async def _passes(name: str, check: Check) -> bool:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except Exception as error:  # noqa: BLE001 - any failure means not ready
        telemetry.logger().warning(
            "readiness.failed", label=name, **telemetry.describe(error)
        )
        return False
    return True
