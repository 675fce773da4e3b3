# SPDX-License-Identifier: Apache-2.0
"""What every test shares: how properties are tried, and which attacks are run."""

import os

import pytest
from hypothesis import HealthCheck, settings

# No deadline: a busy machine is no counterexample. In CI the same examples each time,
# so that a failure there is a change's and not a die's; elsewhere new ones.
settings.register_profile(
    "dev", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50
)
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True)
settings.register_profile("nightly", settings.get_profile("dev"), max_examples=1_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--attack", default="", help="run the tests of one attack only, such as A4"
    )


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    if wanted := config.getoption("--attack"):
        others = [
            item
            for item in items
            if wanted not in {mark.args[0] for mark in item.iter_markers("attack")}
        ]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]
