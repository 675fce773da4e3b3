# SPDX-License-Identifier: Apache-2.0
"""A source's party heads over HTTP: for audit any party's, for a party its own.

Shows numbers of events and ids of lanes, nothing of what the events say.
"""
# Annotations are evaluated here: FastAPI reads them.

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel

from contracts import base64text
from contracts.scopes import Scope
from services.chassis.auth import Principal, require
from services.chassis.body import SAFE_INT, Digits, StrictRouter, Text
from services.chassis.party_heads import PartyHeadSigner

_DIGEST = "sha256:"

Party = Annotated[str, Query(), Text(64, pattern=r"^[a-z0-9-]{1,64}$")]
Size = Annotated[
    int,
    Query(ge=0, le=SAFE_INT, description="Leaves of a checkpoint that you saw."),
    Digits,
]
Root = Annotated[
    str,
    Query(
        description="Its root, `sha256:<hex>`. It goes into the statement as it is, "
        "and shows that the statement is younger than that checkpoint."
    ),
    Text(71, pattern=r"^sha256:[0-9a-f]{64}$"),
]


class PartyHeadsOut(BaseModel):
    """A signed statement of party heads.

    Attributes:
        statement: The signed text: `keyturn-party-heads/1` and what follows.
        signature: The source's Ed25519 signature of it, base64.
    """

    statement: str
    signature: str


def router(signer: PartyHeadSigner) -> StrictRouter:
    """Return the routes /v1/outbox/party-heads and /v1/party-heads."""
    api = StrictRouter(tags=["outbox"])

    @api.get(
        "/v1/outbox/party-heads",
        dependencies=[require(Scope.OUTBOX_READ)],
        summary="How far this source's lanes go for a party, signed",
    )
    async def read_party_heads(party: Party, size: Size, root: Root) -> PartyHeadsOut:
        return await _signed(signer, party, size, root)

    @api.get(
        "/v1/party-heads",
        summary="How far this source's lanes go for the caller's party, signed",
        description="Put into the folder of an export, it shows that the export "
        "leaves out nothing of this source: `keyturn verify --party`.",
    )
    async def read_own_party_heads(
        size: Size,
        root: Root,
        principal: Annotated[Principal, require(Scope.AUDIT_EXPORT)],
    ) -> PartyHeadsOut:
        return await _signed(signer, principal.party, size, root)

    return api


async def _signed(
    signer: PartyHeadSigner, party: str, size: int, root: str
) -> PartyHeadsOut:
    made = await signer.sign(party, size, bytes.fromhex(root.removeprefix(_DIGEST)))
    return PartyHeadsOut(
        statement=made.heads.message().decode(),
        signature=base64text.encode(made.signature),
    )
