# SPDX-License-Identifier: Apache-2.0
"""What every test shares: who may run beside whom when tests run in parallel."""

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep tests on the one real Kafka in one process: they empty its topics."""
    for item in items:
        if item.get_closest_marker("kafka") is not None:
            item.add_marker(pytest.mark.xdist_group("kafka"))
