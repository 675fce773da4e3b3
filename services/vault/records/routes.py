# SPDX-License-Identifier: Apache-2.0
"""Routes of the records room."""
# Annotations are evaluated here: FastAPI reads them.

import json
import re
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Header, Path, Query, Request, Response
from pydantic import BaseModel

from contracts import problems
from contracts.problems import Problem
from contracts.scopes import Scope
from services.chassis.auth import Principal, require
from services.chassis.body import Cursor, Limit, StrictRouter, Text
from services.chassis.clock import rfc3339
from services.chassis.database import DatabaseError
from services.chassis.idempotency import IdempotencyStore, Stored, key_of
from services.chassis.lanes import EventRef
from services.chassis.problem_json import openapi_responses
from services.vault.access import View
from services.vault.custody import EtagStale, HistoryRow
from services.vault.records.items import BatchResult
from services.vault.records.once import Keyed, Render
from services.vault.records.operations import Records
from services.vault.records.reads import Disclosed, Reads
from services.vault.records.schemas import (
    AppendedOut,
    BatchIn,
    BatchOut,
    BatchResultOut,
    ConsentIn,
    EntriesIn,
    ErasedOut,
    FiledOut,
    FoundOut,
    HistoryOut,
    ListedOut,
    ListOut,
    LookupIn,
    LookupOut,
    ObjectionIn,
    PatchIn,
    RecordId,
    RecordIn,
    ResolvedOut,
    ResolveIn,
    ResolveOut,
    VersionOut,
    WrittenOut,
)
from services.vault.records.values import Erased, Written

Purpose = Annotated[str | None, Header(alias="Keyturn-Purpose", max_length=64)]
IfMatch = Annotated[str | None, Header(alias="If-Match", max_length=64)]
IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match", max_length=64)]
Id = Annotated[RecordId, Path()]
Classes = Annotated[str, Query(), Text(1_024, pattern=r"^[a-z0-9_]+(,[a-z0-9_]+)*$")]
_ETAG = re.compile(r'"([0-9]{1,18})"')
_ACCESS = (
    problems.PURPOSE_MISSING,
    problems.PURPOSE_UNKNOWN,
    problems.DENIED,
    problems.PURPOSE_NOT_GIVEN,
    problems.NOT_FOUND,
    problems.AUDIT_UNAVAILABLE,
)
_CHANGE = (
    *_ACCESS,
    problems.FIELD_UNKNOWN,
    problems.PHONE_UNPARSABLE,
    problems.FOLIO_FROZEN,
    problems.HANDED_OVER,
    problems.UNIQUE_CONFLICT,
)
_REFUSALS = openapi_responses(*_ACCESS)
_CHANGES = openapi_responses(*_CHANGE)
_CREATES = openapi_responses(
    *_CHANGE,
    problems.ALREADY_EXISTS,
    problems.IDEMPOTENCY_KEY_INVALID,
    problems.IDEMPOTENCY_KEY_IN_USE,
    problems.IDEMPOTENCY_MISMATCH,
)
_MATCHED = openapi_responses(*_CHANGE, problems.ETAG_STALE, problems.ETAG_REQUIRED)


def router(
    records: Records, reads: Reads, idempotency: IdempotencyStore
) -> StrictRouter:
    """Return the routes of `records` and `reads`."""
    api = StrictRouter(tags=["records"])
    _add_writes(api, records, idempotency)
    _add_changes(api, records)
    _add_reads(api, reads)
    _add_searches(api, reads)
    return api


def _add_writes(
    api: StrictRouter, records: Records, idempotency: IdempotencyStore
) -> None:
    @api.post(
        "/v1/records",
        status_code=201,
        response_model=WrittenOut,
        responses={200: {"model": WrittenOut}, **_CREATES},
        summary="Create a record, or change the one with the same external id",
    )
    async def create_record(
        request: Request,
        body: RecordIn,
        caller: Annotated[Principal, require(Scope.RECORDS_CREATE)],
        purpose: Purpose = None,
        if_none_match: IfNoneMatch = None,
    ) -> Response:
        keyed = Keyed(idempotency, caller, "create_record", key_of(request))
        written = await records.create(
            caller,
            purpose,
            body.content(),
            must_be_new=if_none_match == "*",
            once=keyed.once(_created, body.model_dump(mode="json")),
        )
        return _answer(written, _created)

    @api.post(
        "/v1/records:batch",
        status_code=207,
        responses=_CREATES,
        summary="Create or change up to 100 records; a result for each",
    )
    async def batch_records(
        request: Request,
        body: BatchIn,
        caller: Annotated[Principal, require(Scope.RECORDS_CREATE)],
        purpose: Purpose = None,
    ) -> BatchOut:
        keyed = Keyed(idempotency, caller, "batch_records", key_of(request))
        items = [
            one.item(keyed.once(_created, one.model_dump(mode="json"), f"{position}"))
            for position, one in enumerate(body.items)
        ]
        results = await records.batch(
            caller, purpose, items, all_or_none=body.all_or_none
        )
        return BatchOut(items=[_result(one) for one in results])

    @api.post(
        "/v1/records/{id}/entries",
        response_model=AppendedOut,
        responses=_CREATES,
        summary="Append entries; a known `entry_id` replaces",
    )
    async def append_entries(
        id: Id,  # noqa: A002 - the name in the address
        request: Request,
        body: EntriesIn,
        caller: Annotated[Principal, require(Scope.RECORDS_APPEND)],
        purpose: Purpose = None,
    ) -> Response:
        keyed = Keyed(idempotency, caller, "append_entries", key_of(request))
        once = keyed.once(_appended, [id, body.model_dump(mode="json")])
        written = await records.append(caller, purpose, id, body.content(), once=once)
        return _answer(written, _appended)


def _add_changes(api: StrictRouter, records: Records) -> None:
    @api.patch(
        "/v1/records/{id}",
        responses=_MATCHED,
        summary="Change documents and tags by merge patch (RFC 7396)",
    )
    async def patch_record(
        id: Id,  # noqa: A002
        body: PatchIn,
        response: Response,
        caller: Annotated[Principal, require(Scope.RECORDS_PATCH)],
        purpose: Purpose = None,
        if_match: IfMatch = None,
    ) -> WrittenOut:
        written = await records.patch(
            caller, purpose, id, body.content(), _etag(if_match)
        )
        return _written(response, written)

    @api.delete("/v1/records/{id}", responses=_MATCHED, summary="Erase a record")
    async def erase_record(
        id: Id,  # noqa: A002
        response: Response,
        caller: Annotated[Principal, require(Scope.RECORDS_ERASE)],
        purpose: Purpose = None,
        if_match: IfMatch = None,
    ) -> ErasedOut:
        erased = await records.erase(caller, purpose, id, _etag(if_match))
        _name_event(response, erased.event)
        return _erased(erased)

    @api.put(
        "/v1/records/{id}/consents",
        responses=_CHANGES,
        summary="File a consent or its withdrawal",
    )
    async def put_consent(
        id: Id,  # noqa: A002
        body: ConsentIn,
        response: Response,
        caller: Annotated[Principal, require(Scope.CONSENTS_WRITE)],
    ) -> FiledOut:
        _name_event(response, await records.file_consent(caller, id, body.filed()))
        return FiledOut(id=id)

    @api.put(
        "/v1/records/{id}/objections",
        responses=_CHANGES,
        summary="File an objection or its withdrawal",
    )
    async def put_objection(
        id: Id,  # noqa: A002
        body: ObjectionIn,
        response: Response,
        caller: Annotated[Principal, require(Scope.OBJECTIONS_WRITE)],
    ) -> FiledOut:
        _name_event(response, await records.file_objection(caller, id, body.filed()))
        return FiledOut(id=id)


def _add_reads(api: StrictRouter, reads: Reads) -> None:
    @api.get("/v1/records/{id}", responses=_REFUSALS, summary="Read a record")
    async def read_record(
        id: Id,  # noqa: A002
        caller: Annotated[Principal, require(Scope.RECORDS_READ)],
        purpose: Purpose = None,
        classes: Classes | None = None,
        view: View = View.FULL,
    ) -> Response:
        asked = None if classes is None else list(dict.fromkeys(classes.split(",")))
        found = await reads.read(caller, purpose, id, classes=asked, view=view)
        return _disclosed(found)

    @api.get(
        "/v1/records/{id}/history",
        responses=_REFUSALS,
        summary="Versions of a record; nothing of their content",
    )
    async def read_history(
        id: Id,  # noqa: A002
        response: Response,
        caller: Annotated[Principal, require(Scope.RECORDS_READ)],
        purpose: Purpose = None,
    ) -> HistoryOut:
        rows, event = await reads.history(caller, purpose, id)
        _name_event(response, event)
        return HistoryOut(items=[_version(row) for row in rows])


def _add_searches(api: StrictRouter, reads: Reads) -> None:
    @api.get("/v1/records", responses=_REFUSALS, summary="List records page by page")
    async def list_records(
        response: Response,
        caller: Annotated[Principal, require(Scope.RECORDS_LIST)],
        limit: Limit = 50,
        cursor: Annotated[Cursor | None, Query()] = None,
        purpose: Purpose = None,
    ) -> ListOut:
        page, ahead, event = await reads.list_page(caller, purpose, limit, cursor)
        _name_event(response, event)
        return ListOut(
            items=[ListedOut(id=row.id, etag=str(row.etag)) for row in page],
            next_cursor=ahead,
            has_more=ahead is not None,
        )

    @api.post(
        "/v1/records/lookup", responses=_REFUSALS, summary="Find records by identifiers"
    )
    async def look_up_records(
        body: LookupIn,
        response: Response,
        caller: Annotated[Principal, require(Scope.RECORDS_LOOKUP)],
        purpose: Purpose = None,
    ) -> LookupOut:
        wanted = [(one.field, one.value) for one in body.identifiers]
        answers, event = await reads.look_up(caller, purpose, wanted)
        _name_event(response, event)
        return LookupOut(items=[FoundOut(records=found) for found in answers])

    @api.post(
        "/v1/aliases:resolve",
        responses=_REFUSALS,
        summary="Resolve records to aliases, aliases to records",
    )
    async def resolve_aliases(
        body: ResolveIn,
        response: Response,
        caller: Annotated[Principal, require(Scope.ALIASES_RESOLVE)],
        purpose: Purpose = None,
    ) -> ResolveOut:
        pairs, event = await reads.resolve(
            caller, purpose, records=body.records, aliases=body.aliases
        )
        _name_event(response, event)
        return ResolveOut(items=[ResolvedOut(record=r, alias=a) for r, a in pairs])


def _etag(header: str | None) -> int | None:
    """Return the etag of `If-Match`. RFC 9110 §13.1.1.

    Raises:
        EtagStale: It is none that this service gives.
    """
    if header is None:
        return None
    match = _ETAG.fullmatch(header.strip())
    if match is None:
        raise EtagStale
    return int(match[1])


def _written(response: Response, written: Written) -> WrittenOut:
    response.headers["ETag"] = f'"{written.etag}"'
    _name_event(response, written.event)
    return WrittenOut(id=written.id, etag=str(written.etag), created=written.created)


def _created(written: Written) -> Stored:
    out = WrittenOut(id=written.id, etag=str(written.etag), created=written.created)
    headers = {**_headers(written), "location": f"/v1/records/{written.id}"}
    return Stored(201 if written.created else 200, headers, _bytes(out))


def _appended(written: Written) -> Stored:
    out = AppendedOut(id=written.id, etag=str(written.etag), entries=written.entries)
    return Stored(200, _headers(written), _bytes(out))


def _headers(written: Written) -> dict[str, str]:
    named = {} if written.event is None else {"audit-event": str(written.event)}
    return {
        "content-type": "application/json",
        "etag": f'"{written.etag}"',
        **named,
    }


def _bytes(out: BaseModel) -> bytes:
    return out.model_dump_json().encode()


def _answer(written: Written, render: Render) -> Response:
    """Return the answer of a write, or the one that was given before."""
    if written.replayed is not None:
        return written.replayed.response()
    stored = render(written)
    return Response(stored.body, stored.status, dict(stored.headers))


def _disclosed(found: Disclosed) -> Response:
    # Bytes at once: a response model would cost more than opening the record.
    body = json.dumps(found.content, ensure_ascii=False, separators=(",", ":"))
    headers = {"ETag": f'"{found.etag}"', "Audit-Event": str(found.event)}
    return Response(body.encode(), media_type="application/json", headers=headers)


def _result(result: BatchResult) -> BatchResultOut:
    if result.written is not None:
        stored = result.written.replayed or _created(result.written)
        out = WrittenOut.model_validate_json(stored.body)
        return BatchResultOut(
            ref=result.ref, status=stored.status, id=out.id, etag=out.etag
        )
    problem = result.problem or _of_database(result.error)
    return BatchResultOut(
        ref=result.ref,
        status=problem.status,
        problem={
            "type": problem.type,
            "title": problem.title,
            "status": problem.status,
            "detail": f"{problem.detail} {problem.fix}",
            "code": problem.code,
            **getattr(result.error, "extra", {}),
            "errors": [
                {"in": f.where, "pointer": f.pointer, "code": f.code, "msg": f.msg}
                for f in getattr(result.error, "faults", ())
            ],
        },
    )


def _of_database(error: Exception | None) -> Problem:
    if isinstance(error, DatabaseError):
        return problems.BUSY
    return problems.INTERNAL


def _erased(erased: Erased) -> ErasedOut:
    return ErasedOut(
        id=erased.id,
        classes=list(erased.classes),
        versions=erased.versions,
        erased_at=_time(erased.erased_at),
        effective_now=True,
        effective_everywhere_by=None,
    )


def _version(row: HistoryRow) -> VersionOut:
    return VersionOut(
        class_=row.class_,
        volume=row.volume,
        version=row.version,
        created_at=_time(row.created_at),
        current=row.current,
        custody=row.state.value,
    )


def _time(at: int) -> str:
    return rfc3339(datetime.fromtimestamp(at / 1000, tz=UTC))


def _name_event(response: Response, event: EventRef | None) -> None:
    if event is not None:
        response.headers["Audit-Event"] = str(event)
