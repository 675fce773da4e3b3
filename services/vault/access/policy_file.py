# SPDX-License-Identifier: Apache-2.0
"""Read the rules from disk: those that come with Keyturn, or an installation's own."""

from importlib.resources import files
from pathlib import Path

from services.vault.access.policy import Policy
from services.vault.errors import PolicyBroken


def load_policy(path: Path | None = None) -> Policy:
    """Return the policy at `path`, or the one that comes with Keyturn.

    Raises:
        PolicyBroken: it cannot be read, does not parse or does not fit the schema.
            The vault does not start without rules.
    """
    source = path or files("services.vault.access").joinpath("policies.cedar")
    try:
        return Policy(source.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyBroken(f"The policies at {source} cannot be read.") from error
