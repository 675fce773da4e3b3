# SPDX-License-Identifier: Apache-2.0
"""Why a read happens: the closed catalogue of purposes (vault.md, Vocabulary).

Given purposes may be given to a client; system purposes are Keyturn's own work and
are never accepted from a header; denied ones stay closed until a recorded opt-in.
Aliases are terms of DPV 2 (w3id.org/dpv) and of fideslang's data uses; where DPV has
no nearer term the alias is its root, `dpv:Purpose`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Standing(StrEnum):
    """How a purpose may come into force."""

    GIVEN = "given"
    SYSTEM = "system"
    DENIED = "denied"


class Purpose(StrEnum):
    """A term of the catalogue, as the header `Keyturn-Purpose` carries it."""

    ADVERTISING = "advertising"
    CUSTOMER_SERVICE = "customer_service"
    DATA_QUALITY = "data_quality"
    HANDOVER = "handover"
    INVESTIGATION = "investigation"
    INVOICING = "invoicing"
    LEGAL_OBLIGATION = "legal_obligation"
    MARKETING = "marketing"
    ORDER_FULFILMENT = "order_fulfilment"
    PERSONALISED_PRICING = "personalised_pricing"
    PROFILING = "profiling"
    REINDEX = "reindex"
    RIGHTS_REQUEST = "rights_request"
    SALE = "sale"
    UNRELATED_DISCLOSURE = "unrelated_disclosure"
    VERIFY = "verify"


@dataclass(frozen=True, slots=True)
class PurposeTerm:
    """A purpose as the catalogue describes it.

    Attributes:
        standing: Whether it may be given, is Keyturn's own, or is denied.
        meaning: One line for people.
        dpv: The DPV term that covers it, with prefix.
        fideslang: The fideslang data use that covers it, or empty if none does.
    """

    standing: Standing
    meaning: str
    dpv: str
    fideslang: str


_GIVEN, _SYSTEM, _DENIED = Standing.GIVEN, Standing.SYSTEM, Standing.DENIED

TERMS: Mapping[Purpose, PurposeTerm] = MappingProxyType(
    {
        Purpose.ORDER_FULFILMENT: PurposeTerm(
            _GIVEN,
            "Deliver what was ordered.",
            "dpv:CustomerOrderManagement",
            "essential.service.fulfillment",
        ),
        Purpose.CUSTOMER_SERVICE: PurposeTerm(
            _GIVEN,
            "Answer a customer and settle complaints.",
            "dpv:CustomerCare",
            "essential.service.operations.support",
        ),
        Purpose.INVOICING: PurposeTerm(
            _GIVEN,
            "Write, send and settle invoices.",
            "dpv:PaymentManagement",
            "essential.service.payment_processing",
        ),
        Purpose.LEGAL_OBLIGATION: PurposeTerm(
            _GIVEN,
            "Do what a law demands, such as keeping tax documents.",
            "dpv:LegalCompliance",
            "essential.legal_obligation",
        ),
        Purpose.RIGHTS_REQUEST: PurposeTerm(
            _GIVEN,
            "Answer a person who exercises a right.",
            "dpv:RightsFulfilment",
            "essential.legal_obligation",
        ),
        Purpose.DATA_QUALITY: PurposeTerm(
            _GIVEN,
            "Find and correct wrong or double records.",
            "dpv:ImproveInternalCRMProcesses",
            "essential.service.operations",
        ),
        Purpose.HANDOVER: PurposeTerm(
            _SYSTEM,
            "Decide and carry out a handover.",
            "dpv:OrganisationGovernance",
            "essential.service.operations",
        ),
        Purpose.REINDEX: PurposeTerm(
            _SYSTEM,
            "Renew keys and index entries.",
            "dpv:TechnicalServiceProvision",
            "essential.service.security",
        ),
        Purpose.VERIFY: PurposeTerm(
            _SYSTEM,
            "Compare what arrived with what was agreed.",
            "dpv:Verification",
            "essential.service.security",
        ),
        Purpose.ADVERTISING: PurposeTerm(
            _DENIED,
            "Show advertisements.",
            "dpv:Advertising",
            "marketing.advertising",
        ),
        Purpose.MARKETING: PurposeTerm(
            _DENIED,
            "Approach people with offers.",
            "dpv:DirectMarketing",
            "marketing.communications",
        ),
        Purpose.SALE: PurposeTerm(
            _DENIED,
            "Sell or rent the data itself.",
            "dpv:SellDataToThirdParties",
            "third_party_sharing",
        ),
        Purpose.PROFILING: PurposeTerm(
            _DENIED,
            "Build profiles of people.",
            "dpv:Personalisation",
            "personalize.profiling",
        ),
        Purpose.PERSONALISED_PRICING: PurposeTerm(
            _DENIED,
            "Set prices by person.",
            "dpv:ServicePersonalisation",
            "personalize",
        ),
        Purpose.INVESTIGATION: PurposeTerm(
            _DENIED,
            "Look into a person for reasons of one's own.",
            "dpv:Purpose",
            "",
        ),
        Purpose.UNRELATED_DISCLOSURE: PurposeTerm(
            _DENIED,
            "Disclose to somebody the agreed purposes do not name.",
            "dpv:Purpose",
            "third_party_sharing",
        ),
    },
)
"""Every purpose with its standing, meaning and aliases."""

GIVEN = frozenset(p for p, term in TERMS.items() if term.standing is _GIVEN)
SYSTEM = frozenset(p for p, term in TERMS.items() if term.standing is _SYSTEM)
DENIED = frozenset(p for p, term in TERMS.items() if term.standing is _DENIED)

RESTRICTED = frozenset({Purpose.LEGAL_OBLIGATION, Purpose.RIGHTS_REQUEST})
"""What a seller may still read for once custody has turned (promise 6)."""
