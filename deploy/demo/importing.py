# SPDX-License-Identifier: Apache-2.0
"""Sends a CRM's export to the vault, as a CRM would: over REST, in batches.

Reads the files of `crm/`, never the data set behind them. Several batches are under
way at a time; one that the vault is too busy for is sent again, which changes
nothing where it had arrived, because records are known by their external id.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from services.cli.http import Refused, checked

BATCH_ITEMS: Final = 100  # the API's own limit
BATCH_BYTES: Final = 700_000  # below the API's MiB, with room for the frame
IN_FLIGHT: Final = 3
ATTEMPTS: Final = 8
TIMEOUT_SECONDS: Final = 60.0
BUSY: Final = httpx.codes.SERVICE_UNAVAILABLE


class ImportFailed(Exception):  # noqa: N818 - it names what happened
    """The vault refused a customer of the export."""


@dataclass(slots=True)
class Imported:
    """What arrived.

    Attributes:
        records: The vault's record id by the CRM's external id.
    """

    records: dict[str, str] = field(default_factory=dict)
    batches: int = 0
    entries: int = 0


def customers(crm: Path, people: str, bought: str | None) -> Iterator[dict[str, Any]]:
    """Yield batch items of an export: a customer with its purchases.

    Args:
        crm: The folder of the export.
        people: Name of the customers' file, without its suffix.
        bought: Name of the purchases' file, in the same order, or None.
    """
    rows = iter(()) if bought is None else _lines(crm / f"{bought}.ndjson")
    groups = itertools.groupby(rows, key=lambda row: row.pop("external_id"))
    ahead = next(groups, None)
    for customer in _lines(crm / f"{people}.ndjson"):
        record = customer["record"]
        number = record["external_id"]
        if ahead is not None and ahead[0] == number:
            record["entries"] = {"purchases": list(ahead[1])}
            ahead = next(groups, None)
        yield {
            "ref": number,
            "record": record,
            "consents": customer["consents"],
            "objections": customer["objections"],
        }
    if ahead is not None:
        raise ImportFailed("the export has purchases of nobody, or is out of order")


def batches(items: Iterator[dict[str, Any]]) -> Iterator[tuple[bytes, int, int]]:
    """Yield bodies of `POST /v1/records:batch` with their items and entries."""
    parts: list[bytes] = []
    size = entries = 0
    for item in items:
        part = json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode()
        if parts and (len(parts) == BATCH_ITEMS or size + len(part) > BATCH_BYTES):
            yield _body(parts), len(parts), entries
            parts, size, entries = [], 0, 0
        parts.append(part)
        size += len(part) + 1
        bought = item["record"].get("entries", {})
        entries += sum(len(rows) for rows in bought.values())
    if parts:
        yield _body(parts), len(parts), entries


def import_customers(
    vault_url: str,
    login: httpx.Auth,
    items: Iterator[dict[str, Any]],
    on_progress: Callable[[int], None],
) -> Imported:
    """Send every customer; return their record ids.

    Args:
        vault_url: Base URL of the vault.
        login: The CRM's.
        items: From `customers`.
        on_progress: Called with the number of customers that arrived.

    Raises:
        ImportFailed: The vault refused one; which, by its number in the CRM.
    """
    sending = _Sending(vault_url, login, batches(items), on_progress)
    return asyncio.run(sending.run())


class _Sending:
    def __init__(
        self,
        vault_url: str,
        login: httpx.Auth,
        bodies: Iterator[tuple[bytes, int, int]],
        on_progress: Callable[[int], None],
    ) -> None:
        self._url = vault_url
        self._login = login
        self._bodies = bodies
        self._on_progress = on_progress
        self._done = Imported()

    async def run(self) -> Imported:
        async with httpx.AsyncClient(
            base_url=self._url,
            auth=self._login,
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
        ) as http:
            lines = [asyncio.create_task(self._line(http)) for _ in range(IN_FLIGHT)]
            try:
                await asyncio.gather(*lines)
            finally:
                for line in lines:
                    line.cancel()
        return self._done

    async def _line(self, http: httpx.AsyncClient) -> None:
        # The iterator is shared: each line takes the next body when it is free.
        for body, count, entries in self._bodies:
            await self._send(http, body)
            self._done.batches += 1
            self._done.entries += entries
            self._on_progress(count)

    async def _send(self, http: httpx.AsyncClient, body: bytes) -> None:
        answer = await _post(http, body)
        for attempt in range(ATTEMPTS):
            if answer.status_code != BUSY:
                break
            await asyncio.sleep(0.2 * 2**attempt)
            answer = await _post(http, body)
        try:
            results = checked(answer).json()["items"]
        except Refused as refused:
            raise ImportFailed(f"a batch was refused: {refused}") from refused
        for result in results:
            if result["problem"] is not None:
                problem = json.dumps(result["problem"])
                raise ImportFailed(f"customer {result['ref']}: {problem}")
            self._done.records[result["ref"]] = result["id"]


async def _post(http: httpx.AsyncClient, body: bytes) -> httpx.Response:
    headers = {"Content-Type": "application/json"}
    return await http.post("/v1/records:batch", content=body, headers=headers)


def _body(parts: list[bytes]) -> bytes:
    return b'{"all_or_none":false,"items":[' + b",".join(parts) + b"]}"


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
