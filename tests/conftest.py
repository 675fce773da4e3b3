# SPDX-License-Identifier: Apache-2.0
"""What every test shares: how properties are tried."""

import os

from hypothesis import HealthCheck, settings

# No deadline: a busy machine is no counterexample. In CI the same examples each time,
# so that a failure there is a change's and not a die's; elsewhere new ones.
settings.register_profile(
    "dev", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50
)
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True)
settings.register_profile("nightly", settings.get_profile("dev"), max_examples=1_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
