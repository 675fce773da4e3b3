# SPDX-License-Identifier: Apache-2.0
"""Synthetic people for the published households, which have no names.

Everything here is synthetic: names and streets come from Faker under a seed, e-mail
addresses lie in the domains RFC 2606 reserves, American phones in the range that is
kept for fiction (555-01xx). China keeps no such range: those numbers are made up, may
be in use, and are never to be called. A person depends on (seed, ordinal) alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from faker import Faker

MAX_ORDINAL = 4_999
"""Highest ordinal whose American phone is still unique (50 areas of 100 numbers)."""

_DOMAINS = ("example.com", "example.net", "example.org")  # RFC 2606
_AMERICAN_EVERY = 16  # one person in sixteen lives in the United States
_PLUS_TAG_EVERY = 41

# Mobile prefixes in which every eight digits make a valid number (libphonenumber).
_CHINESE_PREFIXES = (
    *range(130, 140),
    *(150, 151, 152, 153, 155, 156, 157, 158, 159),
    *(176, 177, 178),
    *range(180, 190),
    *(191, 198, 199),
)
_AMERICAN_AREAS = (
    *(201, 202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217, 218),
    *(219, 224, 225, 228, 229, 231, 234, 239, 240, 248, 251, 252, 253, 254, 256, 260),
    *(262, 267, 269, 270, 276, 281, 301, 302, 303, 304, 305, 307, 308, 309, 310, 312),
    *(313, 314),
)
# Prime and no divisor of 10**8: the products of distinct ordinals end differently.
_SCATTER = 48_271_033


@dataclass(frozen=True)
class Person:
    """A synthetic person: what a CRM calls its master data."""

    name: str
    email: str
    phone: str  # E.164
    address: str  # one line, without postal code and country
    city: str
    postal_code: str
    country: str  # ISO 3166-1 alpha-2
    language: str  # BCP 47


def person(seed: int, ordinal: int) -> Person:
    """Return the synthetic person number `ordinal`, the same for the same seed.

    E-mail address and phone are unique over all ordinals of one seed, the e-mail
    address also in lower case and without its +tag.

    Raises:
        ValueError: the ordinal is not in 0..MAX_ORDINAL.
    """
    if not 0 <= ordinal <= MAX_ORDINAL:
        message = f"a person's ordinal is in 0..{MAX_ORDINAL}"
        raise ValueError(message)
    american = ordinal % _AMERICAN_EVERY == 0
    fake = _faker("en_US" if american else "zh_CN")
    fake.seed_instance(seed * 10_000 + ordinal)
    made = _american(fake, ordinal) if american else _chinese(fake, seed, ordinal)
    tag = "+shop" if ordinal % _PLUS_TAG_EVERY == 0 else ""
    domain = _DOMAINS[ordinal % len(_DOMAINS)]
    local = f"{fake.user_name()}.{ordinal:04d}{tag}"
    return replace(made, email=f"{local}@{domain}")


@cache
def _faker(locale: str) -> Faker:
    # Building one takes 0.1 s; seeding it again takes microseconds.
    return Faker(locale)


def _chinese(fake: Faker, seed: int, ordinal: int) -> Person:
    number = (ordinal * _SCATTER + seed) % 10**8
    prefix = _CHINESE_PREFIXES[ordinal % len(_CHINESE_PREFIXES)]
    city = f"{fake.city_name()}市"
    street = f"{fake.district()}区{fake.street_name()}"
    house, flat = fake.random_int(1, 399), fake.random_int(101, 2_804)
    return Person(
        name=fake.name(),
        email="",
        phone=f"+86{prefix}{number:08d}",
        address=f"{city}{street}{house}号{flat}室",
        city=city,
        postal_code=fake.postcode(),
        country="CN",
        language="zh-CN",
    )


def _american(fake: Faker, ordinal: int) -> Person:
    area = _AMERICAN_AREAS[ordinal // 100]
    city = fake.city()
    return Person(
        name=f"{fake.first_name()} {fake.last_name()}",
        email="",
        phone=f"+1{area}55501{ordinal % 100:02d}",
        address=f"{fake.street_address()}, {city}, {fake.state_abbr()}",
        city=city,
        postal_code=fake.postcode(),
        country="US",
        language="en-US",
    )
