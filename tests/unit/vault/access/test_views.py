# SPDX-License-Identifier: Apache-2.0
"""Promises of masks: they show what their rule says, and never fail or show more."""

import math
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.vault.access.views import HIDDEN, MASKS, View, mask, show_fields


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("name", "Jane Doe", "J***"),
        ("name", "王小明", "王***"),
        ("name", "欧阳小明", "欧阳***"),
        ("name", "歐陽小明", "歐陽***"),
        ("name", "欧阳", "欧***"),
        ("name", "김민준", "김***"),
        ("name", "E\u0301lodie", "É***"),
        ("name", "J", HIDDEN),
        ("name", "+49 171", HIDDEN),
        ("email", "jane@example.org", "j***@example.org"),
        ("email", "j@example.org", "***@example.org"),
        ("email", "jörg@bücher.example", "j***@bücher.example"),
        ("email", "Jane Doe", HIDDEN),
        ("email", "jane@Jane Doe lives here", HIDDEN),
        ("email", "jane@localhost", HIDDEN),
        ("phone", "+491711234567", "+49 ***4567"),
        ("phone", "+1 (212) 555-0100", "+1 ***0100"),
        ("phone", "+8613812345678", "+86 ***5678"),
        ("phone", "+35312345678", "+353 ***678"),
        ("phone", "0171 1234567", "***4567"),
        ("phone", "+49 110", "+49 ***"),
        ("phone", "+000", HIDDEN),
        ("phone", "call Jane", HIDDEN),
        ("address", "5 High Street, London, UK", "***, UK"),
        ("address", "广东省深圳市南山区科技路1号", "广东***"),
        ("address", "黑龙江省哈尔滨市", "黑龙江***"),
        ("address", "5 High Street, c/o Jane Doe", HIDDEN),
        ("address", "5 High Street", HIDDEN),
        ("place", "Saint-Étienne", "Saint-Étienne"),
        ("place", "5 High Street", HIDDEN),
        ("postal_code", "10115", "10***"),
        ("postal_code", "SW1A 1AA", "SW***"),
        ("postal_code", "Jane", HIDDEN),
        ("date", "1984-02-29", "1984"),
        ("date", "2024-01-02T03:04:05Z", "2024"),
        ("date", "29.02.1984", HIDDEN),
        ("amount", "12.50 EUR", "12.50 EUR"),
        ("amount", 1250, 1250),
        ("amount", -12.5, -12.5),
        ("amount", 4111111111111111, HIDDEN),
        ("amount", math.inf, HIDDEN),
        ("amount", "about what Jane paid", HIDDEN),
        ("quantity", 3, 3),
        ("code", "SKU-17", "SKU-17"),
        ("code", "Jane Doe", HIDDEN),
        ("id_number", "DE89 3704 0044 0532 0130 00", "***3000"),
        ("id_number", "1234567", HIDDEN),
        ("id_number", 123456789, "***6789"),
        ("flag", True, True),
        ("flag", "yes, Jane", HIDDEN),
        ("hide", "Jane", HIDDEN),
        ("horoscope", "Leo", HIDDEN),
        ("horoscope", 7, HIDDEN),
        ("horoscope", False, HIDDEN),
        ("", "Jane", HIDDEN),
        ("name", True, HIDDEN),
        ("name", None, None),
        ("email", ["jane@x.org", "Jane"], ["j***@x.org", HIDDEN]),
        ("horoscope", ["Leo"], [HIDDEN]),
    ],
)
def test_a_mask_shows_what_its_rule_says(
    kind: str, value: object, shown: object
) -> None:
    found = mask(kind, value)
    assert found == shown
    assert type(found) is type(shown)


def test_a_number_too_long_to_write_is_hidden() -> None:
    assert mask("amount", 10**5_000) == HIDDEN


def test_views_show_all_or_masked_and_hide_fields_without_a_mask() -> None:
    fields = {"name": "Jane Doe", "note": "likes tea", "vip": True}
    masks = {"name": "name", "vip": "flag"}
    assert show_fields(View.FULL, fields, masks) == fields
    assert show_fields(View.MASKED, fields, masks) == {
        "name": "J***",
        "note": HIDDEN,
        "vip": True,
    }
    assert fields["name"] == "Jane Doe"


ANY_TEXT = st.text(st.characters(), max_size=60)
KINDS = st.sampled_from([*MASKS, "unknown", ""])
VALUES = st.one_of(
    ANY_TEXT,
    st.text("0123456789+-() .@abcXYZ,T:", max_size=60),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.lists(ANY_TEXT, max_size=3),
)


@given(KINDS, VALUES)
@example("phone", "+")
@example("phone", "+\u0661\u0662")
@example("name", "\ud800a")
@example("address", ",DE")
def test_a_mask_never_fails_and_keeps_the_shape(kind: str, value: object) -> None:
    found = mask(kind, value)
    assert isinstance(found, list) == isinstance(value, list)
    assert (found is None) == (value is None)


# How many characters of the text each rule may show at most.
SHOWN_AT_MOST = {
    "name": 2, "phone": 7, "address": 3, "postal_code": 2,
    "date": 4, "id_number": 4, "flag": 0, "hide": 0,
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(SHOWN_AT_MOST))
@given(st.one_of(ANY_TEXT, st.text("0123456789+-:TZ ,ABC", max_size=60)))
def test_a_mask_shows_no_more_than_its_rule(kind: str, value: str) -> None:
    shown = mask(kind, value)
    revealed = shown.replace(HIDDEN, "").replace("+", "").strip(", ")
    assert len(revealed) <= SHOWN_AT_MOST[kind]


@given(ANY_TEXT, st.sampled_from(["example.org", "bücher.example"]))
def test_a_masked_email_shows_one_character_before_the_at(
    local: str, domain: str
) -> None:
    shown = mask("email", f"{local}@{domain}")
    assert shown == HIDDEN or len(shown) <= 1 + len(HIDDEN) + 1 + len(domain)


@given(st.sampled_from(["place", "code", "amount", "quantity"]), ANY_TEXT)
def test_masks_that_keep_keep_the_whole_or_nothing(kind: str, value: str) -> None:
    composed = unicodedata.normalize("NFC", value).strip()
    assert mask(kind, value) in (HIDDEN, composed)


@given(st.text("abcdefgh", min_size=2, max_size=40))
def test_stars_tell_no_length(rest: str) -> None:
    assert mask("name", "J" + rest) == "J***"
    assert mask("id_number", rest + "12345678") == "***5678"


@pytest.mark.parametrize("kind", [*MASKS, "unknown"])
def test_a_huge_text_is_hidden(kind: str) -> None:
    assert mask(kind, "1" * 100_000) == HIDDEN
    assert mask(kind, "a@" + "b." * 50_000) == HIDDEN
