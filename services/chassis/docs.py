# SPDX-License-Identifier: Apache-2.0
"""The documentation pages, complete without internet and under a strict policy.

Swagger UI comes from the files of the `flask-swagger-ui` wheel (Flask itself is not
needed), started by a script file of ours: no inline script, no foreign host.
Every problem type has a page at the address that answers name as their `type`, and
`/` says which service this is. These two are public in every mode: they say nothing
that differs between installations.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Annotated, Any

from fastapi import FastAPI, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse

from contracts import problems
from contracts.problems import PROBLEMS, Problem, Refusal
from services.chassis.body import PageRoute, StrictRouter, Text
from services.chassis.headers import DOCS_CSP
from services.chassis.settings import ServiceSettings

_OWN = Path(__file__).parent / "docs_assets"
_SWAGGER_FILES = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
    "oauth2-redirect.html": "text/html",
    "oauth2-redirect.js": "text/javascript",
}
_OWN_FILES = {"start.js": "text/javascript", "pages.css": "text/css"}
_MEDIA_TYPES = _SWAGGER_FILES | _OWN_FILES
_PAGE_HEADERS = {"content-security-policy": DOCS_CSP}
_DOCS_PATHS = {"docs": "/docs", "openapi": "/openapi.json"}
_PATHS = {"problems": "/problems", "livez": "/livez", "readyz": "/readyz"}
_MEANINGS = {
    "docs": "all routes, to read and to try",
    "openapi": "the same for programs, OpenAPI 3.1",
    "problems": "what each refusal means and what to do about it",
    "livez": "whether the process runs",
    "readyz": "whether the service can serve",
}
_FILE_HEADERS = {**_PAGE_HEADERS, "cache-control": "private, max-age=3600"}


def swagger_files() -> dict[str, Path]:
    """Return the Swagger UI files by name; empty if the wheel is not installed."""
    spec = find_spec("flask_swagger_ui")
    if spec is None or not spec.submodule_search_locations:
        return {}
    folder = Path(spec.submodule_search_locations[0]) / "dist"
    return {name: folder / name for name in _SWAGGER_FILES}


def page_files() -> dict[str, Path]:
    """Return every file that a page asks for, by name: Swagger UI's and our own."""
    return swagger_files() | {name: _OWN / name for name in _OWN_FILES}


def docs_router(app: FastAPI, *, guard: Any) -> StrictRouter:
    """Return the routes /docs, /docs/{file} and /openapi.json of `app`.

    Args:
        app: What is documented.
        guard: Dependency of the routes, `auth.public()` or `auth.require()`.
    """
    router = StrictRouter(
        route_class=PageRoute, include_in_schema=False, dependencies=[guard]
    )
    files = page_files()
    page = _frame("swagger.html").substitute(title=html.escape(app.title))

    @router.get("/docs")
    async def docs_page() -> Response:
        return _page(page)

    @router.get("/docs/{file}")
    async def docs_file(file: str) -> Response:
        # The name is a key of our own list, never a path of the caller's making.
        if file not in files:
            raise Refusal(problems.NOT_FOUND)
        return FileResponse(
            files[file], media_type=_MEDIA_TYPES[file], headers=_FILE_HEADERS
        )

    @router.get("/openapi.json")
    async def openapi_document() -> Response:
        return JSONResponse(app.openapi())

    return router


def service_router(
    settings: ServiceSettings, *, guard: Any, with_docs: bool
) -> StrictRouter:
    """Return the route /: which service this is, and where to go on.

    Args:
        settings: Of the service; they say what it is for.
        guard: Dependency of the route, `auth.public()`.
        with_docs: Whether `docs_router` is there too; without it all is JSON.
    """
    router = StrictRouter(route_class=PageRoute, tags=["service"], dependencies=[guard])
    frame = _frame("service.html")
    title = f"Keyturn {settings.SERVICE}".strip()
    paths = {**(_DOCS_PATHS if with_docs else {}), **_PATHS}
    told = {"service": title, "about": settings.ABOUT, **paths}
    rows = [
        f'<li><a href="{path}">{path}</a> {html.escape(_MEANINGS[name])}</li>'
        for name, path in paths.items()
    ]
    page = frame.substitute(
        title=html.escape(title), about=html.escape(settings.ABOUT), rows=_lines(rows)
    )

    @router.get("/", summary="Which service this is", response_model=dict[str, str])
    async def describe_service(request: Request) -> Any:
        return _page(page) if with_docs and _wants_page(request) else told

    return router


def problems_router(*, guard: Any, with_docs: bool) -> StrictRouter:
    """Return the routes /problems and /problems/{code}: what to do about a refusal.

    Args:
        guard: Dependency of the routes, `auth.public()`: constants of this software.
        with_docs: Whether `docs_router` is there too; without it all is JSON.
    """
    router = StrictRouter(
        route_class=PageRoute, tags=["problems"], dependencies=[guard]
    )
    table = _frame("problems.html").substitute(
        rows=_lines(_row(problem) for problem in PROBLEMS.values())
    )
    frame = _frame("problem.html")

    @router.get(
        "/problems",
        summary="Every way a service can refuse",
        response_model=dict[str, list[dict[str, str | int]]],
    )
    async def list_problems(request: Request) -> Any:
        if with_docs and _wants_page(request):
            return _page(table)
        return {"items": [_told(problem) for problem in PROBLEMS.values()]}

    @router.get(
        "/problems/{code}",
        summary="What a problem means",
        response_model=dict[str, str | int],
    )
    async def describe_problem(
        code: Annotated[str, PathParameter(), Text(64, pattern="^[a-z-]+$")],
        request: Request,
    ) -> Any:
        problem = PROBLEMS.get(code)
        if problem is None:
            raise Refusal(problems.NOT_FOUND)
        if with_docs and _wants_page(request):
            return _page(frame.substitute(_escaped(problem)))
        return _told(problem)

    return router


def _frame(name: str) -> Template:
    return Template((_OWN / name).read_text(encoding="utf-8"))


def _wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _page(text: str) -> Response:
    return HTMLResponse(text, headers=_PAGE_HEADERS)


def _told(problem: Problem) -> dict[str, str | int]:
    return {"type": problem.type, **asdict(problem)}


def _escaped(problem: Problem) -> dict[str, str]:
    return {name: html.escape(str(value)) for name, value in asdict(problem).items()}


def _row(problem: Problem) -> str:
    link = f'<a href="{problem.type}"><code>{problem.code}</code></a>'
    title = html.escape(problem.title)
    return f"<tr><td>{problem.status}</td><td>{link}</td><td>{title}</td></tr>"


def _lines(rows: Iterable[str]) -> str:
    return "\n".join(rows)


def openapi_text(app: FastAPI) -> str:
    """Return the OpenAPI document as it is committed: sorted, two spaces, one LF."""
    return json.dumps(app.openapi(), indent=2, sort_keys=True, ensure_ascii=False) + (
        "\n"
    )
