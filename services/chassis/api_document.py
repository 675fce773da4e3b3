# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document of a service: its routes, and the problems that each answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from contracts import problems
from contracts.problems import Problem
from services.chassis import declared
from services.chassis.auth import SCHEME_NAME, TOKEN_PATH, Requirement
from services.chassis.body import MERGE_PATCH, StrictRoute
from services.chassis.settings import ServiceSettings

PASTED_TOKEN: Final = "token"  # noqa: S105 - a scheme's name
"""The second security scheme: the same access token, got elsewhere."""

_PASTED: Final = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "The access token that `keyturn token` prints, for officers and "
    "for the pages of transfer and audit, which may not ask the vault themselves.",
}
DESCRIPTION: Final = """\
Routes with a lock need an access token of the vault: press Authorize and paste what
`keyturn token` prints, or give a client's id and secret on the vault's own page.

Errors are `application/problem+json`; the `type` of each is a page that says what to
do about it.
"""

_GUARDED: tuple[Problem, ...] = (
    problems.AUTHENTICATION_REQUIRED,
    problems.TOKEN_INVALID,
    problems.TOKEN_EXPIRED,
    problems.SCOPE_MISSING,
    problems.AUDIT_UNAVAILABLE,
    problems.BUSY,
    problems.SHUTTING_DOWN,
    problems.UPSTREAM_UNAVAILABLE,
)
_WITH_BODY: tuple[Problem, ...] = (
    problems.MALFORMED_JSON,
    problems.DUPLICATE_KEY,
    problems.BODY_TOO_LARGE,
    problems.MEDIA_TYPE,
    problems.VALIDATION,
)
_ALWAYS: tuple[Problem, ...] = (problems.BAD_REQUEST, problems.INTERNAL)


def documented(app: FastAPI, settings: ServiceSettings) -> Callable[[], dict[str, Any]]:
    """Return an `openapi` that documents problems where FastAPI has its own 422."""
    generate = app.openapi
    made: dict[int, dict[str, Any]] = {}

    def openapi() -> dict[str, Any]:
        document = generate()
        if id(document) not in made:
            made.clear()
            made[id(document)] = document
            _document_problems(document, settings, _routes(app))
        return document

    return openapi


def _routes(app: FastAPI) -> Mapping[str, StrictRoute]:
    """Return the routes of an application by their operation id."""
    return {
        str(context.unique_id): context.original_route
        for context in iter_route_contexts(app.routes)
        if isinstance(context.original_route, StrictRoute)
    }


def _document_problems(
    document: dict[str, Any],
    settings: ServiceSettings,
    routes: Mapping[str, StrictRoute],
) -> None:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = dict(declared.PROBLEM_SCHEMA)
    scheme = components.get("securitySchemes", {}).get(SCHEME_NAME)
    if scheme is not None:
        flow = scheme["flows"]["clientCredentials"]
        flow["tokenUrl"] = settings.vault_url + TOKEN_PATH
        components["securitySchemes"][PASTED_TOKEN] = dict(_PASTED)
    for item in document["paths"].values():
        for operation in item.values():
            _document_operation(operation, routes[operation["operationId"]])


def _document_operation(operation: dict[str, Any], route: StrictRoute) -> None:
    listed = list(_ALWAYS)
    calls: list[Any] = [one.call for one in route.dependant.dependencies]
    for call in calls:
        if isinstance(call, declared.Declared):
            listed += call.refusals
            stated = operation.setdefault("parameters", [])
            stated.extend(dict(parameter) for parameter in call.parameters)
    if operation.get("security"):
        _document_alternatives(operation, calls)
        listed += _GUARDED
        operation["security"].append({PASTED_TOKEN: []})
    if "requestBody" in operation:
        listed += _WITH_BODY
        _document_media_types(operation, route.media_types)
    parameters = operation.get("parameters", [])
    if parameters or not route.takes_any_query:
        listed.append(problems.VALIDATION)
    if any(parameter["in"] == "path" for parameter in parameters):
        listed.append(problems.NOT_FOUND)
    if any(parameter["name"] == "limit" for parameter in parameters):
        listed.append(problems.LIMIT_OUT_OF_RANGE)
    operation["responses"] = _answers(operation["responses"], listed)


def _document_alternatives(operation: dict[str, Any], calls: Sequence[Any]) -> None:
    """Give each scope that is enough alone an entry: one entry's are all needed."""
    for call in calls:
        if isinstance(call, Requirement) and call.one_of:
            operation["security"] = [
                {SCHEME_NAME: [scope.value]} for scope in sorted(call.needed)
            ]


def _document_media_types(operation: dict[str, Any], accepted: Sequence[str]) -> None:
    """Name every media type that a route's own body is taken in."""
    content = operation["requestBody"]["content"]
    for media_type in accepted[1:]:
        content[media_type] = content[accepted[0]]
    if MERGE_PATCH in accepted:
        row = declared.openapi_responses(problems.MEDIA_TYPE)[415]
        operation["responses"]["415"] = {**row, **declared.answered("Accept-Patch")}


def _answers(answers: dict[str, Any], listed: Sequence[Problem]) -> dict[str, Any]:
    """Return a route's own answers and those of `listed`, one row a status."""
    if "HTTPValidationError" in str(answers.get("422")):
        del answers["422"]
    for answer in answers.values():
        _describe_stream(answer)
    for status, row in declared.openapi_responses(*listed).items():
        known = answers.setdefault(str(status), row)
        codes = {*known["description"].split(", "), *row["description"].split(", ")}
        if declared.MEDIA_TYPE in known.get("content", {}):
            headers = {**known.get("headers", {}), **row.get("headers", {})}
            answers[str(status)] = {
                **known,
                "description": ", ".join(sorted(codes)),
                **({"headers": headers} if headers else {}),
            }
    return dict(sorted(answers.items()))


def _describe_stream(answer: dict[str, Any]) -> None:
    """Say in OpenAPI 3.1 what an event stream is; `itemSchema` came with 3.2."""
    media = answer.get("content", {}).get("text/event-stream")
    if media is not None and "itemSchema" in media:
        members = sorted(media.pop("itemSchema")["properties"])
        told = f"Server-sent events with {', '.join(members)}."
        media["schema"] = {"type": "string", "description": told}
