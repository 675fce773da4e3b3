# SPDX-License-Identifier: Apache-2.0
"""A party's allow-list: the networks from which its tokens may be used.

Set on the vault's host alone. It travels in each token (`chassis.auth.origin`), so a
change holds for tokens that are issued from then on: ten minutes, by default, for all.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, insert, select
from sqlalchemy.engine import Connection

from services.chassis.auth.origin import Network, parse_networks
from services.chassis.database import Tx
from services.vault.parties.tables import network, party


def networks_of(connection: Connection, id_: str) -> tuple[Network, ...]:
    """Return a party's networks, sorted; none means that none were ever set."""
    rows = connection.execute(select(network.c.cidr).where(network.c.party == id_))
    return parse_networks(row.cidr for row in rows)


def replace_networks(tx: Tx, id_: str, networks: Sequence[Network]) -> None:
    """Put a party's networks in the place of those it had."""
    tx.execute(delete(network).where(network.c.party == id_))
    tx.execute(insert(network), [{"party": id_, "cidr": str(one)} for one in networks])


def parties_without(connection: Connection) -> list[str]:
    """Return the parties whose tokens may be used from anywhere unsaid, sorted."""
    listed = select(network.c.party)
    rows = connection.execute(
        select(party.c.id).where(party.c.id.not_in(listed)).order_by(party.c.id)
    )
    return [row.id for row in rows]
