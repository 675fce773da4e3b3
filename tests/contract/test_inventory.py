# SPDX-License-Identifier: Apache-2.0
"""What is mounted, what is documented and what is tested are one list (OWASP A9)."""

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts

from contracts.scopes import Scope
from services.chassis.auth import public_routes
from services.chassis.body import StrictRoute
from tests.contract.operations import SERVICES, operations, rows
from tests.contract.site import Site

COMMITTED = Path(__file__).parents[2] / "contracts" / "openapi"
PAGES = {
    "GET /docs",
    "GET /docs/{file}",
    "GET /openapi.json",
}
EVERYWHERE = PAGES | {
    "GET /",
    "GET /livez",
    "GET /problems",
    "GET /problems/{code}",
    "GET /readyz",
}
PUBLIC = {
    "vault": EVERYWHERE | {"GET /v1/installation", "GET /v1/jwks", "POST /v1/token"},
    "transfer": EVERYWHERE,
    "audit": EVERYWHERE
    | {"GET /checkpoint", "GET /tile/{level}/{place:path}"}
    | {"GET /v1/lanes/{lane}"},
}


def mounted(app: Any) -> set[str]:
    """Every method and path that is routed, as OpenAPI spells them."""
    return {
        f"{method} {context.path}"
        for context in iter_route_contexts(app.routes)
        for method in context.methods or {"?"}
    }


def listed(document: dict[str, Any]) -> set[str]:
    return {
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method in methods
    }


@pytest.mark.attack("A6")
@pytest.mark.parametrize("service", SERVICES)
def test_public_routes_are_exactly_these(site: Site, service: str) -> None:
    assert set(public_routes(site.apps[service])) == PUBLIC[service]


@pytest.mark.attack("A6")
@pytest.mark.parametrize("service", SERVICES)
def test_every_mounted_route_is_documented_and_nothing_else(
    site: Site, service: str
) -> None:
    app = site.apps[service]
    routed = {name.replace(":path}", "}") for name in mounted(app)}
    assert routed - PAGES == listed(app.openapi())
    for context in iter_route_contexts(app.routes):
        assert isinstance(context.original_route, StrictRoute), context.path


@pytest.mark.parametrize("service", SERVICES)
def test_the_committed_documents_list_the_same_operations(
    site: Site, service: str
) -> None:
    committed = json.loads((COMMITTED / f"{service}.json").read_text("utf-8"))
    assert listed(committed) == listed(site.apps[service].openapi())


@pytest.mark.attack("T10")
def test_every_operation_has_a_row_in_the_matrix(site: Site) -> None:
    assert {operation.name for operation in operations(site)} == set(rows())


@pytest.mark.attack("A6")
def test_an_operation_is_public_or_names_known_scopes(site: Site) -> None:
    for operation in operations(site):
        place = f"{operation.method} {operation.path}"
        if operation.scopes is None:
            spelt = {name.replace(":path}", "}") for name in PUBLIC[operation.service]}
            assert place in spelt
        else:
            assert operation.scopes, f"{place} takes any token"
            assert set(operation.scopes) <= {scope.value for scope in Scope}


def test_every_refusal_is_documented_as_a_problem(site: Site) -> None:
    for operation in operations(site):
        for status, answer in operation.item["responses"].items():
            if status >= "4" and (operation.item["operationId"], status) != (
                "readyz",
                "503",
            ):
                assert set(answer["content"]) == {"application/problem+json"}, (
                    operation.name,
                    status,
                )
