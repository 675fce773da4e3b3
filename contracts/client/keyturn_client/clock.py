# SPDX-License-Identifier: Apache-2.0
"""The client's only clock and source of chance: token lifetimes, idempotency keys."""

import secrets
import time


def monotonic() -> float:
    """Return seconds since some fixed moment; never goes back."""
    return time.monotonic()


def new_key() -> str:
    """Return an idempotency key that nobody can guess: 32 characters, 192 bits."""
    return secrets.token_urlsafe(24)


def epoch_seconds() -> int:
    """Return seconds since 1970, UTC."""
    return int(time.time())
