# SPDX-License-Identifier: Apache-2.0
"""Lodging a plan: the exact bytes that people sign, and whether they can be done."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.custody.document import DocumentMalformed, parse_instant
from contracts.custody.plan import Plan, Profile, parse_plan, plan_hash
from contracts.events.vault import PlanLodged
from contracts.law.eligibility import LawError
from contracts.purposes import Purpose
from services.chassis import outbox
from services.chassis.auth import Principal
from services.chassis.clock import rfc3339
from services.chassis.database import Tx
from services.chassis.lanes import EventRef
from services.vault.catalogue import Catalogue
from services.vault.custody import handover as custody
from services.vault.mandate import store
from services.vault.mandate.errors import (
    AsOfRefused,
    PlanMalformed,
    PlanRefused,
    WrongState,
)
from services.vault.mandate.ground import (
    Ground,
    acted,
    require_part,
    standing,
    turn_lock,
)
from services.vault.mandate.store import StoredPlan
from services.vault.parties.errors import PartyUnknown


@dataclass(frozen=True, slots=True)
class Lodged:
    """A lodged plan; `event` is None if these bytes were lodged before."""

    plan_hash: str
    event: EventRef | None


async def lodge(
    ground: Ground, principal: Principal, handover: str, raw: bytes
) -> Lodged:
    """Lodge a plan's exact bytes.

    Raises:
        PlanMalformed: Not canonical, or of another handover or installation.
        AsOfRefused: It names a day, outside a demonstration.
        PlanRefused: This vault cannot carry it out; says why.
        WrongState: Other bytes, after the freeze.
        HandoverUnknown: The caller's party has no part in it.
    """
    stored = await ground.changes.read(lambda c: store.find_plan(c, handover))
    if stored is not None and stored.raw == raw:
        require_part(principal, stored.seller, stored.buyer)
        return Lodged(stored.plan_hash, None)
    plan = await _checked(ground, principal, handover, raw)
    new = StoredPlan(handover, plan.seller, plan.buyer, raw, plan_hash(raw))

    def put(tx: Tx) -> Lodged:
        known = store.find_plan(tx.connection, handover)
        if known is not None:
            require_part(principal, known.seller, known.buyer)
            if known.plan_hash == new.plan_hash:
                return Lodged(new.plan_hash, None)
            if custody.find_turn(tx.connection, handover) is not None:
                raise WrongState(standing(tx.connection, handover).state)
        store.put_plan(tx, new)
        event = PlanLodged(
            **acted(tx, principal), handover=handover, plan_hash=new.plan_hash
        )
        return Lodged(
            new.plan_hash, outbox.append(tx, event.draft(plan.seller, plan.buyer))
        )

    return await ground.changes.write(put, [turn_lock(handover, exclusive=True)])


async def _checked(
    ground: Ground, principal: Principal, handover: str, raw: bytes
) -> Plan:
    try:
        plan = parse_plan(raw)
    except DocumentMalformed as exc:
        raise PlanMalformed("malformed", str(exc)) from exc
    if plan.handover != handover:
        raise PlanMalformed("wrong-handover")
    if plan.installation != ground.installation:
        raise PlanMalformed("wrong-installation")
    require_part(principal, plan.seller, plan.buyer)
    _require_doable(ground, plan)
    await check_catalogues(ground, plan)
    return plan


def _require_doable(ground: Ground, plan: Plan) -> None:
    if plan.profile is not Profile.STANDARD:
        # Nothing enrols a party as small yet, so nothing could say who may stand in
        # for whom: four people sign.
        raise PlanRefused("profile-not-built")
    if plan.as_of is not None and not ground.demonstration:
        raise AsOfRefused
    now = ground.clock.now()
    if parse_instant(plan.expires) <= now:
        raise PlanRefused("plan-expired")
    listed = (*plan.purposes.values(), *plan.denied_purposes.values())
    named = {purpose for purposes in listed for purpose in purposes}
    if not named <= {purpose.value for purpose in Purpose}:
        raise PlanRefused("purpose-unknown")
    if plan.rule_pack_hash not in ground.packs:
        raise PlanRefused("rule-pack-unknown")
    try:
        ground.criteria(plan, plan.as_of or rfc3339(now)[:10])
    except LawError as exc:
        raise PlanRefused("path-refused") from exc


async def check_catalogues(ground: Ground, plan: Plan) -> None:
    """Refuse a plan whose classes or fields the buyer cannot hold.

    Raises:
        PlanRefused: A party is not enrolled, a class is unknown, or fields of the
            seller are missing in the buyer's catalogue; says which.
    """
    try:
        seller = await ground.catalogues.of(plan.seller)
        buyer = await ground.catalogues.of(plan.buyer)
    except PartyUnknown as exc:
        raise PlanRefused("party-unknown") from exc
    unknown = [name for name in plan.classes if name not in seller.classes]
    if unknown:
        raise PlanRefused("class-unknown", unknown)
    missing = [at for name in plan.classes for at in _missing(seller, buyer, name)]
    if missing:
        raise PlanRefused("fields-missing", missing)


def _missing(seller: Catalogue, buyer: Catalogue, class_: str) -> list[str]:
    """Return what of a class the buyer's catalogue lacks, as `class.field`."""
    if buyer.classes.get(class_) != seller.classes[class_]:
        return [class_]
    missing = []
    for field in seller.fields_of(class_):
        known = buyer.fields.get(field.name)
        if known is None or (known.class_, known.kind) != (class_, field.kind):
            missing.append(f"{class_}.{field.name}")
    return missing
