# SPDX-License-Identifier: Apache-2.0
"""Promise: a backup restores, and a decision's rows reach whoever is entitled."""

import hashlib
import json

from contracts import base64text
from contracts.custody.decision import (
    DecisionRow,
    DisclosedRow,
    parse_summary,
    recompute_group,
    summary_bytes,
)
from contracts.events.envelope import canonical_json
from services.vault.mandate import backups
from tests.integration.vault.mandate.deal import Deal
from tests.integration.vault.records.shop import JANE, Crm, person


async def test_the_backup_restores_and_a_damaged_one_is_found(deal: Deal) -> None:
    for number in range(5):
        await deal.consent(await deal.shop.seller.create(person(number)))
    await deal.shop.seller.create(JANE)
    early = await deal.transfer.send("POST", f"{deal.path}/backup")
    assert early.status_code == 404
    await deal.decided()
    answer = await deal.transfer.send("POST", f"{deal.path}/backup")
    assert answer.status_code == 202, answer.text
    await deal.room.settled()
    backup = (await deal.status())["backup"]
    folder = deal.vault.house.settings.state_dir / "backups"
    file = folder / f"{deal.handover}.ndjson"
    raw = file.read_bytes()
    assert backup == {
        "state": "passed",
        "digest": "sha256:" + hashlib.sha256(raw).hexdigest(),
        "folios": 8,
        "drill": "passed",
    }
    assert [p.name for p in folder.iterdir()] == [file.name]
    assert b"Quillfeather" not in raw
    assert file.stat().st_mode & 0o077 == 0
    (made,) = await deal.vault.events("backup.made")
    assert made.data["drill"] == "passed"
    # The drill is able to fail: one wrap altered, one folio lost.
    rows = [json.loads(line) for line in raw.splitlines()]
    wrap = base64text.decode(rows[3]["custody"]["wrap"])
    altered = base64text.encode(wrap[:-1] + bytes([wrap[-1] ^ 1]))
    wrong = {**rows[3], "custody": {**rows[3]["custody"], "wrap": altered}}
    digest = hashlib.sha256(b"".join(backups.row_bytes(r) for r in rows[1:-1]))
    for lines, passes in (
        (rows, True),
        ([*rows[:3], wrong, *rows[4:]], False),
        ([*rows[:3], *rows[4:]], False),
    ):
        content = b"".join(canonical_json(row) + b"\n" for row in lines)
        file.write_bytes(content)
        whole = "sha256:" + hashlib.sha256(content).hexdigest()
        claimed = backups.Written(file, whole, 8, digest.hexdigest())
        assert backups._drill(claimed, bytes(32)) is passes
    file.write_bytes(raw + b"{}\n")
    assert not backups._drill(
        backups.Written(file, backup["digest"], 8, digest.hexdigest()), bytes(32)
    )


async def test_rows_go_to_the_seller_and_after_the_turn_to_the_buyer(
    deal: Deal,
) -> None:
    jane = await deal.shop.seller.create(JANE)
    await deal.consent(jane)
    lost = await deal.shop.seller.create(person(1))
    await deal.consent(lost)
    await deal.shop.seller.create(person(2))
    owner = Crm(deal.vault, await deal.vault.as_officer(deal.people.SO))
    buyer = Crm(deal.vault, await deal.vault.as_officer(deal.people.BO))
    await deal.decided()
    await deal.object(lost)
    assert (await deal.get("/decision/rows", deal.transfer)).status_code == 404
    assert (await deal.get("/decision/rows", buyer)).status_code == 409
    shown = (await deal.get("/decision/rows?limit=2", owner)).json()
    assert shown["has_more"]
    rest = (
        await deal.get(f"/decision/rows?cursor={shown['next_cursor']}", owner)
    ).json()
    rows = [*shown["items"], *rest["items"]]
    assert [row["position"] for row in rows] == [0, 1, 2, 3, 4]
    assert [row.get("dropped") for row in rows if row["record"] == lost] == ["objected"]
    await deal.mandate()
    for batch in await deal.batches():
        await deal.execute(batch)
        await deal.verify(batch)
    assert (await deal.turn()).status_code == 200
    seen = (await deal.get("/decision/rows", buyer)).json()["items"]
    assert len(seen) == 4
    assert [row for row in seen if "record" not in row] == [
        {
            "position": row["position"],
            "class": "basic",
            "outcome": "transfer",
            "reason": "eligible",
            "leaf": row["leaf"],
        }
        for row in rows
        if row["record"] == lost
    ]
    # What the buyer sees recomputes counts and roots that its officers signed.
    decision = (await deal.get("/decision", buyer)).json()
    summary = parse_summary(canonical_json(decision["counts"]))
    assert (
        "sha256:" + hashlib.sha256(summary_bytes(summary)).hexdigest()
        == decision["decision_root"]
    )
    for class_ in ("basic", "habits", "purchases"):
        key = (class_, "transfer", "eligible")
        items = [_item(row) for row in seen if row["class"] == class_]
        assert recompute_group(key, items) == summary.group(key)


def _item(row: dict[str, str]) -> DisclosedRow | bytes:
    if "record" not in row:
        return bytes.fromhex(row["leaf"])
    return DisclosedRow(
        DecisionRow(
            int(row["position"]),
            row["record"],
            row["new_record"],
            row["class"],
            row["volume"],
            row["version"],
            row["outcome"],
            row["rule"],
            row["reason"],
        ),
        base64text.decode(row["salt"]),
    )
