# SPDX-License-Identifier: Apache-2.0
"""A request with an idempotency key: the first answer again, no second effect.

The answer is stored in the transaction of the effect. In a batch each item is
remembered by itself, so that a repetition after a crash finishes what is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from services.chassis.auth import Principal
from services.chassis.database import Tx
from services.chassis.idempotency import IdempotencyStore, KeyScope, Stored
from services.vault.records.values import Written

Render = Callable[[Written], Stored]


@dataclass(frozen=True, slots=True)
class Once:
    """One operation under one key.

    Attributes:
        fingerprint: Keyed hash of the request's content.
        render: Makes the answer that is kept.
    """

    store: IdempotencyStore
    scope: KeyScope
    fingerprint: bytes
    render: Render

    def recall(self, tx: Tx) -> Written | None:
        """Return what was answered before, or None.

        Raises:
            IdempotencyMismatch: The key was used with other content.
        """
        stored = self.store.recall(tx, self.scope, self.fingerprint)
        return None if stored is None else Written("", 0, replayed=stored)

    def around(self, fn: Callable[[Tx], Written]) -> Callable[[Tx], Written]:
        """Return `fn` done at most once under this key.

        Raises:
            IdempotencyKeyInUse: Another process committed this key just now.
        """

        def guarded(tx: Tx) -> Written:
            before = self.recall(tx)
            if before is not None:
                return before
            written = fn(tx)
            self.store.remember(
                tx, self.scope, self.fingerprint, answer=self.render(written)
            )
            return written

        return guarded


@dataclass(frozen=True, slots=True)
class Keyed:
    """A caller's idempotency key at one route; None if it sent none."""

    store: IdempotencyStore
    principal: Principal
    route: str
    key: str | None

    def once(self, render: Render, content: Any, item: str = "") -> Once | None:
        """Return the operation under the key, or under its part for a batch's item.

        Args:
            render: Makes the answer to keep.
            content: The request's content as JSON values, by which a repetition is
                told from another request.
            item: The item's own name; empty for a whole request.
        """
        if self.key is None:
            return None
        scope = self.store.scope(
            party=self.principal.party,
            client=self.principal.id,
            route=self.route,
            key=f"{self.key}\n{item}" if item else self.key,
        )
        return Once(self.store, scope, self.store.fingerprint(content), render)
