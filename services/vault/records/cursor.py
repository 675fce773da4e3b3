# SPDX-License-Identifier: Apache-2.0
"""Cursors of a list: where the last page ended, under a keyed MAC. Pure.

A cursor is good for one party and one list; an altered one is refused, so that nobody
walks where no page led.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from hashlib import blake2b
from typing import Final

from services.vault.keys.sealing import Key, canonical_context
from services.vault.records.errors import CursorInvalid

_MAC_BYTES: Final = 16
_PERSON: Final = b"keyturn-cursor-1"


def seal_cursor(key: Key, party: str, kind: str, after: str) -> str:
    """Return the cursor that continues after the id `after`."""
    text = after.encode()
    mac = _mac(key, party, kind, after)
    return base64.urlsafe_b64encode(mac + text).decode()


def open_cursor(key: Key, party: str, kind: str, cursor: str) -> str:
    """Return the id after which the list continues.

    Raises:
        CursorInvalid: Altered, or of another party or list.
    """
    try:
        raw = base64.b64decode(cursor, altchars=b"-_", validate=True)
        after = raw[_MAC_BYTES:].decode()
    except (binascii.Error, ValueError):
        raise CursorInvalid from None
    if not hmac.compare_digest(raw[:_MAC_BYTES], _mac(key, party, kind, after)):
        raise CursorInvalid
    return after


def _mac(key: Key, party: str, kind: str, after: str) -> bytes:
    return blake2b(
        canonical_context("keyturn-cursor-1", party, kind, after),
        key=key.secret,
        digest_size=_MAC_BYTES,
        person=_PERSON,
    ).digest()
