# SPDX-License-Identifier: Apache-2.0
"""The vault's operations as calls. Personal values stand in bodies, never in paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import httpx

from keyturn_client.calls import Call, Service, json_of, make
from keyturn_client.clock import new_key
from keyturn_client.errors import AnswerMalformed
from keyturn_client.models import vault as m

T = TypeVar("T")
_PURPOSE = "Keyturn-Purpose"


def _object(answer: httpx.Response) -> dict[str, Any]:
    found = json_of(answer)
    if not isinstance(found, dict):
        raise AnswerMalformed("the answer is no JSON object")
    return found


def _quoted(etag: str) -> str:
    return etag if etag.startswith('"') else f'"{etag}"'


def _call(operation: str, method: str, template: str, **parts: Any) -> Call[Any]:
    return make(Service.VAULT, operation, method, template, read=_object, **parts)


def read_installation() -> Call[m.InstallationOut]:
    """Which installation this is. Needs no scope."""
    return _call("read_installation", "GET", "/v1/installation")


def read_catalogue() -> Call[m.CatalogueOut]:
    """The party's classes and fields."""
    return _call("read_catalogue", "GET", "/v1/catalogue")


def put_class(name: str, form: m.ClassIn) -> Call[m.ClassOut]:
    """Name a class; the same again changes nothing."""
    path = "/v1/catalogue/classes/{name}"
    return _call("put_class", "PUT", path, place={"name": name}, body=form)


def put_field(name: str, field: m.FieldIn) -> Call[m.FieldOut]:
    """Name a field of a class; the same again changes nothing."""
    path = "/v1/catalogue/fields/{name}"
    return _call("put_field", "PUT", path, place={"name": name}, body=field)


def create_record(
    record: m.RecordIn,
    *,
    purpose: str | None = None,
    key: str | None = None,
    must_be_new: bool = False,
) -> Call[m.WrittenOut]:
    """Create a record, or change the one with the same `external_id`.

    Args:
        record: Its content.
        purpose: Why; without it, the client's default purpose.
        key: Idempotency key, for a call that another process may repeat; one is made.
        must_be_new: Refuse (`already-exists`) instead of changing.
    """
    headers = {
        _PURPOSE: purpose,
        "Idempotency-Key": key or new_key(),
        "If-None-Match": "*" if must_be_new else None,
    }
    return _call(
        "create_record",
        "POST",
        "/v1/records",
        headers=headers,
        body=record,
        repeatable=True,
    )


def upsert_record(
    record: m.RecordIn, *, purpose: str | None = None, key: str | None = None
) -> Call[m.WrittenOut]:
    """Create or change the record of its `external_id`.

    Raises:
        ValueError: It has no `external_id`, and would be a new one each time.
    """
    if not record.get("external_id"):
        raise ValueError("an upsert needs an external_id")
    return create_record(record, purpose=purpose, key=key)


def batch_records(
    batch: m.BatchIn, *, purpose: str | None = None, key: str | None = None
) -> Call[m.BatchOut]:
    """Create or change up to 100 records; a result for each, in order."""
    return _call(
        "batch_records",
        "POST",
        "/v1/records:batch",
        headers={_PURPOSE: purpose, "Idempotency-Key": key or new_key()},
        body=batch,
        repeatable=True,
    )


def list_records(
    *, cursor: str | None = None, limit: int | None = None, purpose: str | None = None
) -> Call[m.ListOut]:
    """A page of ids and ETags; `has_more` says whether there are more pages."""
    return _call(
        "list_records",
        "GET",
        "/v1/records",
        query={"cursor": cursor, "limit": limit},
        headers={_PURPOSE: purpose},
    )


def look_up_records(
    identifiers: Sequence[m.Identifier], *, purpose: str | None = None
) -> Call[m.LookupOut]:
    """Find records by values of searchable fields; the answers in the same order."""
    return _call(
        "look_up_records",
        "POST",
        "/v1/records/lookup",
        headers={_PURPOSE: purpose},
        body={"identifiers": list(identifiers)},
        repeatable=True,
    )


def aggregate_records(
    aggregate: m.AggregateIn, *, purpose: str | None = None
) -> Call[m.AggregateOut]:
    """Count or sum over the party's records; small groups are suppressed."""
    return _call(
        "aggregate_records",
        "POST",
        "/v1/records:aggregate",
        headers={_PURPOSE: purpose},
        body=aggregate,
        repeatable=True,
    )


def list_collisions(
    handover: str, *, cursor: str | None = None, limit: int | None = None
) -> Call[m.CollisionsOut]:
    """A page of what a turned handover brought that collides with own customers."""
    return _call(
        "list_collisions",
        "GET",
        "/v1/custody/{handover}/collisions",
        place={"handover": handover},
        query={"cursor": cursor, "limit": limit},
    )


def settle_collision(
    handover: str, position: int, settlement: m.SettleIn
) -> Call[m.CollisionOut]:
    """Settle one: keep both records, or merge them; the same again changes nothing."""
    return _call(
        "settle_collision",
        "POST",
        "/v1/custody/{handover}/collisions/{position}:settle",
        place={"handover": handover, "position": str(position)},
        body=settlement,
        repeatable=True,
    )


def read_record(
    record: str,
    *,
    purpose: str | None = None,
    classes: Sequence[str] | None = None,
    view: str | None = None,
) -> Call[dict[str, Any]]:
    """Read a record. Its answer names the event that the read left in the log.

    Args:
        record: Its id.
        purpose: Why; without it, the client's default purpose.
        classes: Only these.
        view: `full`, `masked` or `pseudonym`.
    """
    query = {"classes": None if classes is None else ",".join(classes), "view": view}
    return _record("read_record", "GET", "", record, query=query, purpose=purpose)


def patch_record(
    record: str, patch: m.PatchIn, *, etag: str, purpose: str | None = None
) -> Call[m.WrittenOut]:
    """Change documents and tags by merge patch (RFC 7396): `None` removes a field.

    Not repeated once it may have been done: the first try would make it stale.

    Args:
        record: Its id.
        patch: What changes.
        etag: The version that the change was made from.
        purpose: Why; without it, the client's default purpose.
    """
    extra = {"If-Match": _quoted(etag)}
    return _record(
        "patch_record", "PATCH", "", record, purpose=purpose, extra=extra, body=patch
    )


def erase_record(
    record: str, *, etag: str | None = None, purpose: str | None = None
) -> Call[m.ErasedOut]:
    """Erase a record. Not repeated once it may have been done: it is not found then."""
    extra = {"If-Match": None if etag is None else _quoted(etag)}
    return _record("erase_record", "DELETE", "", record, purpose=purpose, extra=extra)


def append_entries(
    record: str,
    class_: str,
    entries: Sequence[Mapping[str, Any]],
    *,
    purpose: str | None = None,
    key: str | None = None,
) -> Call[m.AppendedOut]:
    """Append entries to a class; a known `entry_id` replaces that entry."""
    return _record(
        "append_entries",
        "POST",
        "/entries",
        record,
        purpose=purpose,
        extra={"Idempotency-Key": key or new_key()},
        body={"class": class_, "entries": list(entries)},
        repeatable=True,
    )


def put_consent(record: str, consent: m.ConsentIn) -> Call[m.FiledOut]:
    """File a consent, or its withdrawal (`withdrawn_at`)."""
    return _record("put_consent", "PUT", "/consents", record, body=consent)


def put_objection(record: str, objection: m.ObjectionIn) -> Call[m.FiledOut]:
    """File an objection to handovers, or its withdrawal (`withdrawn_at`)."""
    return _record("put_objection", "PUT", "/objections", record, body=objection)


def read_history(record: str, *, purpose: str | None = None) -> Call[m.HistoryOut]:
    """The versions of a record; nothing of their content."""
    return _record("read_history", "GET", "/history", record, purpose=purpose)


def resolve_aliases(
    *,
    records: Sequence[str] = (),
    aliases: Sequence[str] = (),
    purpose: str | None = None,
) -> Call[m.ResolveOut]:
    """Turn ids into the aliases that events use, and aliases into ids."""
    return _call(
        "resolve_aliases",
        "POST",
        "/v1/aliases:resolve",
        headers={_PURPOSE: purpose},
        body={"records": list(records), "aliases": list(aliases)},
        repeatable=True,
    )


def list_officers(party: str) -> Call[m.OfficerKeysOut]:
    """The officers of a party and their public keys."""
    path = "/v1/parties/{party}/officers"
    return _call("list_officers", "GET", path, place={"party": party})


def _record(
    operation: str,
    method: str,
    tail: str,
    record: str,
    *,
    purpose: str | None = None,
    extra: Mapping[str, str | None] | None = None,
    **parts: Any,
) -> Call[Any]:
    headers = {_PURPOSE: purpose, **(extra or {})}
    path = "/v1/records/{id}" + tail
    return _call(
        operation, method, path, place={"id": record}, headers=headers, **parts
    )
