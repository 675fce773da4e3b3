# SPDX-License-Identifier: Apache-2.0
"""How much an attack tries: few (in `make test`), usual (`make attack`), release.

Few are enough where a check was taken out: a plant that they do not notice would not
be noticed early either.
"""

import os

FIGURES = os.environ.get("KEYTURN_ATTACK_FIGURES", "few")


def figure(few: int, usual: int, release: int) -> int:
    """Return the figure of this run."""
    return {"few": few, "usual": usual, "release": release}[FIGURES]
