# SPDX-License-Identifier: Apache-2.0
"""Tries follow at once here; how long a pause would be is asked of the hook."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stamina


@pytest.fixture(autouse=True)
def at_once() -> Iterator[None]:
    with stamina.set_testing(True, attempts=5, cap=True):
        yield
