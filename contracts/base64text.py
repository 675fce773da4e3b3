# SPDX-License-Identifier: Apache-2.0
"""The one base64 of all contracts: RFC 4648 §4, padded, canonical.

The standard library's decoder accepts several texts for the same bytes, which
would let a signed or hashed document be rewritten without being noticed.
"""

import base64


def encode(octets: bytes) -> str:
    """Return the padded base64 text of some bytes."""
    return base64.b64encode(octets).decode()


def decode(text: str) -> bytes:
    """Return the bytes of a base64 text.

    Raises:
        ValueError: The text is not the one that `encode` gives.
    """
    octets = base64.b64decode(text, validate=True)
    if encode(octets) != text:
        raise ValueError("base64 is not canonical")
    return octets
