# SPDX-License-Identifier: Apache-2.0
"""Bring values into the normal form under which they are indexed and compared. Pure.

What does not parse is refused with the field's name and never left unindexed in
silence. The payload keeps what the customer wrote; the normal form feeds the blind
index alone. It depends on tables that change (`METADATA_VERSION`): where a new version
of one changes a normal form, what was indexed before is found by its old form until it
is written again (ADR 0016). Nothing re-indexes yet.
"""

import re
import unicodedata
from functools import cache
from typing import Final, NamedTuple

import phonenumbers
from email_validator import (
    SPECIAL_USE_DOMAIN_NAMES,
    EmailNotValidError,
    validate_email,
)
from email_validator import __version__ as email_validator_version

from services.vault.errors import FieldUnparsable, PhoneUnparsable

MAX_INDEXED_CHARACTERS: Final = 1_000
METADATA_VERSION: Final = (
    f"2 unicode-{unicodedata.unidata_version} phonenumbers-{phonenumbers.__version__} "
    f"email-validator-{email_validator_version}"
)


def normalise(kind: str, value: str, *, field: str, region: str | None) -> str:
    """Return the normal form of `value` by the catalogue's `kind` of `field`.

    `region` is the party's home region (ISO 3166-1, two letters), for telephone
    numbers written without their country; without it they need a leading `+`.

    Raises:
        FieldUnparsable: the value has no normal form.
    """
    match kind:
        case "email":
            return normalise_email(value, field=field)
        case "phone":
            return normalise_phone(value, field=field, region=region)
        case _:
            return normalise_text(value, field=field)


def normalise_text(value: str, *, field: str) -> str:
    """Return `value` in NFKC (Unicode UAX #15) without space around it.

    Raises:
        FieldUnparsable: nothing is left, it is longer than 1,000 characters, or it
            holds half a surrogate pair.
    """
    text = _trimmed(value)
    if text is None:
        raise FieldUnparsable(field, "text")
    return text


def normalise_email(value: str, *, field: str) -> str:
    """Return an e-mail address without case: `JANE@X.org` is found as `jane@x.org`.

    NFKC and trimmed. RFC 5321 §2.4 leaves the case of the part before the `@` to its
    host, and hosts ignore it (decision 0016); a `+tag` stays: whether `a+b@x.org`
    reaches `a@x.org` is x.org's business. No look-up in the DNS.

    Raises:
        FieldUnparsable: not one address (RFC 5322, 6531), as `a b@x.org`.
    """
    text = _trimmed(value)
    address = None if text is None else _parsed_email(text)
    if address is None:
        raise FieldUnparsable(field, "email")
    return address


def normalise_phone(value: str, *, field: str, region: str | None) -> str:
    """Return a telephone number in E.164; an extension is not part of it.

    Possible numbers are accepted, not only assigned ones: numbering plans grow faster
    than the metadata.

    Raises:
        PhoneUnparsable: not a number, or without its country and `region`.
    """
    text = _trimmed(value)
    number = None if text is None else _parsed_phone(text, region)
    if number is None:
        raise PhoneUnparsable(field)
    return number


def is_region(region: str) -> bool:
    """Whether `region` is one that `normalise_phone` knows, as `DE`."""
    return region in phonenumbers.SUPPORTED_REGIONS


# The parsers' exceptions quote the value. They end inside these functions, so that not
# even the `__context__` of our own error carries it into a traceback.


def _trimmed(value: str) -> str | None:
    if len(value) > MAX_INDEXED_CHARACTERS:
        return None
    text = unicodedata.normalize("NFKC", value).strip()
    try:
        text.encode()
    except UnicodeEncodeError:
        return None
    return text or None


# Most values are their own normal form already, and the parsers cost as much as all the
# crypto of a handover's row. What follows recognises only what they would return
# unchanged; everything else is theirs. A property test holds the two together.

#: Neither case nor a label with `--` (Punycode); so short that no label is too long.
_PLAIN_EMAIL: Final = re.compile(
    r"[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*@((?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+[a-z]{2,})"
)
_PLAIN_CHARACTERS: Final = 64
_NO_DOMAINS: Final = tuple(f".{name}" for name in SPECIAL_USE_DOMAIN_NAMES)
_PLAIN_PHONE: Final = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)


def _is_plain_email(text: str) -> bool:
    found = _PLAIN_EMAIL.fullmatch(text) if len(text) <= _PLAIN_CHARACTERS else None
    return found is not None and not f".{found[1]}".endswith(_NO_DOMAINS)


class _Numbering(NamedTuple):
    """What `phonenumbers` asks of a number behind a country's calling code."""

    lengths: frozenset[int]
    prefix: re.Pattern[str] | None


@cache
def _numbering(code: int) -> _Numbering | None:
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(code)
    if regions is None:
        return None
    known = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(
        code, regions[0]
    )
    if known is None or known.general_desc is None:
        return None
    prefix = known.national_prefix_for_parsing
    return _Numbering(
        frozenset(known.general_desc.possible_length),
        re.compile(prefix, re.ASCII) if prefix else None,
    )


def _is_plain_phone(text: str) -> bool:
    """Whether it is a possible number in E.164 with no trunk prefix to take off."""
    if _PLAIN_PHONE.fullmatch(text) is None:
        return False
    for digits in (1, 2, 3):
        plan = _numbering(int(text[1 : 1 + digits]))
        if plan is None:
            continue
        national = text[1 + digits :]
        return (
            len(national) in plan.lengths
            and national[0] != "0"
            and (plan.prefix is None or plan.prefix.match(national) is None)
        )
    return False


def _parsed_email(text: str) -> str | None:
    if _is_plain_email(text):
        return text
    try:
        address = validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError:
        return None
    # The domain comes back as Unicode in NFC and in lower case, not folded: `faß.de` is
    # not `fass.de`. NFKC once more, so that a normal form is its own normal form.
    local, _, domain = address.rpartition("@")
    return unicodedata.normalize("NFKC", f"{local.casefold()}@{domain}")


def _parsed_phone(text: str, region: str | None) -> str | None:
    if _is_plain_phone(text):
        return text
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
