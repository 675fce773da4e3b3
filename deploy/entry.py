# SPDX-License-Identifier: Apache-2.0
"""The entrance of the image and the units: lay the parcel, then be the service.

    python -m deploy.entry [--parcel FOLDER] vault serve
    python -m deploy.entry parcels --out FOLDER
    python -m deploy.entry topic-rights --servers HOST:PORT

The service replaces this process, so signals reach it and no parent is left.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final, NoReturn

from deploy import parcels, topic_rights
from services.audit.settings import AuditSettings
from services.chassis.settings import ServiceSettings, SettingsError
from services.transfer.settings import TransferSettings
from services.vault.settings import VaultSettings

SETTINGS: Final[dict[str, type[ServiceSettings]]] = {
    "vault": VaultSettings,
    "transfer": TransferSettings,
    "audit": AuditSettings,
}
OWN: Final = {"parcels": parcels.main, "topic-rights": topic_rights.main}
USAGE: Final = "vault|transfer|audit COMMAND ..., or parcels|topic-rights ..."


def main(arguments: list[str]) -> int:
    """Become the service; returns only when that is refused, or for what is here."""
    parcel = None
    if arguments[:1] == ["--parcel"] and len(arguments) > 1:
        parcel, arguments = Path(arguments[1]), arguments[2:]
    if arguments and arguments[0] in OWN:
        return OWN[arguments[0]](arguments[1:])
    if not arguments or arguments[0] not in SETTINGS:
        print(f"usage: python -m deploy.entry [--parcel FOLDER] {USAGE}")
        return 2
    service, *rest = arguments
    try:
        if parcel is not None:
            settings = SETTINGS[service].from_environ(os.environ)
            parcels.lay(service, parcel, settings)
    except (SettingsError, parcels.ParcelRefused, OSError) as refused:
        print(f"refused: {refused}", file=sys.stderr)
        return 1
    return _become(f"services.{service}", rest)


def _become(module: str, arguments: list[str]) -> NoReturn:
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
