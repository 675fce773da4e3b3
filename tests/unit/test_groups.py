# SPDX-License-Identifier: Apache-2.0
"""Promise: tests on the one Kafka run one after the other (`--dist loadgroup`)."""

import os

import pytest


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="one process")
@pytest.mark.xdist_group("kept-together")
def test_a_group_reaches_the_scheduler(request: pytest.FixtureRequest) -> None:
    # The scheduler groups by this suffix, and by nothing else.
    assert request.node.nodeid.endswith("@kept-together")
