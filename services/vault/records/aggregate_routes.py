# SPDX-License-Identifier: Apache-2.0
"""The route of aggregates, its body and its answer."""
# Annotations are evaluated here: FastAPI and pydantic read them.

from typing import Annotated

from fastapi import Response
from pydantic import BaseModel, Field

from contracts.scopes import Scope
from services.chassis.auth import Principal, require
from services.chassis.body import Body, StrictRouter, Text
from services.chassis.declared import answered
from services.vault.records import examples
from services.vault.records.aggregates import Aggregates
from services.vault.records.aggregation import Measure
from services.vault.records.answers import name_event
from services.vault.records.questions import Question
from services.vault.records.routes import Purpose, refusals
from services.vault.records.schemas import ClassName, FieldName

Grouping = Annotated[str, Text(70, pattern=r"^[a-z][a-z0-9_]*(\.(year|month))?$")]
Period = Annotated[str, Text(7, pattern=r"^[0-9]{4}(-(0[1-9]|1[0-2]))?$")]


class AggregateIn(Body):
    """What is counted or added up, and how it is grouped.

    `field` goes with `sum` and `average`. `group_by` is a field of the class that
    names nobody, or `at.year` or `at.month` of a class of entries; without it all
    records are one group. `period` is a year or a month of the party's time zone.
    """

    model_config = examples.shown(examples.AGGREGATE)

    class_: ClassName = Field(alias="class")
    measure: Measure
    field: FieldName | None = None
    group_by: Grouping | None = None
    period: Period | None = None

    def question(self) -> Question:
        """Return what is asked as a value."""
        return Question(
            self.class_, self.measure, self.field, self.group_by, self.period
        )


class GroupOut(BaseModel):
    """A group of at least as many records as the installation allows.

    `records` and counts are rounded down to a multiple of five; sums and averages are
    decimal texts of three significant digits. `group` is null where the field is
    absent, and for the one group of all.
    """

    group: str | int | bool | None
    records: int
    value: int | str


class AggregateOut(BaseModel):
    """The groups that may be shown, and whether others are not.

    There is no total: with it, one could compute what is suppressed.
    """

    groups: list[GroupOut]
    suppressed: bool


def router(aggregates: Aggregates) -> StrictRouter:
    """Return the route of `aggregates`."""
    api = StrictRouter(tags=["records"])

    @api.post(
        "/v1/records:aggregate",
        responses={200: answered("Audit-Event"), **refusals()},
        summary="Count or add up records in groups that name nobody",
        description="Over the records in the party's active custody that may be "
        "looked at for the purpose. A group of few records, or of which one record "
        "makes most, is suppressed, and with it the smallest of the others. Goes "
        "through all records: ask rarely.",
    )
    async def aggregate_records(
        body: AggregateIn,
        response: Response,
        caller: Annotated[Principal, require(Scope.RECORDS_AGGREGATE)],
        purpose: Purpose = None,
    ) -> AggregateOut:
        found = await aggregates.aggregate(caller, purpose, body.question())
        name_event(response, found.event)
        return AggregateOut(
            groups=[
                GroupOut(group=one.group, records=one.records, value=one.value)
                for one in found.groups
            ],
            suppressed=found.suppressed,
        )

    return api
