# SPDX-License-Identifier: Apache-2.0
"""Promises of normal forms: equal people meet, different ones never, nothing leaks."""

import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.vault.errors import FieldUnparsable, PhoneUnparsable
from services.vault.keys.normalise import (
    METADATA_VERSION,
    is_region,
    normalise,
    normalise_email,
    normalise_phone,
    normalise_text,
)


@pytest.mark.attack("A7")
@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("a+b@x.org", "a+b@x.org"),
        ("  Jane.Doe@Example.ORG\n", "jane.doe@example.org"),
        ("JANE@x.org", "jane@x.org"),
        ("JÖRG@FAß.example", "jörg@faß.example"),
        ("ｊａｎｅ＠ｘ．ｏｒｇ", "jane@x.org"),  # full width, as typed in East Asia
        ("jörg@xn--bcher-kva.example", "jörg@bücher.example"),
        ("jo\u0308rg@bu\u0308cher.example", "jörg@bücher.example"),
    ],
)
def test_an_address_is_one_however_its_case_is_written(
    written: str, normal: str
) -> None:
    assert normalise_email(written, field="email") == normal


def test_a7_plus_and_space_are_not_one_address() -> None:
    assert normalise_email("a+b@x.org", field="email") == "a+b@x.org"
    assert normalise_email("a+b@x.org", field="email") != normalise_email(
        "a@x.org", field="email"
    )
    with pytest.raises(FieldUnparsable):
        normalise_email("a b@x.org", field="email")


@pytest.mark.parametrize(
    "written",
    [
        "", " ", "a", "@", "a@", "@x.org", "a@x", "a@b@x.org", "Jane <a@x.org>",
        '"a b"@x.org', "a@[127.0.0.1]", "a\u200b@x.org", "\ud800@x.org",
        "a@x.org, b@x.org", "a" * 2_000 + "@x.org",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(written: str) -> None:
    with pytest.raises(FieldUnparsable) as caught:
        normalise_email(written, field="work_email")
    assert caught.value.field == "work_email"
    assert caught.value.kind == "email"


@pytest.mark.parametrize(
    ("written", "region", "normal"),
    [
        ("+1 (212) 555-0100", None, "+12125550100"),
        ("0171 1234567", "DE", "+491711234567"),
        ("0049 171 1234567", "DE", "+491711234567"),
        ("138 1234 5678", "CN", "+8613812345678"),
        ("＋８６ １３８ １２３４ ５６７８", None, "+8613812345678"),
        ("+44 20 7946 0018", "DE", "+442079460018"),
        ("+1 212 555 0100 ext. 5", None, "+12125550100"),
    ],
)
def test_phone_is_e164(written: str, region: str | None, normal: str) -> None:
    assert normalise_phone(written, field="phone", region=region) == normal


@pytest.mark.attack("A7")
@pytest.mark.parametrize(
    ("written", "region"),
    [
        ("0171 1234567", None),
        ("0171 1234567", "XX"),
        ("call me", "DE"),
        ("1", "DE"),
        ("", "DE"),
        ("\ud800", "DE"),
        ("+999 123", None),
        ("+1 212 55", None),
        ("1" * 300, "DE"),
    ],
)
def test_a7_an_unparsable_phone_is_refused(written: str, region: str | None) -> None:
    with pytest.raises(PhoneUnparsable) as caught:
        normalise_phone(written, field="mobile", region=region)
    assert caught.value.problem.status == 422
    assert (caught.value.field, caught.value.kind) == ("mobile", "phone")


@pytest.mark.parametrize("kind", ["email", "phone"])
def test_the_error_never_carries_the_value(kind: str) -> None:
    secret = "jane.secret.doe at nowhere"
    with pytest.raises(FieldUnparsable) as caught:
        normalise(kind, secret, field="contact", region="DE")
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    shown = "".join(traceback.format_exception(caught.value))
    assert "contact" in str(caught.value)
    for place in (shown, repr(caught.value), str(vars(caught.value))):
        assert "nowhere" not in place


def test_text_is_nfkc_and_trimmed() -> None:
    assert normalise_text(" Ａ１\u3000", field="ref") == "A1"
    assert normalise("customer_number", " C-17 ", field="ref", region=None) == "C-17"
    for refused in ("", "\u3000", "\udfff", "x" * 1_001):
        with pytest.raises(FieldUnparsable):
            normalise_text(refused, field="ref")


@given(
    st.text(st.characters(), max_size=40), st.sampled_from(["email", "phone", "ref"])
)
def test_any_string_is_normal_or_refused_and_a_normal_form_is_stable(
    written: str, kind: str
) -> None:
    try:
        normal = normalise(kind, written, field="f", region="DE")
    except FieldUnparsable:
        return
    assert normalise(kind, normal, field="f", region="DE") == normal


@given(st.emails(), st.booleans())
def test_an_email_is_found_however_its_case_is_written(
    address: str, padded: bool
) -> None:
    try:
        normal = normalise_email(address, field="email")
    except FieldUnparsable:
        return
    local, _, domain = address.rpartition("@")
    written = f"{local.upper()}@{domain.upper()}"
    assert normalise_email(f" {written} " if padded else written, field="e") == normal
    assert normalise_email(normal, field="email") == normal


def test_the_tables_that_matter_are_named_in_the_version() -> None:
    assert "phonenumbers-" in METADATA_VERSION
    assert "unicode-" in METADATA_VERSION
    assert "email-validator-" in METADATA_VERSION


def test_regions_are_known_or_not() -> None:
    assert is_region("DE")
    assert is_region("CN")
    assert not is_region("XX")
    assert not is_region("de")
