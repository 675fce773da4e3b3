# SPDX-License-Identifier: Apache-2.0
"""Promise: a cursor leads only where a page of its own list ended."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.vault.keys.sealing import Key
from services.vault.records.cursor import open_cursor, seal_cursor
from services.vault.records.errors import CursorInvalid

KEY = Key(b"k" * 32)
GOOD = seal_cursor(KEY, "seller", "records", "0190-id")


def test_a_cursor_opens_to_the_id_it_was_made_for() -> None:
    assert open_cursor(KEY, "seller", "records", GOOD) == "0190-id"


@pytest.mark.parametrize(
    ("key", "party", "kind"),
    [
        (Key(b"x" * 32), "seller", "records"),
        (KEY, "buyer", "records"),
        (KEY, "seller", "rows"),
    ],
)
def test_a_cursor_of_another_key_party_or_list_is_refused(
    key: Key, party: str, kind: str
) -> None:
    with pytest.raises(CursorInvalid):
        open_cursor(key, party, kind, GOOD)


@given(st.text(max_size=80))
def test_whatever_is_sent_is_refused_and_never_fails_otherwise(text: str) -> None:
    if text == GOOD:
        return
    with pytest.raises(CursorInvalid):
        open_cursor(KEY, "seller", "records", text)
