# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path
from typing import Any

import pytest

from deploy.demo.crm import Scenario, buyer_customers, late_customer, seller_customers
from deploy.demo.dataset import Dataset
from deploy.demo.export import MIN_NEEDLE_BYTES, needles_of, write_export

SMALL = Scenario(limit=60)


def _files(directory: Path) -> dict[str, bytes]:
    found = (p for p in directory.rglob("*") if p.is_file())
    return {str(p.relative_to(directory)): p.read_bytes() for p in found}


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_the_same_scenario_writes_the_same_bytes(
    dataset: Dataset, tmp_path: Path
) -> None:
    first = write_export(tmp_path / "a", dataset, SMALL)
    second = write_export(tmp_path / "b", dataset, SMALL)
    assert first == second
    assert _files(tmp_path / "a") == _files(tmp_path / "b")
    other = write_export(tmp_path / "c", dataset, Scenario(limit=60, seed=5))
    assert other.customers == first.customers
    assert _files(tmp_path / "c") != _files(tmp_path / "a")


def test_the_files_hold_what_the_functions_yield(
    dataset: Dataset, tmp_path: Path
) -> None:
    summary = write_export(tmp_path, dataset, SMALL)
    people = _lines(tmp_path / "crm" / "customers.ndjson")
    bought = _lines(tmp_path / "crm" / "purchases.ndjson")
    assert (summary.customers, summary.purchases) == (len(people), len(bought))
    by_customer: dict[str, list[dict[str, Any]]] = {}
    for row in bought:
        by_customer.setdefault(row.pop("external_id"), []).append(row)
    for line in people:
        if rows := by_customer.get(line["record"]["external_id"]):
            line["record"]["entries"] = {"purchases": rows}
    assert people == list(seller_customers(dataset, SMALL))


def test_every_contact_that_goes_in_is_a_needle(
    dataset: Dataset, tmp_path: Path
) -> None:
    summary = write_export(tmp_path, dataset, SMALL)
    needles = (tmp_path / "needles.txt").read_text("utf-8").splitlines()
    assert summary.needles == len(needles) == len(set(needles))
    assert min(len(n.encode()) for n in needles) >= MIN_NEEDLE_BYTES
    everybody = [
        *seller_customers(dataset, SMALL),
        *buyer_customers(dataset, SMALL),
        late_customer(SMALL),
    ]
    for customer in everybody:
        basic = customer["record"]["documents"]["basic"]
        for name in ("name", "phone", "email", "address"):
            assert basic[name] in needles
        assert str(basic["phone"]).removeprefix("+") in needles


def test_a_needle_too_short_to_mean_anything_is_refused() -> None:
    customer = late_customer(SMALL)
    customer["record"]["documents"]["basic"]["name"] = "Li"
    with pytest.raises(ValueError, match="shorter"):
        list(needles_of(customer))


def test_the_readme_states_the_provenance(dataset: Dataset, tmp_path: Path) -> None:
    write_export(tmp_path, dataset, SMALL)
    readme = (tmp_path / "crm" / "README.txt").read_text("utf-8")
    assert (
        "published household purchases, provenance as stated by the package" in readme
    )
    assert dataset.source in readme
    for name in _files(tmp_path / "crm"):
        assert name == "README.txt" or name in readme
