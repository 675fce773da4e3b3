# SPDX-License-Identifier: Apache-2.0
"""One installation for all tests of the client in a world: it takes long to start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.client.standing import Standing, standing
from tests.worlds import ON_KAFKA, ON_POSTGRES

WORLDS = [
    pytest.param("embedded", id="embedded", marks=pytest.mark.xdist_group("client")),
    pytest.param("scaled", id="scaled", marks=[*ON_POSTGRES, *ON_KAFKA]),
]


@pytest.fixture(scope="session", params=WORLDS)
def stands(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Standing]:
    with standing(request.param, tmp_path_factory.mktemp("client")) as up:
        yield up
