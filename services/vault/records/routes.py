# SPDX-License-Identifier: Apache-2.0
"""Routes of the records room."""
# Annotations are evaluated here: FastAPI reads them.

from typing import Annotated

from fastapi import Header, Path, Query, Response

from contracts import problems
from contracts.problems import Problem
from contracts.purposes import GIVEN
from contracts.scopes import Scope
from services.chassis.auth import Principal, need, require, require_any
from services.chassis.body import Cursor, Limit, StrictRouter, Text
from services.chassis.declared import Answers, answered, openapi_responses
from services.chassis.idempotency import IdempotencyStore, OptionalKey
from services.vault.access import View
from services.vault.records import places
from services.vault.records.answers import (
    answer,
    appended,
    created,
    disclosed,
    erased_out,
    etag_of,
    name_event,
    result_out,
    version_out,
    written_out,
)
from services.vault.records.lean_read import lean_read
from services.vault.records.once import Keyed
from services.vault.records.operations import Records
from services.vault.records.reads import Reads
from services.vault.records.schemas import (
    AppendedOut,
    BatchIn,
    BatchOut,
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
    WrittenOut,
)
from services.vault.records.searches import Searches

Purpose = Annotated[
    str | None,
    Header(
        alias="Keyturn-Purpose",
        max_length=64,
        description="Why this access happens; without it, the client's default "
        f"purpose. One of {', '.join(sorted(GIVEN))}, as the client was given them.",
        examples=["customer_service"],
    ),
]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=64,
        description="One ETag as it was answered, in its double quotes.",
    ),
]
IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match", max_length=64)]
Id = Annotated[RecordId, Path()]
Classes = Annotated[str, Query(), Text(1_024, pattern=r"^[a-z0-9_]+(,[a-z0-9_]+)*$")]
_ACCESS = (
    problems.PURPOSE_MISSING,
    problems.PURPOSE_UNKNOWN,
    problems.DENIED,
    problems.PURPOSE_NOT_GIVEN,
    problems.QUOTA_EXCEEDED,
    problems.AUDIT_UNAVAILABLE,
    problems.SEAL_BROKEN,
)
_CONTENT = (
    problems.FIELD_UNKNOWN,
    problems.PHONE_UNPARSABLE,
    problems.FOLIO_FROZEN,
    problems.HANDED_OVER,
    problems.UNIQUE_CONFLICT,
)
_NAMED: Answers = {200: answered("Audit-Event")}
_VERSIONED: Answers = {200: answered("ETag", "Audit-Event")}
_ONCE = ("ETag", "Audit-Event", "Idempotency-Replayed")


def refusals(*listed: Problem) -> Answers:
    """Return the documented refusals of an access, and those `listed`."""
    return openapi_responses(*_ACCESS, *listed, logged=True)


def router(
    records: Records, reads: Reads, searches: Searches, idempotency: IdempotencyStore
) -> StrictRouter:
    """Return the routes of the room."""
    api = StrictRouter(tags=["records"])
    _add_reads(api, reads)
    _add_searches(api, searches)
    _add_writes(api, records, idempotency)
    _add_changes(api, records)
    return api


def _add_writes(
    api: StrictRouter, records: Records, idempotency: IdempotencyStore
) -> None:
    @api.post(
        "/v1/records",
        status_code=201,
        response_model=WrittenOut,
        responses={
            200: {"model": WrittenOut, **answered(*_ONCE, "Location")},
            201: answered(*_ONCE, "Location"),
            **refusals(*_CONTENT, problems.ALREADY_EXISTS),
        },
        summary="Create a record, or change the one with the same external id",
        description="Every field must be in the party's catalogue. The same "
        "`external_id` again changes the record (200); `If-None-Match: *` wants a new "
        "one only. With an `Idempotency-Key` a repeated request gets the first answer.",
    )
    async def create_record(
        body: RecordIn,
        caller: Annotated[Principal, require(Scope.RECORDS_CREATE)],
        key: OptionalKey,
        purpose: Purpose = None,
        if_none_match: IfNoneMatch = None,
    ) -> Response:
        keyed = Keyed(idempotency, caller, "create_record", key)
        new = body.content()
        with places.in_record(new):
            written = await records.create(
                caller,
                purpose,
                new,
                must_be_new=if_none_match == "*",
                once=keyed.once(created, body.model_dump(mode="json")),
            )
        return answer(written, created)

    @api.post(
        "/v1/records:batch",
        status_code=207,
        responses=refusals(),
        summary="Create or change up to 100 records; a result for each",
        description="The answer is 207 with a status for each item, in order. "
        "`all_or_none` keeps all of them out when one is refused. Consents and "
        "objections may come with their record.",
    )
    async def batch_records(
        body: BatchIn,
        caller: Annotated[Principal, require(Scope.RECORDS_CREATE)],
        key: OptionalKey,
        purpose: Purpose = None,
    ) -> BatchOut:
        keyed = Keyed(idempotency, caller, "batch_records", key)
        items = [
            one.item(keyed.once(created, one.model_dump(mode="json"), f"{position}"))
            for position, one in enumerate(body.items)
        ]
        results = await records.batch(
            caller, purpose, items, all_or_none=body.all_or_none
        )
        pairs = zip(results, items, strict=True)
        return BatchOut(
            items=[result_out(*pair, position) for position, pair in enumerate(pairs)]
        )

    @api.post(
        "/v1/records/{id}/entries",
        response_model=AppendedOut,
        responses={200: answered(*_ONCE), **refusals(problems.FIELD_UNKNOWN)},
        summary="Append entries; a known `entry_id` replaces",
        description="Needs no ETag: appends side by side all get in. While the "
        "volume is frozen by a handover, entries open the next one.",
    )
    async def append_entries(
        id: Id,  # noqa: A002 - the name in the address
        body: EntriesIn,
        caller: Annotated[Principal, require(Scope.RECORDS_APPEND)],
        key: OptionalKey,
        purpose: Purpose = None,
    ) -> Response:
        keyed = Keyed(idempotency, caller, "append_entries", key)
        once = keyed.once(appended, [id, body.model_dump(mode="json")])
        with places.in_entries(body.class_):
            written = await records.append(
                caller, purpose, id, body.content(), once=once
            )
        return answer(written, appended)


def _add_changes(api: StrictRouter, records: Records) -> None:
    @api.patch(
        "/v1/records/{id}",
        responses={
            **_VERSIONED,
            **refusals(*_CONTENT, problems.ETAG_STALE, problems.ETAG_REQUIRED),
        },
        summary="Change documents and tags by merge patch (RFC 7396)",
        description="`null` removes a field. `If-Match` names the ETag that the "
        "change was made from: 428 without, 412 when it is stale. A frozen folio is "
        "409, except for the purpose `rights_request`.",
    )
    async def patch_record(
        id: Id,  # noqa: A002
        body: PatchIn,
        response: Response,
        caller: Annotated[Principal, require(Scope.RECORDS_PATCH)],
        purpose: Purpose = None,
        if_match: IfMatch = None,
    ) -> WrittenOut:
        change = body.content()
        with places.in_record(change):
            written = await records.patch(
                caller, purpose, id, change, etag_of(if_match)
            )
        return written_out(response, written)

    @api.delete(
        "/v1/records/{id}",
        responses={
            **_NAMED,
            **refusals(problems.HANDED_OVER, problems.ETAG_STALE),
        },
        summary="Erase a record",
        description="The content goes in one transaction; its events stay, under an "
        "alias that means nothing any more.",
    )
    async def erase_record(
        id: Id,  # noqa: A002
        response: Response,
        caller: Annotated[Principal, require(Scope.RECORDS_ERASE)],
        purpose: Purpose = None,
        if_match: IfMatch = None,
    ) -> ErasedOut:
        erased = await records.erase(caller, purpose, id, etag_of(if_match))
        name_event(response, erased.event)
        return erased_out(erased)

    @api.put(
        "/v1/records/{id}/consents",
        responses=_NAMED,
        summary="File a consent or its withdrawal",
        description="`separate` is a consent to be handed over to `recipient`; "
        "`bundled` does not count; `optin` and `optout` name purposes in `classes`. A "
        "withdrawal is the same body with `withdrawn_at`.",
    )
    async def put_consent(
        id: Id,  # noqa: A002
        body: ConsentIn,
        response: Response,
        caller: Annotated[Principal, require(Scope.CONSENTS_WRITE)],
    ) -> FiledOut:
        with places.in_right():
            event = await records.file_consent(caller, id, body.filed())
        name_event(response, event)
        return FiledOut(id=id)

    @api.put(
        "/v1/records/{id}/objections",
        responses=_NAMED,
        summary="File an objection or its withdrawal",
        description="Without `recipient` and `handover` it is against every handover. "
        "It is obeyed at once, also by a handover that is under way.",
    )
    async def put_objection(
        id: Id,  # noqa: A002
        body: ObjectionIn,
        response: Response,
        caller: Annotated[Principal, require(Scope.OBJECTIONS_WRITE)],
    ) -> FiledOut:
        with places.in_right():
            event = await records.file_objection(caller, id, body.filed())
        name_event(response, event)
        return FiledOut(id=id)


def _add_reads(api: StrictRouter, reads: Reads) -> None:
    @api.get(
        "/v1/records/{id}",
        responses={**_VERSIONED, **refusals(problems.FIELD_UNKNOWN)},
        summary="Read a record",
        description="The access event is durable before the first byte leaves, and "
        "`Audit-Event` names it. `view=masked` shows shapes, `view=pseudonym` no "
        "identifier; `classes` narrows the answer. The scope `records:pseudonym` "
        "opens the view `pseudonym` alone.",
    )
    async def read_record(
        id: Id,  # noqa: A002
        caller: Annotated[
            Principal, require_any(Scope.RECORDS_READ, Scope.RECORDS_PSEUDONYM)
        ],
        purpose: Purpose = None,
        classes: Classes | None = None,
        view: View = View.FULL,
    ) -> Response:
        if view is not View.PSEUDONYM:
            need(caller, Scope.RECORDS_READ)
        asked = None if classes is None else list(dict.fromkeys(classes.split(",")))
        found = await reads.read(caller, purpose, id, classes=asked, view=view)
        return disclosed(found)

    api.leans.append(lean_read(reads))

    @api.get(
        "/v1/records/{id}/history",
        responses={**_NAMED, **refusals()},
        summary="Versions of a record; nothing of their content",
    )
    async def read_history(
        id: Id,  # noqa: A002
        response: Response,
        caller: Annotated[Principal, require(Scope.RECORDS_READ)],
        purpose: Purpose = None,
    ) -> HistoryOut:
        rows, event = await reads.history(caller, purpose, id)
        name_event(response, event)
        return HistoryOut(items=[version_out(row) for row in rows])


def _add_searches(api: StrictRouter, searches: Searches) -> None:
    @api.get(
        "/v1/records",
        responses={**_NAMED, **refusals(problems.CURSOR_INVALID)},
        summary="List records page by page",
        description="Ids and ETags only. A page may be short or empty and not be the "
        "last: `has_more` says so.",
    )
    async def list_records(
        response: Response,
        caller: Annotated[Principal, require(Scope.RECORDS_LIST)],
        limit: Limit = 50,
        cursor: Annotated[Cursor | None, Query()] = None,
        purpose: Purpose = None,
    ) -> ListOut:
        page, ahead, event = await searches.list_page(caller, purpose, limit, cursor)
        name_event(response, event)
        return ListOut(
            items=[ListedOut(id=row.id, etag=str(row.etag)) for row in page],
            next_cursor=ahead,
            has_more=ahead is not None,
        )

    @api.post(
        "/v1/records/lookup",
        responses={
            **_NAMED,
            **refusals(problems.FIELD_UNKNOWN, problems.PHONE_UNPARSABLE),
        },
        summary="Find records by identifiers",
        description="Searchable fields of the catalogue, and `external_id`. Values "
        "are compared in their normal form. They stand in the body, never in an "
        "address.",
    )
    async def look_up_records(
        body: LookupIn,
        response: Response,
        caller: Annotated[Principal, require(Scope.RECORDS_LOOKUP)],
        purpose: Purpose = None,
    ) -> LookupOut:
        wanted = [(one.field, one.value) for one in body.identifiers]
        answers, event = await searches.look_up(caller, purpose, wanted)
        name_event(response, event)
        return LookupOut(items=[FoundOut(records=found) for found in answers])

    @api.post(
        "/v1/aliases:resolve",
        responses={**_NAMED, **refusals()},
        summary="Resolve records to aliases, aliases to records",
        description="Events in the log name a record by its alias. What is unknown "
        "to the caller's party is null.",
    )
    async def resolve_aliases(
        body: ResolveIn,
        response: Response,
        caller: Annotated[Principal, require(Scope.ALIASES_RESOLVE)],
        purpose: Purpose = None,
    ) -> ResolveOut:
        pairs, event = await searches.resolve(
            caller, purpose, records=body.records, aliases=body.aliases
        )
        name_event(response, event)
        return ResolveOut(items=[ResolvedOut(record=r, alias=a) for r, a in pairs])
