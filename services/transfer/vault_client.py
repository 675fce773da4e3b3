# SPDX-License-Identifier: Apache-2.0
"""The vault's custody contract, over HTTP: bounded, typed, without redirects.

The only module of this service that speaks HTTP to another. Every custody call is
idempotent at the vault, so a call whose answer was lost is made again.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, TypeVar

import httpx
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from contracts import base64text
from contracts.custody.document import Counts
from contracts.problems import Refusal
from services.transfer.errors import VaultMalformed, VaultRefused, VaultUnavailable

TIMEOUT: Final = httpx.Timeout(30.0, connect=3.0, pool=10.0)
MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
PAGE: Final = 200
PLAN_TYPE: Final = "application/vnd.keyturn.plan.v1+json"
#: Not 500: what the vault finds broken is not mended by asking again.
_TRY_AGAIN: Final = frozenset({429, 502, 503, 504})


class Answer(BaseModel):
    """Base of the vault's answers: members may be added, never change meaning."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class OfficerEntry(Answer):
    """One key of one officer of a party.

    Attributes:
        role: owner, compliance, operator, reviewer or monitor.
        public_key: Ed25519, 32 bytes.
        revoked: It signs and opens nothing any more.
    """

    key_id: str
    person: str
    role: str
    use: Literal["sign", "login"]
    public_key: Annotated[bytes, BeforeValidator(base64text.decode)]
    revoked: bool


class _Officers(Answer):
    items: list[OfficerEntry]


class Batches(Answer):
    """How many batches there are and how far they are."""

    total: int = 0
    executed: int = 0
    verified: int = 0


class Backup(Answer):
    """The backup of a handover's scope.

    Attributes:
        state: none, running, passed or failed.
        drill: passed or failed, once the backup was restored and compared.
    """

    state: str = "none"
    digest: str | None = None
    folios: int | None = None
    drill: str | None = None


class Custody(Answer):
    """A handover as the vault sees it."""

    state: str
    plan_hash: str | None = None
    snapshot_id: str | None = None
    as_of: str | None = None
    folios: int | None = None
    decided: int | None = None
    decision_root: str | None = None
    dropped: dict[str, dict[str, int]] = Field(default_factory=dict)
    batches: Batches | None = None
    backup: Backup | None = None
    after_snapshot: dict[str, int] = Field(default_factory=dict)


class Decision(Answer):
    """The frozen decision: what both compliance officers release."""

    plan_hash: str
    snapshot_id: str
    as_of: str
    decision_root: str
    counts: dict[str, dict[str, dict[str, dict[str, Any]]]]
    folios: int


class BatchItem(Answer):
    """One slice of the decision."""

    n: int
    folios: int
    digest: str


class _BatchPage(Answer):
    items: list[BatchItem]
    next_cursor: str | None = None


class Executed(Answer):
    """The stored result of one executed batch."""

    n: int
    digest: str
    folios: int
    dropped: int = 0


class Verified(Answer):
    """A batch whose pending versions open under the buyer's key."""

    n: int
    folios: int


class Turned(Answer):
    """The turn happened; counts per class, outcome and reason, after drops."""

    turned_at: str | int
    counts: Counts


AnAnswer = TypeVar("AnAnswer", bound=Answer)
Envelope = Mapping[str, Any]


class VaultClient:
    """Calls the vault for handovers; owns no state beside its connections."""

    def __init__(self, http: httpx.AsyncClient, auth: httpx.Auth | None) -> None:
        """Keep the client.

        Args:
            http: With the vault's base URL; its redirects and timeouts are not used.
            auth: This service's token, or None where a test needs none.
        """
        self._http = http
        self._auth = auth

    async def officers(self, party: str) -> list[OfficerEntry]:
        """Return every key of a party's officers, revoked ones too."""
        answer = await self._call(_Officers, "GET", f"/v1/parties/{party}/officers")
        return answer.items

    async def custody(self, handover: str) -> Custody | None:
        """Return the vault's view of a handover; None if it never got a plan."""
        try:
            return await self._call(Custody, "GET", f"/v1/custody/{handover}")
        except VaultRefused as refused:
            if refused.status == httpx.codes.NOT_FOUND:
                return None
            raise

    async def lodge_plan(self, handover: str, plan: bytes) -> str:
        """Upload the exact plan bytes; return the hash the vault computed."""
        answer = await self._send(
            "PUT",
            f"/v1/custody/{handover}/plan",
            content=plan,
            headers={"content-type": PLAN_TYPE},
        )
        found = answer.get("plan_hash")
        if not isinstance(found, str):
            raise VaultMalformed
        return found

    async def freeze(self, handover: str, approvals: Sequence[Envelope]) -> None:
        """Ask for the snapshot; the decision is polled by `custody`."""
        await self._send(
            "POST",
            f"/v1/custody/{handover}/snapshot",
            body={"approvals": list(approvals)},
        )

    async def decision(self, handover: str) -> Decision:
        """Return the frozen decision's counts and roots."""
        return await self._call(Decision, "GET", f"/v1/custody/{handover}/decision")

    async def back_up(self, handover: str) -> None:
        """Ask for backup and drill; the result is polled by `custody`."""
        await self._send("POST", f"/v1/custody/{handover}/backup")

    async def mandate(
        self,
        handover: str,
        approvals: Sequence[Envelope],
        releases: Sequence[Envelope],
    ) -> None:
        """Hand in the six signatures; the vault checks each by itself."""
        await self._send(
            "PUT",
            f"/v1/custody/{handover}/mandate",
            body={"approvals": list(approvals), "releases": list(releases)},
        )

    async def batches(self, handover: str) -> AsyncIterator[list[BatchItem]]:
        """Yield the pages of the handover's batches, in order."""
        cursor: str | None = None
        while True:
            query: dict[str, str | int] = {"limit": PAGE}
            if cursor is not None:
                query["cursor"] = cursor
            page = await self._call(
                _BatchPage, "GET", f"/v1/custody/{handover}/batches", query=query
            )
            yield page.items
            cursor = page.next_cursor
            if not cursor:
                return

    async def execute(self, handover: str, n: int, digest: str) -> Executed:
        """Execute batch `n`, or get the result of its first execution."""
        return await self._call(
            Executed,
            "POST",
            f"/v1/custody/{handover}/batches/{n}",
            body={"digest": digest},
        )

    async def verify(self, handover: str, n: int) -> Verified:
        """Have batch `n` opened under the buyer's key and compared."""
        return await self._call(
            Verified, "POST", f"/v1/custody/{handover}/batches/{n}:verify"
        )

    async def turn(self, handover: str) -> Turned:
        """Flip the one row; again gives the same answer."""
        return await self._call(Turned, "POST", f"/v1/custody/{handover}:turn")

    async def cancel(self, handover: str) -> None:
        """Ask to cancel; the deletion of pending rows is polled by `custody`."""
        await self._send("POST", f"/v1/custody/{handover}:cancel")

    async def reachable(self) -> None:
        """Return if the vault answers at all.

        Raises:
            VaultUnavailable: It does not.
        """
        try:
            await self._http.get("/livez", timeout=2.0, follow_redirects=False)
        except httpx.HTTPError as exc:
            raise VaultUnavailable from exc

    async def _call(
        self,
        kind: type[AnAnswer],
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str | int] | None = None,
    ) -> AnAnswer:
        found = await self._send(method, path, body=body, query=query)
        try:
            return kind.model_validate(found)
        except ValidationError:
            # `from None`: the cause would quote the answer.
            raise VaultMalformed from None

    async def _send(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str | int] | None = None,
    ) -> dict[str, Any]:
        """Send one request and return its JSON object.

        Raises:
            VaultUnavailable: No answer, a broken one, or one that says "later".
            VaultRefused: A problem.
            VaultMalformed: No JSON object, a redirect, or more than 8 MiB.
        """
        request = self._http.build_request(
            method,
            path,
            json=body,
            content=content,
            params=query,
            headers={"keyturn-purpose": "handover", **(headers or {})},
            timeout=TIMEOUT,
        )
        try:
            answer = await self._http.send(
                request, auth=self._auth, stream=True, follow_redirects=False
            )
            try:
                raw = await _bounded(answer)
            finally:
                await answer.aclose()
        except (httpx.HTTPError, Refusal) as exc:
            if isinstance(exc, VaultMalformed):
                raise
            raise VaultUnavailable from exc
        return _read(answer.status_code, raw)


async def _bounded(answer: httpx.Response) -> bytes:
    raw = b""
    async for chunk in answer.aiter_bytes():
        raw += chunk
        if len(raw) > MAX_ANSWER_BYTES:
            raise VaultMalformed
    return raw


def _read(status: int, raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw) if raw else {}
    except (ValueError, RecursionError):
        found = None
    if status in _TRY_AGAIN:
        raise VaultUnavailable
    if status >= httpx.codes.BAD_REQUEST:
        members = found if isinstance(found, dict) else {}
        raise VaultRefused(
            _word(members.get("code")) or "unknown",
            status,
            _word(members.get("reason")) or _word(members.get("state")),
        )
    if status >= httpx.codes.MULTIPLE_CHOICES or not isinstance(found, dict):
        raise VaultMalformed
    return found


def _word(value: object) -> str:
    """Return a stable code as it is, anything else as nothing."""
    fine = isinstance(value, str) and value.replace("-", "").replace("_", "").isalnum()
    return str(value)[:64] if fine and str(value).isascii() else ""
