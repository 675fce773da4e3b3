# SPDX-License-Identifier: Apache-2.0
"""The search room on both databases."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.audit.search.library import Library, opened
from tests.worlds import DATABASES


@pytest.fixture(params=DATABASES)
async def library(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Library]:
    async with opened(request.param, tmp_path) as made:
        yield made
