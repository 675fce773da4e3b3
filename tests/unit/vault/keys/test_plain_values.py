# SPDX-License-Identifier: Apache-2.0
"""Promise: what is taken for a normal form unseen is what the parsers return."""

import phonenumbers
import pytest
from email_validator import (
    SPECIAL_USE_DOMAIN_NAMES,
    EmailNotValidError,
    validate_email,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.vault.errors import FieldUnparsable
from services.vault.keys.normalise import (
    _is_plain_email,
    _is_plain_phone,
    normalise,
)

_LABELS = st.text("abcxn09-", min_size=1, max_size=8)
_DOMAINS = st.one_of(
    st.lists(_LABELS, min_size=1, max_size=4).map(".".join),
    st.builds("{}.{}".format, _LABELS, st.sampled_from(SPECIAL_USE_DOMAIN_NAMES)),
    st.sampled_from(SPECIAL_USE_DOMAIN_NAMES),
    st.builds("{}.{}".format, _LABELS, st.sampled_from(["org", "cn", "xn--p1ai"])),
)
_LOCALS = st.text("abyz019._+-", min_size=1, max_size=70)
_CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
_NUMBERS = st.builds(
    "+{}{}".format,
    st.one_of(st.sampled_from(_CODES), st.integers(1, 999)),
    st.text("0123456789", min_size=3, max_size=14),
)


def library_email(text: str) -> str | None:
    try:
        address = validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError:
        return None
    local, _, domain = address.rpartition("@")
    return f"{local.casefold()}@{domain}"


def library_phone(text: str, region: str | None) -> str | None:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def normal(kind: str, text: str, region: str | None = None) -> str | None:
    try:
        return normalise(kind, text, field="a", region=region)
    except FieldUnparsable:
        return None


@settings(max_examples=2_000)
@given(st.builds("{}@{}".format, _LOCALS, _DOMAINS))
@example("a@xn--bcher-kva.example")
@example("a@localhost.local")
@example("a@" + "b" * 64 + ".org")
def test_an_email_is_what_the_parser_says(text: str) -> None:
    assert normal("email", text) == library_email(text)


@settings(max_examples=4_000)
@given(_NUMBERS, st.sampled_from([None, "DE", "CN", "US", "IT", "AR", "MX"]))
@example("+4901701234567", None)  # a trunk prefix behind the calling code
@example("+5491112345678", None)  # a mobile prefix that is rewritten
@example("+390612345678", None)  # a zero that stays
def test_a_number_is_what_the_parser_says(text: str, region: str | None) -> None:
    assert normal("phone", text, region) == library_phone(text, region)


@pytest.mark.parametrize("code", _CODES)
@settings(max_examples=60, derandomize=True)
@given(national=st.text("0123456789", min_size=4, max_size=13))
def test_a_number_of_every_country_is_what_the_parser_says(
    code: int, national: str
) -> None:
    text = f"+{code}{national}"
    assert normal("phone", text) == library_phone(text, None)


def test_the_values_of_every_day_are_taken_so() -> None:
    assert _is_plain_email("jane.doe+news@shop-one.example")
    assert _is_plain_phone("+8613812345678")
    assert _is_plain_phone("+4917012345678")


@pytest.mark.parametrize(
    "written", ["Jane@x.org", "a@x--y.org", "a@localhost.local", "a b@x.org", "a@b"]
)
def test_what_needs_the_parser_is_left_to_it(written: str) -> None:
    assert not _is_plain_email(written)
