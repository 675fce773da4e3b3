# SPDX-License-Identifier: Apache-2.0
"""The records room's answers: headers in, stored and disclosed values out."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

from fastapi import Response
from pydantic import BaseModel

from contracts import problems
from contracts.problems import Problem
from services.chassis.clock import rfc3339
from services.chassis.database import DatabaseError
from services.chassis.idempotency import Stored
from services.chassis.lanes import EventRef
from services.chassis.lean import RawHeaders
from services.vault.custody import EtagStale, HistoryRow
from services.vault.records import places
from services.vault.records.errors import EtagInvalid
from services.vault.records.items import BatchItem, BatchResult
from services.vault.records.once import Render
from services.vault.records.reads import Disclosed
from services.vault.records.schemas import (
    AppendedOut,
    BatchResultOut,
    ErasedOut,
    VersionOut,
    WrittenOut,
)
from services.vault.records.values import Erased, Written

_ETAG = re.compile(r'"([!#-~]*)"')
_NUMBER = re.compile(r"[0-9]{1,18}")


def etag_of(header: str | None) -> int | None:
    """Return the etag of `If-Match`. RFC 9110 §13.1.1.

    Raises:
        EtagInvalid: It is no strong ETag in its quotes.
        EtagStale: It is none that this service gives.
    """
    if header is None:
        return None
    match = _ETAG.fullmatch(header.strip())
    if match is None:
        raise EtagInvalid
    if _NUMBER.fullmatch(match[1]) is None:
        raise EtagStale
    return int(match[1])


def written_out(response: Response, written: Written) -> WrittenOut:
    """Return the body of a write; name its etag and event in the headers."""
    response.headers["ETag"] = f'"{written.etag}"'
    name_event(response, written.event)
    return WrittenOut(id=written.id, etag=str(written.etag), created=written.created)


def created(written: Written) -> Stored:
    """Return the answer to keep of a creation: 201, or 200 where it existed."""
    out = WrittenOut(id=written.id, etag=str(written.etag), created=written.created)
    headers = {**_headers(written), "location": f"/v1/records/{written.id}"}
    return Stored(201 if written.created else 200, headers, _bytes(out))


def appended(written: Written) -> Stored:
    """Return the answer to keep of appended entries."""
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


def answer(written: Written, render: Render) -> Response:
    """Return the answer of a write, or the one that was given before."""
    if written.replayed is not None:
        return written.replayed.response()
    stored = render(written)
    return Response(stored.body, stored.status, dict(stored.headers))


def disclosed(found: Disclosed) -> Response:
    """Return a record that may be shown, with the event that says so."""
    body, headers = disclosed_bytes(found)
    answer = Response(body)
    answer.raw_headers.extend(headers)
    return answer


def disclosed_bytes(found: Disclosed) -> tuple[bytes, RawHeaders]:
    """As `disclosed`: the body and its headers, for the lean way."""
    # Bytes at once: a response model would cost more than opening the record.
    return _ENCODE(found.content).encode(), [
        (b"etag", b'"%d"' % found.etag),
        (b"audit-event", str(found.event).encode()),
        (b"content-type", b"application/json"),
    ]


_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def result_out(result: BatchResult, item: BatchItem, position: int) -> BatchResultOut:
    """Return what became of one item of a batch, the one at `position`."""
    if result.written is not None:
        stored = result.written.replayed or created(result.written)
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
                for f in places.in_item(
                    places.faults_of(result.error, item.content), position
                )
            ],
        },
    )


def _of_database(error: Exception | None) -> Problem:
    if isinstance(error, DatabaseError):
        return problems.BUSY
    return problems.INTERNAL


def erased_out(erased: Erased) -> ErasedOut:
    """Return what an erasure did."""
    return ErasedOut(
        id=erased.id,
        classes=list(erased.classes),
        versions=erased.versions,
        erased_at=_time(erased.erased_at),
        effective_now=True,
        effective_everywhere_by=None,
    )


def version_out(row: HistoryRow) -> VersionOut:
    """Return one version of a record's history."""
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


def name_event(response: Response, event: EventRef | None) -> None:
    """Name the event that was written in `Audit-Event`, if one was."""
    if event is not None:
        response.headers["Audit-Event"] = str(event)
