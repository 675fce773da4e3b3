# SPDX-License-Identifier: Apache-2.0
"""Running installations, on each database.

`site` is shared by every test that leaves nothing behind; `own_site` is a file's own.
"""

from collections.abc import Iterator

import pytest

from tests.contract.site import Site, opened
from tests.worlds import DATABASES


@pytest.fixture(scope="session", params=DATABASES)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    with opened(request.param, tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture(scope="module", params=DATABASES)
def own_site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    with opened(request.param, tmp_path_factory.mktemp("site")) as running:
        yield running
