# SPDX-License-Identifier: Apache-2.0
import unicodedata

import phonenumbers
import pytest

from deploy.demo.people import MAX_ORDINAL, Person, person


@pytest.fixture(scope="module")
def everyone() -> list[Person]:
    return [person(2017, n) for n in range(MAX_ORDINAL + 1)]


def _normalised(email: str) -> str:
    local, domain = unicodedata.normalize("NFKC", email).strip().lower().split("@")
    return f"{local.split('+')[0]}@{domain}"


def test_every_phone_is_valid_and_e164(everyone: list[Person]) -> None:
    for who in everyone:
        number = phonenumbers.parse(who.phone)
        assert phonenumbers.is_valid_number(number), who.phone
        e164 = phonenumbers.PhoneNumberFormat.E164
        assert phonenumbers.format_number(number, e164) == who.phone
        assert phonenumbers.region_code_for_number(number) == who.country


def test_phones_are_unique(everyone: list[Person]) -> None:
    assert len({who.phone for who in everyone}) == len(everyone)


def test_emails_are_unique_also_when_normalised(everyone: list[Person]) -> None:
    assert len({_normalised(who.email) for who in everyone}) == len(everyone)


def test_emails_lie_in_reserved_domains(everyone: list[Person]) -> None:
    domains = {who.email.rpartition("@")[2] for who in everyone}
    assert domains == {"example.com", "example.net", "example.org"}


def test_some_emails_carry_a_tag_and_both_languages_occur(
    everyone: list[Person],
) -> None:
    tagged = sum("+" in who.email for who in everyone)
    americans = sum(who.country == "US" for who in everyone)
    assert 0 < tagged < len(everyone) // 20
    assert 0 < americans < len(everyone) // 10


def test_names_and_addresses_are_normal_text(everyone: list[Person]) -> None:
    for who in everyone:
        for text in (who.name, who.address, who.city):
            assert text == unicodedata.normalize("NFKC", text).strip()
            assert "\n" not in text


def test_a_person_depends_on_seed_and_ordinal_alone() -> None:
    first = person(2017, 77)
    person(2017, 5)
    assert person(2017, 77) == first
    assert person(2018, 77) != first


@pytest.mark.parametrize("ordinal", [-1, MAX_ORDINAL + 1], ids=["below", "above"])
def test_an_ordinal_without_a_unique_phone_is_refused(ordinal: int) -> None:
    with pytest.raises(ValueError, match="ordinal"):
        person(2017, ordinal)
