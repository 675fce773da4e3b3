# SPDX-License-Identifier: Apache-2.0
"""A6: without a token nothing answers but the named routes, however it is addressed."""

from __future__ import annotations

import pytest

from contracts.problems import PROBLEMS
from tests.contract.conftest import site
from tests.contract.operations import NO_ID, SERVICES, operations
from tests.contract.site import Site
from tests.contract.test_inventory import PUBLIC

__all__ = ["site"]
pytestmark = pytest.mark.attack("A6")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY")
SPELLINGS = (
    *("{}", "{}/", "/{}", "//{}", "{}//", "{}?", "{};a=b", "{}%2f", "{}%00", "{}.json"),
    *("/v1/..{}", "/livez/..{}", "/docs/..{}", "/problems/../{}", "/%2e{}"),
)
OUTSIDE = (
    *("/admin", "/debug", "/.env", "/.git/config", "/redoc", "/docs/oauth2-redirect"),
    *("/v2/records", "/v1/", "/v1/internal", "/static/x", "/favicon.ico", "/server"),
    *("/docs/../app.py", "/docs/%2e%2e/app.py", "/docs/..%2fapp.py"),
)


@pytest.mark.parametrize("service", SERVICES)
def test_a6_no_method_and_no_spelling_opens_a_guarded_address(
    site: Site, service: str
) -> None:
    tried, open_ = 0, []
    for operation in operations(site):
        if operation.service != service or operation.scopes is None:
            continue
        names = operation.parameters("path")
        path = operation.path.format_map({p["name"]: NO_ID for p in names})
        for spelling in SPELLINGS:
            for method in METHODS:
                answer = site.call(service, method, spelling.format(path))
                tried += 1
                if answer.is_success and not _is_public(
                    service, method, answer.url.path
                ):
                    open_.append((method, spelling, operation.path))
    assert tried > 1_000
    assert not open_, open_[:10]


@pytest.mark.parametrize("service", SERVICES)
def test_a6_addresses_that_nobody_named_answer_nothing(
    site: Site, service: str
) -> None:
    for path in OUTSIDE:
        for method in METHODS:
            answer = site.call(service, method, path)
            assert not answer.is_success, (method, path)
            if method != "HEAD":
                assert answer.json()["code"] in PROBLEMS, (method, path)


def _is_public(service: str, method: str, path: str) -> bool:
    """Whether a spelling came out as a public route, such as `/livez`."""
    method = "GET" if method in {"HEAD", "OPTIONS"} else method
    return f"{method} {path.rstrip('/') or '/'}" in PUBLIC[service]
