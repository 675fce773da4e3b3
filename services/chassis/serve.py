# SPDX-License-Identifier: Apache-2.0
"""One bootstrap for all services: an application with every guard on, and its server.

An application that has a route without guard, of a lax class or with a doubled
operation id is not made: `AppError` stops the start.
"""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
)
from types import FrameType
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi.telemetry import TelemetryConfig
from starlette.middleware import Middleware

from contracts.scopes import Scope
from services.chassis import clock as clocks
from services.chassis import lifeline, problem_json, telemetry
from services.chassis.api_document import DESCRIPTION, documented
from services.chassis.auth import (
    TokenVerifier,
    public,
    require,
    unguarded_routes,
)
from services.chassis.body import StrictRoute
from services.chassis.crashpoints import CRASH_POINTS
from services.chassis.docs import docs_router, problems_router, service_router
from services.chassis.headers import Entrance, RequestFrame
from services.chassis.health import Check, health_router
from services.chassis.host_facts import show_host
from services.chassis.lean import LeanWay, declared
from services.chassis.peers import PeerProtocol
from services.chassis.settings import ServiceSettings, SettingsError
from services.chassis.telemetry import Metrics, RequestLog

API_VERSION = "1"  # additive changes only; never in an answer's meaning
GRACEFUL_SECONDS = 5
KEEP_ALIVE_SECONDS = 30
GC_THRESHOLDS = (50_000, 50, 100)

TELEMETRY_OFF: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""FastAPI's exporters would carry exception messages and query strings (api.md)."""

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Any]]


class AppError(RuntimeError):
    """The application is not safe to serve; the message lists the routes."""


def create_service_app(
    *,
    settings: ServiceSettings,
    routers: Sequence[APIRouter],
    lifespan: Lifespan | None = None,
    verifier: TokenVerifier | None = None,
    checks: Mapping[str, Check] | None = None,
    metrics: Metrics | None = None,
    clock: clocks.Clock | None = None,
) -> FastAPI:
    """Return the application of a service.

    Args:
        settings: Checked settings.
        routers: The rooms' routers, each a `StrictRouter` with its own prefix.
        lifespan: Opens and closes what the service owns. It may set
            `app.state.verifier` where the verifier needs what it opens.
        verifier: Verifies access tokens.
        checks: What must work for readiness, by name.
        metrics: Metrics of this process.
        clock: Clock of this process.

    Raises:
        AppError: A route is unguarded, lax, or shares its operation id.
        SettingsError: The TLS certificate cannot be read.
    """
    metrics = metrics or Metrics()
    show_host(metrics, settings)
    clock = clock or clocks.SystemClock()
    app = FastAPI(
        title=f"Keyturn {settings.SERVICE}".strip(),
        version=API_VERSION,
        description=DESCRIPTION,
        lifespan=_remembering(lifespan) if lifespan is not None else None,
        # Our own pages and handlers replace these; the limit of body size is
        # StrictRoute's, because the framework's answers in plain text.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        telemetry=TELEMETRY_OFF,
        generate_unique_id_function=lambda route: route.name,
        middleware=[
            Middleware(RequestFrame, new_id=clocks.uuid7),
            Middleware(RequestLog, metrics=metrics, monotonic=clock.monotonic),
            Middleware(problem_json.ProblemBoundary),
            Middleware(Entrance, hosts=settings.hosts),
            *_lean_way(routers, lambda: strict_routes(app)),
        ],
    )
    app.state.settings = settings
    app.state.metrics = metrics
    app.state.clock = clock
    app.state.verifier = verifier
    app.state.stopping = asyncio.Event()
    app.state.refused = None
    problem_json.install(app)
    _include(app, settings, routers, checks or {}, metrics)
    _refuse_unsafe(app)
    _refuse_stray(app, routers)
    app.openapi = documented(app, settings)  # type: ignore[method-assign]
    return app


def _lean_way(
    routers: Iterable[APIRouter], routes: Callable[[], list[APIRoute]]
) -> list[Middleware]:
    leans = [lean for one in routers for lean in getattr(one, "leans", ())]
    return [Middleware(LeanWay, leans=leans, routes=routes)] if leans else []


def _remembering(lifespan: Lifespan) -> Lifespan:
    """Keep what refuses the start in `app.state.refused`, for `run` to raise.

    The server ends by SystemExit then, without a word of ours.
    """

    @asynccontextmanager
    async def remembered(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(lifespan(app))
            except Exception as refused:
                app.state.refused = refused
                raise
            yield

    return remembered


def _include(
    app: FastAPI,
    settings: ServiceSettings,
    routers: Iterable[APIRouter],
    checks: Mapping[str, Check],
    metrics: Metrics,
) -> None:
    for router in routers:
        app.include_router(router)
    app.include_router(
        health_router(
            checks=checks,
            metrics=metrics,
            probe_guard=public(),
            scrape_guard=require(Scope.METRICS_READ),
        )
    )
    with_docs = settings.serves_docs
    app.include_router(service_router(settings, guard=public(), with_docs=with_docs))
    app.include_router(problems_router(guard=public(), with_docs=with_docs))
    if with_docs:
        app.include_router(docs_router(app, guard=public()))


def _refuse_unsafe(app: FastAPI) -> None:
    unguarded = unguarded_routes(app)
    if unguarded:
        raise AppError(f"routes without guard: {'; '.join(unguarded)}")
    contexts = list(iter_route_contexts(app.routes))
    lax = [c.path for c in contexts if not isinstance(c.original_route, StrictRoute)]
    if lax:
        raise AppError(f"routes that are not strict: {'; '.join(map(str, lax))}")
    ids = [context.unique_id for context in contexts]
    doubled = sorted({name for name in ids if ids.count(name) > 1})
    if doubled:
        raise AppError(f"operation ids used twice: {'; '.join(doubled)}")


def _refuse_stray(app: FastAPI, routers: Iterable[APIRouter]) -> None:
    """Refuse a lean way to no route, or to one with more than its one guard."""
    for lean in [lean for one in routers for lean in getattr(one, "leans", ())]:
        try:
            declared(lean, strict_routes(app))
        except LookupError:
            raise AppError(f"a lean way without its route: {lean.path}") from None


# -- The server ---------------------------------------------------------------


class _Server(uvicorn.Server):
    """uvicorn's server, which tells streams to end and spares the collector."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: Any = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        # What lives now lives until the end; not visiting it again took the p99 of a
        # read from over 30 ms to under 8 (vault.md, Writing).
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        settings: ServiceSettings = self._app.state.settings
        telemetry.logger().info(
            "service.started", mode=settings.mode.value, port=settings.port
        )

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if self._loop is not None:
            # An event stream ends by itself now; otherwise uvicorn would wait for it.
            self._loop.call_soon_threadsafe(self._app.state.stopping.set)

    async def shutdown(self, sockets: Any = None) -> None:
        self._app.state.stopping.set()
        await super().shutdown(sockets)
        telemetry.logger().info("service.stopped")


def run(app: FastAPI, settings: ServiceSettings) -> None:
    """Serve `app` until SIGTERM or SIGINT; open requests get 5 seconds to end.

    Raises:
        SettingsError: `crash_at` names no crash point, `lifeline` no open file.
        Exception: What refused the start, from the application's lifespan.
    """
    arm_crash_point(settings)
    telemetry.configure(settings.SERVICE or "keyturn", settings.log_level.value)
    lifeline.hold(settings)
    callers = settings.tls_client_ca_file
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=PeerProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
        ssl_version=ssl.PROTOCOL_TLS_SERVER,
        # Optional: a CRM may have a secret alone. Who shows a certificate must show a
        # good one, and what it gets is bound to it (`chassis.auth.origin`).
        ssl_ca_certs=None if callers is None else str(callers),
        ssl_cert_reqs=ssl.CERT_NONE if callers is None else ssl.CERT_OPTIONAL,
    )
    try:
        _Server(config, app).run()
    finally:
        refused: Exception | None = app.state.refused
        if refused is not None:
            raise refused


def arm_crash_point(settings: ServiceSettings) -> None:
    """Arm the crash point that the settings name, if any.

    Raises:
        SettingsError: There is no such label.
    """
    if settings.crash_at is None:
        return
    try:
        CRASH_POINTS.arm(*settings.crash_at)
    except ValueError:
        raise SettingsError(
            settings.variable("crash_at"), "names no label of crashpoints.LABELS"
        ) from None


def strict_routes(app: FastAPI) -> list[APIRoute]:
    """Return every route of the application, for tests that walk them."""
    return [
        context.original_route
        for context in iter_route_contexts(app.routes)
        if isinstance(context.original_route, APIRoute)
    ]
