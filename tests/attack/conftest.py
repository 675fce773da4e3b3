# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the attacks: the real vault of the integration tests."""

from tests.integration.vault.conftest import bare_house, house
from tests.integration.vault.mandate.conftest import deal

__all__ = ["bare_house", "deal", "house"]
