# SPDX-License-Identifier: Apache-2.0
"""Promise: a pseudonym is the same within party and purpose, and nowhere else."""

import itertools

from services.vault.keys.pseudonyms import pseudonym, pseudonym_key
from services.vault.keys.sealing import Key

ONE, OTHER = Key(b"1" * 32), Key(b"2" * 32)


def test_the_same_value_has_one_pseudonym_however_it_is_written() -> None:
    key = pseudonym_key(ONE, "alpha", "invoicing")
    known = {pseudonym(key, "email", text) for text in ("a@b.de", " A@B.de", "ａ@b.de")}
    assert len(known) == 1


def test_party_purpose_key_and_field_each_make_it_another() -> None:
    places = itertools.product(
        (ONE, OTHER), ("alpha", "beta"), ("invoicing", "sale"), ("email", "phone")
    )
    found = [
        pseudonym(pseudonym_key(key, party, purpose), field, "a@b.de")
        for key, party, purpose, field in places
    ]
    assert len(set(found)) == len(found) == 16
    assert {len(one) for one in found} == {32}


def test_names_and_values_never_run_into_each_other() -> None:
    assert pseudonym_key(ONE, "ab", "c") != pseudonym_key(ONE, "a", "bc")
    key = pseudonym_key(ONE, "a", "b")
    assert pseudonym(key, "ab", "c") != pseudonym(key, "a", "bc")
