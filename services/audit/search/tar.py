# SPDX-License-Identifier: Apache-2.0
"""A tar, member by member: the same bytes for the same content, whoever runs it."""

import tarfile
from typing import Final

_BLOCK: Final = tarfile.BLOCKSIZE
END: Final = b"\0" * (2 * _BLOCK)


def member(name: str, octets: bytes) -> bytes:
    """Return a member of this name and content."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(octets), 0o644
    padding = b"\0" * (-len(octets) % _BLOCK)
    return info.tobuf(tarfile.USTAR_FORMAT) + octets + padding
