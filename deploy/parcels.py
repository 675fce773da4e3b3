# SPDX-License-Identifier: Apache-2.0
"""Parcels: the few files of an installation that one service needs, and no more.

`init` of the three services makes all keys in one place, the office. `pack` there
gives each service a flat folder, which fits a secret of Kubernetes, credentials of
systemd or a volume; `lay` puts it where the service reads, mode 0600: those carriers
show files to a group, and Keyturn refuses keys that others might have read.

    python -m deploy.parcels --out FOLDER    state and keys by KEYTURN_..._DIR
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.chassis.key_files import private_directory, replace_private
from services.chassis.settings import ServiceSettings

PUBLIC: Final = ("installation.json", "log.vkey")


class ParcelRefused(Exception):  # noqa: N818 - the start is refused
    """A file of the parcel is missing; the message names it and what makes it."""


@dataclass(frozen=True)
class Parcel:
    """What one service gets: paths under the keys and under the state directory."""

    keys: tuple[str, ...]
    state: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The flat names of its files."""
        return tuple(Path(path).name for path in (*self.keys, *self.state))


PARCELS: Final = {
    "vault": Parcel(
        keys=("root.key", "vault-source.key", "issuer.key"),
        state=(*PUBLIC, "vault/db.keys"),
    ),
    "transfer": Parcel(
        keys=("transfer-source.key", "transfer-db.key", "clients/transfer.json"),
        state=PUBLIC,
    ),
    "audit": Parcel(
        keys=("log.key", "audit-source.key", "audit-db.key", "clients/audit.json"),
        state=(*PUBLIC, "sources.json"),
    ),
}


def pack(state: Path, keys: Path, out: Path) -> None:
    """Write `<out>/<service>/` for each service; repeatable.

    Raises:
        ParcelRefused: A file is missing; nothing after it was written.
    """
    for service, parcel in PARCELS.items():
        private_directory(out / service)
        for folder, paths in ((keys, parcel.keys), (state, parcel.state)):
            for path in paths:
                _copy(folder / path, out / service / Path(path).name)


def lay(service: str, parcel: Path, settings: ServiceSettings) -> None:
    """Put a parcel into the service's own state and keys directories; repeatable.

    Raises:
        ParcelRefused: A file of the parcel is missing.
    """
    wanted = PARCELS[service]
    for folder, paths in (
        (settings.keys_dir, wanted.keys),
        (settings.state_dir, wanted.state),
    ):
        for path in paths:
            private_directory((folder / path).parent)
            _copy(parcel / Path(path).name, folder / path)


def _copy(source: Path, target: Path) -> None:
    try:
        content = source.read_bytes()
    except OSError as error:
        raise ParcelRefused(
            f"{source} cannot be read ({error.strerror}): run `init` of vault, "
            "transfer and audit, then pack again"
        ) from None
    replace_private(target, content)


def main(arguments: list[str]) -> int:
    """Pack the parcels of the office; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.parcels",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True, help="one folder each")
    given = parser.parse_args(arguments)
    state = Path(os.environ.get("KEYTURN_STATE_DIR", ".keyturn"))
    keys = Path(os.environ.get("KEYTURN_KEYS_DIR", ".keyturn-keys"))
    try:
        pack(state, keys, given.out)
    except ParcelRefused as refused:
        print(f"refused: {refused}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
