# SPDX-License-Identifier: Apache-2.0
"""Text of others, as it may stand on a person's screen.

A hostile text must not move the cursor over what the person reads.
"""


def visible(text: str) -> str:
    """Return a text with everything unprintable (controls, bidi marks) spelled out."""
    return "".join(
        char if char.isprintable() else f"<U+{ord(char):04X}>" for char in text
    )
