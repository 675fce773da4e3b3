# SPDX-License-Identifier: Apache-2.0
"""How a root key stands on disk and on paper, and its fingerprint. Pure.

Small text with a version in its first line and a check at its end, so that a damaged,
truncated or mistyped copy is recognised before anything is opened with it. Spaces and
the case of hex digits do not matter: people type this from paper.
"""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from nacl.pwhash import argon2id

from services.vault.keys.sealing import KEY_BYTES, Key

MAX_CHARACTERS: Final = 4_096
FINGERPRINT_BYTES: Final = 8
SALT_BYTES: Final = argon2id.SALTBYTES  # 16
# Argon2id no weaker than libsodium's "interactive", no bigger than a small server:
# a damaged file must neither weaken the key nor take all memory.
MIN_OPSLIMIT: Final = argon2id.OPSLIMIT_INTERACTIVE  # 2 passes
MAX_OPSLIMIT: Final = 20
MIN_MEMLIMIT: Final = argon2id.MEMLIMIT_INTERACTIVE  # 64 MiB
MAX_MEMLIMIT: Final = 4 << 30

_KEY_HEADER: Final = "keyturn-root-key/1"
_PARAMETER_HEADER: Final = "keyturn-root-passphrase/1"
_CHECK_BYTES: Final = 4


class RootTextBroken(ValueError):  # noqa: N818 - names the state, as SealBroken
    """A root key's text is damaged; the message says where and shows no byte of it."""


@dataclass(frozen=True, slots=True)
class PassphraseParameters:
    """How a passphrase becomes a root key. Not secret; without it nothing opens.

    Attributes:
        salt: 16 random bytes.
        opslimit: Passes over the memory.
        memlimit: Memory in bytes.
    """

    salt: bytes
    opslimit: int = argon2id.OPSLIMIT_MODERATE  # 3 passes
    memlimit: int = argon2id.MEMLIMIT_MODERATE  # 256 MiB

    def __post_init__(self) -> None:
        """Refuse what is weaker or bigger than allowed (`ValueError`)."""
        if len(self.salt) != SALT_BYTES:
            raise ValueError(f"the salt is {SALT_BYTES} bytes")
        if not MIN_OPSLIMIT <= self.opslimit <= MAX_OPSLIMIT:
            raise ValueError(f"opslimit is {MIN_OPSLIMIT}-{MAX_OPSLIMIT}")
        if not MIN_MEMLIMIT <= self.memlimit <= MAX_MEMLIMIT:
            raise ValueError(f"memlimit is {MIN_MEMLIMIT}-{MAX_MEMLIMIT} bytes")


def fingerprint(root: Key) -> str:
    """Return 16 hex digits that recognise `root`.

    A keyed BLAKE2b in a domain of its own, used for nothing else. It says nothing
    about a random 32-byte key: to find the key from it one would have to try 2^256
    of them. For a passphrase it lets a thief recognise a right guess, but so does
    each wrapped key beside it, at the same price of one Argon2id a guess.
    """
    return blake2b(
        b"", key=root.secret, digest_size=FINGERPRINT_BYTES, person=b"keyturn-root-fp"
    ).hexdigest()


def format_key(root: Key) -> str:
    """Return the three lines of a root key's file: version, key, check."""
    return f"{_KEY_HEADER}\nkey {_grouped(root.secret)}\ncheck {_check(root.secret)}\n"


def parse_key(text: str) -> Key:
    """Return the root key that `text` holds.

    Raises:
        RootTextBroken: it holds none, or not completely.
    """
    lines = _lines(text, _KEY_HEADER, ("key", "check"))
    secret = _hex("key", lines["key"], KEY_BYTES)
    _require_check(secret, lines["check"])
    return Key(secret)


def format_parameters(parameters: PassphraseParameters) -> str:
    """Return the lines in which a passphrase's parameters are stored."""
    body = (
        f"salt {_grouped(parameters.salt)}\n"
        f"opslimit {parameters.opslimit}\nmemlimit {parameters.memlimit}\n"
    )
    return f"{_PARAMETER_HEADER}\n{body}check {_check(_parameter_bytes(parameters))}\n"


def parse_parameters(text: str) -> PassphraseParameters:
    """Return the parameters that `text` holds.

    Raises:
        RootTextBroken: it holds none, not completely, or weaker than allowed.
    """
    names = ("salt", "opslimit", "memlimit", "check")
    lines = _lines(text, _PARAMETER_HEADER, names)
    salt = _hex("salt", lines["salt"], SALT_BYTES)
    numbers = [_number(name, lines[name]) for name in ("opslimit", "memlimit")]
    try:
        parameters = PassphraseParameters(salt, *numbers)
    except ValueError as error:
        raise RootTextBroken(str(error)) from None
    _require_check(_parameter_bytes(parameters), lines["check"])
    return parameters


def key_sheet(root: Key, installation: str) -> str:
    """Return the recovery sheet of a file's root key. It holds the key."""
    return (
        f"{_SHEET_HEAD.format(installation=installation, print=fingerprint(root))}"
        "To restore: write these three lines into the key file, mode 600.\n\n"
        f"{format_key(root)}"
    )


def passphrase_sheet(
    root_fingerprint: str, installation: str, parameters: PassphraseParameters
) -> str:
    """Return the recovery sheet of a passphrase, with a line to write it by hand."""
    return (
        f"{_SHEET_HEAD.format(installation=installation, print=root_fingerprint)}"
        "To restore: write these lines into the parameter file and start the vault\n"
        "with the passphrase.\n\n"
        f"{format_parameters(parameters)}\n"
        "passphrase (by hand): ________________________________________________\n"
    )


_SHEET_HEAD: Final = """\
KEYTURN RECOVERY SHEET                              keep offline, like cash
installation  {installation}
fingerprint   {print}

Who has this sheet and a copy of the database can read every record.
Who has neither this sheet nor the root key can read none, for ever: there is no
other way back. Print it, store it in two safe places, keep no copy of this page.

"""


def _grouped(data: bytes) -> str:
    digits = data.hex()
    return " ".join(digits[i : i + 8] for i in range(0, len(digits), 8))


def _check(data: bytes) -> str:
    """Return a check against damage, not against an attacker."""
    return blake2b(
        data, digest_size=_CHECK_BYTES, person=b"keyturn-root-ck"
    ).hexdigest()


def _require_check(data: bytes, found: str) -> None:
    if "".join(found.split()).lower() != _check(data):
        raise RootTextBroken("the check does not match")


def _parameter_bytes(parameters: PassphraseParameters) -> bytes:
    return (
        parameters.salt
        + parameters.opslimit.to_bytes(8, "big")
        + parameters.memlimit.to_bytes(8, "big")
    )


def _lines(text: str, header: str, names: tuple[str, ...]) -> dict[str, str]:
    """Return the rest of each named line; the names stand in this order, alone."""
    if len(text) > MAX_CHARACTERS:
        raise RootTextBroken("too long")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines or lines[0] != header:
        raise RootTextBroken(f"the first line is not {header!r}")
    if len(lines) != len(names) + 1:
        raise RootTextBroken(f"not {len(names) + 1} lines")
    found = {}
    for name, line in zip(names, lines[1:], strict=True):
        first, _, rest = line.partition(" ")
        if first != name:
            raise RootTextBroken(f"the line {name!r} is missing")
        found[name] = rest
    return found


def _hex(name: str, digits: str, size: int) -> bytes:
    try:
        data = bytes.fromhex("".join(digits.split()))
    except ValueError:
        raise RootTextBroken(f"{name!r} is not hex") from None
    if len(data) != size:
        raise RootTextBroken(f"{name!r} is not {size} bytes")
    return data


def _number(name: str, digits: str) -> int:
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 12):
        raise RootTextBroken(f"{name!r} is not a number")
    return int(digits)
