# SPDX-License-Identifier: Apache-2.0
"""`site`: one running installation for each file of tests, on each database."""

from collections.abc import Iterator

import pytest

from tests.contract.site import Site, opened
from tests.worlds import DATABASES


@pytest.fixture(scope="module", params=DATABASES)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    with opened(request.param, tmp_path_factory.mktemp("site")) as running:
        yield running
