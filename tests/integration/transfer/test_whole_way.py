# SPDX-License-Identifier: Apache-2.0
"""A handover walks from draft to seller_restricted, over HTTP on both sides."""

from tests.integration.transfer.house import Running


async def test_a_handover_walks_its_whole_way_and_everything_adds_up(
    running: Running,
) -> None:
    handover = await running.to("seller_restricted")
    view = await running.view(handover)
    assert view["waiting_for"] == []
    assert view["progress"]["batches"] == 4
    assert view["progress"]["verified"] == 4
    assert view["progress"]["folios"] == 13
    assert running.house.vault.turns[handover] == 1

    report = (await running.get(handover, "/report")).json()
    assert report["inventory"] == {
        "basic": {"transfer": 7, "excluded": 2, "inventory": 9},
        "purchases": {"transfer": 6, "held": 1, "inventory": 7},
    }
    assert report["turned_counts"] == report["frozen_counts"]
    assert report["backup"]["drill"] == "passed"
    assert "destroying" in report["gates_not_built"]
    kinds = [signature["kind"] for signature in report["signatures"]]
    assert kinds.count("approval") == 4
    assert kinds.count("release") == 2

    history = (await running.get(handover, "/history", role="BC")).json()["items"]
    assert [step["step"] for step in history] == list(range(1, len(history) + 1))
    assert history[-1]["to_state"] == "seller_restricted"
