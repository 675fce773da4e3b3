# SPDX-License-Identifier: Apache-2.0
"""A handover as the mandate room leaves it in the tables, step by step.

Rows are written here directly, so that what records and custody make of each state is
tested apart from the room that brings it about. Keys are really re-wrapped.
"""

from dataclasses import dataclass, field

from sqlalchemy import insert, select, update

from services.chassis.clock import milliseconds, random_bytes, uuid7
from services.chassis.database import Lock, LockKind, Tx
from services.vault.catalogue import IDENTITY
from services.vault.custody import draw_alias, held_folios
from services.vault.custody.tables import (
    custody,
    decision,
    folio,
    index_entry,
    record,
    scope,
    turn,
)
from services.vault.keys.sealing import unwrap_key, wrap_context, wrap_key
from services.vault.parties import bump_epoch
from tests.integration.vault.records.shop import Shop


@dataclass
class Handover:
    """One handover from seller to buyer."""

    shop: Shop
    id: str = field(default_factory=lambda: str(uuid7()))
    new_ids: dict[str, str] = field(default_factory=dict)

    async def freeze(self, state: str = "deciding") -> None:
        def write(tx: Tx) -> None:
            tx.execute(
                insert(turn).values(
                    handover=self.id, seller="seller", buyer="buyer", state="open"
                )
            )
            tx.execute(
                insert(scope).values(
                    party="seller",
                    handover=self.id,
                    state=state,
                    snapshot=str(uuid7()),
                    frozen_at=milliseconds(tx.now),
                    expires_at=milliseconds(tx.now) + 86_400_000,
                    as_of="2026-03-02",
                    plan_hash="sha256:" + "0" * 64,
                    cursor="",
                    folios=0,
                    summary="",
                    decision_root="",
                    secret_sealed=b"",
                )
            )
            bump_epoch(tx, "seller")

        await self._write(write)
        self.shop.vault.house.clock.advance(1)

    async def decide(
        self, *records: str, outcomes: dict[str, str] | None = None
    ) -> None:
        """Write the decision's rows of `records`; `outcomes` by class."""
        outcomes = outcomes or {}

        def write(tx: Tx) -> None:
            position = 0
            for one in sorted(records):
                self.new_ids.setdefault(one, str(uuid7()))
                for held in held_folios(tx.connection, "seller", one):
                    tx.execute(
                        insert(decision).values(
                            {
                                "handover": self.id,
                                "position": position,
                                "record": one,
                                "new_record": self.new_ids[one],
                                "class": held.place.class_,
                                "volume": held.place.volume,
                                "version": held.version,
                                "outcome": outcomes.get(held.place.class_, "transfer"),
                                "rule": "r",
                                "reason": "eligible",
                                "dropped": "",
                            }
                        )
                    )
                    position += 1
            tx.execute(
                update(scope).where(scope.c.handover == self.id).values(state="decided")
            )

        await self._write(write)

    async def execute(self) -> None:
        """Create pending custody for every row that moves and was not dropped."""
        keyring = self.shop.vault.rooms.keyring
        classes = ["basic", "habits", "purchases", IDENTITY]
        buyer = await keyring.of("buyer", creating=classes)
        seller = await keyring.of("seller")

        def write(tx: Tx) -> None:
            rows = tx.execute(
                select(decision).where(
                    decision.c.handover == self.id,
                    decision.c.dropped == "",
                    decision.c.outcome == "transfer",
                )
            ).all()
            for new in sorted({row.new_record for row in rows}):
                tx.execute(
                    insert(record).values(
                        party="buyer",
                        arrived_by=self.id,
                        id=new,
                        external_id_sealed=None,
                        origin_external_id_sealed=None,
                        identity_key_version=1,
                        etag=1,
                        created_at=0,
                        updated_at=0,
                    )
                )
                draw_alias(tx, "buyer", new)
                tx.execute(
                    insert(index_entry).values(
                        party="buyer",
                        field="email",
                        value=random_bytes(16),
                        arrived_by=self.id,
                        unique_slot="",
                        record=new,
                    )
                )
            for row in rows:
                self._move(tx, row, seller, buyer)

        await self._write(write)

    def _move(self, tx: Tx, row: object, seller: object, buyer: object) -> None:
        values = row._mapping
        place = (values["class"], values["volume"])
        held = next(
            h
            for h in held_folios(tx.connection, "seller", values["record"])
            if (h.place.class_, h.place.volume) == place
        )
        data_key = unwrap_key(
            seller.version(held.place.class_, held.key_version),
            held.wrap,
            wrap_context(*held.place, held.version, held.key_version),
        )
        key = buyer.primary(held.place.class_)
        own = {
            "party": "buyer",
            "record": values["new_record"],
            "class": place[0],
            "volume": place[1],
        }
        context = wrap_context(*own.values(), held.version, key.version)
        tx.execute(
            insert(custody).values(
                {
                    **own,
                    "version": held.version,
                    "key_version": key.version,
                    "wrap": wrap_key(key.key, data_key, context, random_bytes(24)),
                    "terms": (
                        '{"basis":"contract","purposes":["customer_service"],'
                        '"denied_purposes":["advertising"],"retention":null}'
                    ),
                    "arrived_by": self.id,
                    "left_by": "",
                    "destroyed_at": None,
                }
            )
        )
        tx.execute(
            insert(folio).values(
                {
                    **own,
                    "current_version": held.version,
                    "basis": held.basis,
                    "last_activity": held.last_activity,
                    "retention": held.retention,
                    "tags": "[]",
                    "entries": held.entries,
                    "bytes": 0,
                }
            )
        )
        tx.execute(
            update(custody)
            .where(
                custody.c.party == "seller",
                custody.c.record == values["record"],
                custody.c["class"] == place[0],
                custody.c.volume == place[1],
            )
            .values(left_by=self.id)
        )

    async def turn(self) -> None:
        """Flip the one row."""

        def write(tx: Tx) -> None:
            tx.execute(
                update(turn)
                .where(turn.c.handover == self.id)
                .values(state="turned", turned_at=milliseconds(tx.now))
            )
            tx.execute(
                update(scope).where(scope.c.handover == self.id).values(state="turned")
            )
            bump_epoch(tx, "seller")
            bump_epoch(tx, "buyer")

        await self._write(write)

    async def rows(self, column: object) -> list[object]:
        """Return one column of this handover's decision, by position."""
        return await self.shop.vault.rooms.changes.read(
            lambda c: list(
                c.execute(
                    select(column)
                    .where(decision.c.handover == self.id)
                    .order_by(decision.c.position)
                ).scalars()
            )
        )

    async def _write(self, fn: object) -> None:
        locks = [Lock(LockKind.PARTY, party) for party in ("buyer", "seller")]
        await self.shop.vault.rooms.changes.write(fn, locks)


async def handed_over(shop: Shop, *records: str) -> Handover:
    """Return a handover of `records` that has turned."""
    handover = Handover(shop)
    await handover.freeze()
    await handover.decide(*records)
    await handover.execute()
    await handover.turn()
    return handover
