# SPDX-License-Identifier: Apache-2.0
import pytest

from deploy.demo.dataset import Dataset, read_dataset


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return read_dataset()
