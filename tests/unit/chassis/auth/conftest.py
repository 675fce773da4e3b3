# SPDX-License-Identifier: Apache-2.0
"""A clock that stands still."""

import pytest

from tests.fakes.clock import SettableClock


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()
