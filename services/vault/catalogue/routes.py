# SPDX-License-Identifier: Apache-2.0
"""Routes of the catalogue room."""
# Annotations are evaluated here: FastAPI reads them.

from typing import Annotated

from fastapi import Path, Response

from contracts import problems
from contracts.scopes import Scope
from services.chassis.auth import Principal, require
from services.chassis.body import StrictRouter
from services.chassis.declared import answered, openapi_responses
from services.chassis.lanes import EventRef
from services.vault.catalogue.operations import Catalogues
from services.vault.catalogue.schemas import (
    CatalogueName,
    CatalogueOut,
    ClassIn,
    ClassOut,
    FieldIn,
    FieldOut,
)

Named = Annotated[CatalogueName, Path()]
Writer = Annotated[Principal, require(Scope.CATALOGUE_WRITE)]
_ANSWERS = {
    200: answered("Audit-Event"),
    **openapi_responses(problems.ALREADY_EXISTS, problems.FIELD_UNKNOWN),
}


def router(catalogues: Catalogues) -> StrictRouter:
    """Return the routes of `catalogues`."""
    api = StrictRouter(tags=["catalogue"])

    @api.put("/v1/catalogue/classes/{name}", responses=_ANSWERS, summary="Add a class")
    async def put_class(
        name: Named, body: ClassIn, response: Response, caller: Writer
    ) -> ClassOut:
        new = body.named(name)
        _name_event(response, await catalogues.put_class(caller, new))
        return ClassOut(name=new.name, form=new.form)

    @api.put(
        "/v1/catalogue/fields/{name}",
        responses=_ANSWERS,
        summary="Add a field or regrade it",
    )
    async def put_field(
        name: Named, body: FieldIn, response: Response, caller: Writer
    ) -> FieldOut:
        new = body.named(name)
        _name_event(response, await catalogues.put_field(caller, new))
        return FieldOut.of(new)

    @api.get("/v1/catalogue", summary="Classes and fields of the caller's party")
    async def read_catalogue(
        caller: Annotated[Principal, require(Scope.CATALOGUE_READ)],
    ) -> CatalogueOut:
        return CatalogueOut.of(await catalogues.of(caller.party))

    return api


def _name_event(response: Response, event: EventRef | None) -> None:
    if event is not None:
        response.headers["Audit-Event"] = str(event)
