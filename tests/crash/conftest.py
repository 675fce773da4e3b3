# SPDX-License-Identifier: Apache-2.0
"""`template`: an enrolled installation that each test gets a copy of."""

import pytest

from tests.crash.installation import Template
from tests.crash.installation import template as made_template


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return made_template(tmp_path_factory.mktemp("template"))
