# SPDX-License-Identifier: Apache-2.0
"""The documentation pages, complete without internet and under a strict policy.

Swagger UI comes from the files of the `flask-swagger-ui` wheel (Flask itself is not
needed), started by a script file of ours: no inline script, no foreign host.
Every problem type has a page at the address that answers name as their `type`.
"""

from __future__ import annotations

import html
import json
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
from services.chassis.body import StrictRouter, Text
from services.chassis.headers import DOCS_CSP

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
    router = StrictRouter(include_in_schema=False, dependencies=[guard])
    files = page_files()
    frame = Template((_OWN / "swagger.html").read_text(encoding="utf-8"))
    page = frame.substitute(title=html.escape(app.title))

    @router.get("/docs")
    async def docs_page() -> Response:
        return HTMLResponse(page, headers=_PAGE_HEADERS)

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


def problems_router(*, guard: Any) -> StrictRouter:
    """Return the route /problems/{code}: what a refusal means and what to do.

    Args:
        guard: Dependency of the route, `auth.public()` or `auth.require()`.
    """
    router = StrictRouter(tags=["problems"], dependencies=[guard])
    template = Template((_OWN / "problem.html").read_text(encoding="utf-8"))

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
        if "text/html" in request.headers.get("accept", ""):
            return _as_page(template, problem)
        return {"type": problem.type, **asdict(problem)}

    return router


def _as_page(template: Template, problem: Problem) -> Response:
    values = {name: html.escape(str(value)) for name, value in asdict(problem).items()}
    return HTMLResponse(template.substitute(values), headers=_PAGE_HEADERS)


def openapi_text(app: FastAPI) -> str:
    """Return the OpenAPI document as it is committed: sorted, two spaces, one LF."""
    return json.dumps(app.openapi(), indent=2, sort_keys=True, ensure_ascii=False) + (
        "\n"
    )
