# SPDX-License-Identifier: Apache-2.0
"""Show a field in full, masked or under a pseudonym, as the catalogue says. Pure.

A mask never fails: what does not look like its kind, and every kind that is unknown
here, is hidden whole. The number of stars is fixed, so that it tells no length.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias, assert_never

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

from services.vault.catalogue import Pseudonymised
from services.vault.keys.pseudonyms import pseudonym

Scalar: TypeAlias = str | int | float | bool | None
FieldValue: TypeAlias = Scalar | list[str]

HIDDEN: Final = "***"
MAX_MASKED_CHARACTERS: Final = 1_000
_MAX_INTEGER: Final = 10**18  # beyond 4,300 digits Python refuses to write one


class View(StrEnum):
    """How much of a record an answer shows."""

    FULL = "full"
    MASKED = "masked"
    PSEUDONYM = "pseudonym"


def show_fields(
    view: View, fields: Mapping[str, FieldValue], masks: Mapping[str, str]
) -> dict[str, FieldValue]:
    """Return `fields` as `view` shows them; `masks` names each field's mask.

    A field without a mask is hidden whole in the masked view.
    """
    if view is View.FULL:
        return dict(fields)
    return {name: mask(masks.get(name, ""), value) for name, value in fields.items()}


def show_pseudonymous(
    fields: Mapping[str, FieldValue],
    rules: Mapping[str, Pseudonymised],
    masks: Mapping[str, str],
    key: bytes,
) -> dict[str, FieldValue]:
    """Return `fields` without what names a person; one without a rule is left out.

    Args:
        fields: Name → value.
        rules: What becomes of each.
        masks: The mask of each that is shown.
        key: Of the pseudonyms.
    """
    shown: dict[str, FieldValue] = {}
    for name, value in fields.items():
        match rules.get(name, Pseudonymised.LEFT_OUT):
            case Pseudonymised.SHOWN:
                shown[name] = mask(masks.get(name, ""), value)
            case Pseudonymised.YEAR:
                shown[name] = mask("date", value)
            case Pseudonymised.PSEUDONYM:
                shown[name] = _renamed(key, name, value)
            case Pseudonymised.LEFT_OUT:
                pass
            case rule:
                assert_never(rule)
    return shown


def _renamed(key: bytes, name: str, value: FieldValue) -> FieldValue:
    if isinstance(value, list):
        return [pseudonym(key, name, item) for item in value]
    return None if value is None else pseudonym(key, name, str(value))


def mask(kind: str, value: FieldValue) -> FieldValue:
    """Return `value` masked by the rule of `kind` (`MASKS`), else `***`.

    A list is masked item by item, `None` stays `None`. Never raises.
    """
    if value is None:
        return None
    rule = MASKS.get(kind)
    if isinstance(value, list):
        return [HIDDEN if rule is None else _apply(rule, item) for item in value]
    if rule is None:
        return HIDDEN
    if isinstance(value, bool):
        return value if kind in {"flag", "none"} else HIDDEN
    if isinstance(value, int) and abs(value) > _MAX_INTEGER:
        return HIDDEN
    if isinstance(value, int | float):
        # A number stays a number where its rule keeps it whole.
        text = str(value)
        shown = _apply(rule, text)
        return value if shown == text else shown
    return _apply(rule, value)


def mask_name(text: str) -> str:
    """Jane Doe → J***; 王小明 → 王***; 欧阳小明 → 欧阳*** (a surname of two signs)."""
    if len(text) < 2 or not text[0].isalpha():
        return HIDDEN
    if len(text) > 2 and _TWO_SIGN_SURNAME.match(text):
        return text[:2] + HIDDEN
    return text[0] + HIDDEN


def mask_email(text: str) -> str:
    """jane@example.org → j***@example.org: first character and domain."""
    local, at, domain = text.rpartition("@")
    if not at or not local or _DOMAIN.fullmatch(domain) is None:
        return HIDDEN
    first = local[0] if len(local) > 1 and local[0].isalnum() else ""
    return f"{first}{HIDDEN}@{domain}"


def mask_phone(text: str) -> str:
    """+49 171 1234567 → +49 ***4567: country code and the last two to four digits."""
    if _PHONE.fullmatch(text) is None:
        return HIDDEN
    digits = "".join(filter(str.isdecimal, text))
    country = _country_code(digits) if text.startswith("+") else ""
    national = digits[len(country) :]
    # Four of ten, three of eight, two of six: never half of what a caller dials.
    kept = 4 if len(national) >= 10 else 3 if len(national) >= 8 else 2
    tail = national[-kept:] if len(national) >= 6 else ""
    return f"+{country} {HIDDEN}{tail}" if country else HIDDEN + tail


def mask_address(text: str) -> str:
    """5 High St, London, UK → ***, UK; 广东省深圳市… → 广东***: country or province.

    Only a country's code at the end and the provinces of China are recognised; a last
    line may also be a person's name, so nothing else is shown.
    """
    if province := _PROVINCE.match(text):
        return province.group() + HIDDEN
    _, comma, last = text.rpartition(",")
    if comma and _COUNTRY.fullmatch(last.strip()):
        return f"{HIDDEN}, {last.strip()}"
    return HIDDEN


def mask_place(text: str) -> str:
    """Berlin → Berlin: a town, region or country, without digits, up to 64 letters."""
    return text if _PLACE.fullmatch(text) else HIDDEN


def mask_postal_code(text: str) -> str:
    """10115 → 10***: the first two characters, which name a region."""
    return text[:2] + HIDDEN if _POSTAL.fullmatch(text) else HIDDEN


def mask_date(text: str) -> str:
    """1984-02-29 → 1984: the year of an ISO 8601 date or time."""
    return text[:4] if _DATE.fullmatch(text) else HIDDEN


def mask_amount(text: str) -> str:
    """12.50 EUR → 12.50 EUR: an amount is kept, up to nine digits before the point.

    An amount names nobody, and who settles a complaint needs it; longer numbers are
    hidden, because card and account numbers stray into such fields.
    """
    return text if _AMOUNT.fullmatch(text) else HIDDEN


def mask_code(text: str) -> str:
    """SKU-17 → SKU-17: a code, up to 32 of letters, digits, `.`, `_`, `-`; is kept."""
    return text if _CODE.fullmatch(text) else HIDDEN


def mask_id_number(text: str) -> str:
    """DE89 3704 0044 0532 0130 00 → ***3000: the last four of eight or more."""
    signs = "".join(filter(str.isalnum, text))
    return HIDDEN + signs[-4:] if len(signs) >= 8 else HIDDEN


def show(text: str) -> str:
    """Return the value as it is: for fields that say nothing of a person."""
    return text


def hide(text: str) -> str:  # noqa: ARG001 - every mask takes the text
    """Anything → ***."""
    return HIDDEN


Mask: TypeAlias = Callable[[str], str]

MASKS: Final[Mapping[str, Mask]] = MappingProxyType(
    {
        "none": show,
        "name": mask_name,
        "email": mask_email,
        "phone": mask_phone,
        "address": mask_address,
        "place": mask_place,
        "postal_code": mask_postal_code,
        "date": mask_date,
        "amount": mask_amount,
        "quantity": mask_amount,
        "code": mask_code,
        "id_number": mask_id_number,
        "flag": hide,  # a text in a flag is no flag; true and false are kept
        "hide": hide,
    }
)
"""The rule of each mask; the catalogue gives a field its kind's or another one."""

_DOMAIN: Final = re.compile(r"(?=.{1,253}\Z)[\w-]{1,63}(\.[\w-]{1,63})+")
_PHONE: Final = re.compile(r"\+?[0-9 ().\-/]{1,40}")
_COUNTRY: Final = re.compile(r"[A-Z]{2,3}")
_PLACE: Final = re.compile(r"[^\W\d_]([^\W\d_]|[ .'’()-]){0,63}")
_POSTAL: Final = re.compile(r"[0-9A-Z][0-9A-Z -]{2,9}")
_DATE: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}(-[0-9]{2}(T[0-9:.]{5,15}(Z|[+-][0-9:]{2,5})?)?)?"
)
_AMOUNT: Final = re.compile(r"-?[0-9]{1,9}([.,][0-9]{1,4})?( ?[A-Z]{3})?")
_CODE: Final = re.compile(r"[A-Za-z0-9._-]{1,32}")

_TWO_SIGN_SURNAME: Final = re.compile(
    "欧阳|歐陽|司马|司馬|上官|诸葛|諸葛|东方|東方|皇甫|尉迟|尉遲|公孙|公孫|慕容|令狐|宇文|"
    "长孙|長孫|司徒|司空|夏侯|轩辕|軒轅|端木|百里|呼延|南宫|南宮|独孤|獨孤"
)
_PROVINCE: Final = re.compile(
    "北京|天津|上海|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|"
    "湖南|广东|海南|四川|贵州|云南|陕西|甘肃|青海|台湾|内蒙古|广西|西藏|宁夏|新疆|香港|澳门"
)


def _apply(rule: Mask, value: str) -> str:
    """Apply `rule` to the text in one form, or hide what no field should be."""
    if len(value) > MAX_MASKED_CHARACTERS:
        return HIDDEN
    return rule(unicodedata.normalize("NFC", value).strip())


def _country_code(digits: str) -> str:
    """Return the country calling code (ITU-T E.164) that `digits` begin with, or ''.

    No code is the beginning of another, so the first that fits is the one.
    """
    for length in (1, 2, 3):
        if int(digits[:length] or "0") in COUNTRY_CODE_TO_REGION_CODE:
            return digits[:length]
    return ""
