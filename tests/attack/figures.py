# SPDX-License-Identifier: Apache-2.0
"""How much an attack tries: usual figures, those of a release (hours), and few.

Few are enough where a check was taken out, and a plant that is not noticed by them
would not be noticed early either.
"""

import os

FIGURES = os.environ.get("KEYTURN_ATTACK_FIGURES", "usual")
RELEASE = FIGURES == "release"


def figure(usual: int, release: int, few: int | None = None) -> int:
    """Return the figure of this run."""
    if RELEASE:
        return release
    return few if FIGURES == "few" and few is not None else usual
