# SPDX-License-Identifier: Apache-2.0
"""Promises of the root key: one port, two providers, every damage recognised."""

import os
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.vault.errors import (
    PassphraseTooShort,
    RootKeyExists,
    RootKeyMissing,
    RootKeyUnreadable,
    RootKeyWrong,
    SealBroken,
)
from services.vault.keys.providers import (
    FileRootKey,
    KeyProvider,
    PassphraseRootKey,
    require_root,
)
from services.vault.keys.root_text import (
    MIN_MEMLIMIT,
    MIN_OPSLIMIT,
    PassphraseParameters,
    RootTextBroken,
    fingerprint,
    format_key,
    format_parameters,
    parse_key,
    parse_parameters,
)
from services.vault.keys.sealing import Key, class_key_context

PASSPHRASE = "correct horse battery staple"
PARAMETERS = PassphraseParameters(b"s" * 16, MIN_OPSLIMIT, MIN_MEMLIMIT)
CONTEXT = class_key_context("seller", "basic", 1, "class")
CLASS_KEY = Key(b"c" * 32)

Reopen = Callable[[], KeyProvider]


@pytest.fixture(params=["file", "passphrase"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Reopen:
    """Create a root key; return how a restarted vault opens the same one."""
    if request.param == "file":
        FileRootKey.create(tmp_path / "root.key")
        return lambda: FileRootKey.load(tmp_path / "root.key")
    return lambda: PassphraseRootKey.derive(PASSPHRASE, PARAMETERS)


def test_a_wrapped_key_opens_after_a_restart(reopen: Reopen) -> None:
    before, after = reopen(), reopen()
    assert after.unwrap(before.wrap(CLASS_KEY, CONTEXT), CONTEXT) == CLASS_KEY
    assert before.fingerprint() == after.fingerprint()
    require_root(after, before.fingerprint())


def test_a_wrapped_key_opens_in_its_place_only(reopen: Reopen) -> None:
    provider = reopen()
    sealed = provider.wrap(CLASS_KEY, CONTEXT)
    with pytest.raises(SealBroken):
        provider.unwrap(sealed, class_key_context("buyer", "basic", 1, "class"))
    with pytest.raises(SealBroken):
        provider.unwrap(sealed[:-1], CONTEXT)


def test_each_wrap_has_a_fresh_nonce(reopen: Reopen) -> None:
    provider = reopen()
    wraps = {provider.wrap(CLASS_KEY, CONTEXT) for _ in range(20)}
    assert len({wrap[33:57] for wrap in wraps}) == 20


def test_another_root_is_refused_by_its_fingerprint(
    reopen: Reopen, tmp_path: Path
) -> None:
    other = FileRootKey.create(tmp_path / "other.key")
    right = reopen()
    with pytest.raises(RootKeyWrong) as caught:
        require_root(other, right.fingerprint())
    assert right.fingerprint() in str(caught.value)
    assert other.fingerprint() in str(caught.value)
    with pytest.raises(SealBroken):
        other.unwrap(right.wrap(CLASS_KEY, CONTEXT), CONTEXT)


def test_a_provider_shows_its_fingerprint_and_no_key(
    reopen: Reopen, tmp_path: Path
) -> None:
    provider = reopen()
    assert provider.provider_id in ("file", "passphrase")
    assert provider.fingerprint() in repr(provider)
    assert len(provider.fingerprint()) == 16
    if provider.provider_id == "file":
        digits = "".join((tmp_path / "root.key").read_text().split()[2:-2])
        assert len(digits) == 64
        assert digits not in repr(provider) + str(vars(provider))


def test_the_file_is_private_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        FileRootKey.create(tmp_path / "root.key")
    finally:
        os.umask(old)
    assert (tmp_path / "root.key").stat().st_mode & 0o7777 == 0o600


def test_a_root_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "root.key"
    FileRootKey.create(path)
    before = path.read_bytes()
    with pytest.raises(RootKeyExists, match="not overwritten"):
        FileRootKey.create(path)
    assert path.read_bytes() == before
    (tmp_path / "link.key").symlink_to(tmp_path / "nowhere")
    with pytest.raises(RootKeyExists):
        FileRootKey.create(tmp_path / "link.key")
    assert not (tmp_path / "nowhere").exists()


def test_loading_never_creates(tmp_path: Path) -> None:
    with pytest.raises(RootKeyMissing, match="recovery sheet"):
        FileRootKey.load(tmp_path / "root.key")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o400, 0o700, 0o604, 0o4600])
def test_a_file_of_another_mode_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "root.key"
    FileRootKey.create(path)
    path.chmod(mode)
    with pytest.raises(RootKeyUnreadable, match="chmod 600"):
        FileRootKey.load(path)


def test_a_truncated_file_is_recognised_at_every_length(tmp_path: Path) -> None:
    path = tmp_path / "root.key"
    FileRootKey.create(path)
    whole = path.read_bytes()
    for length in range(len(whole) - 1):  # the last newline may go
        path.write_bytes(whole[:length])
        with pytest.raises(RootKeyUnreadable, match="Do not create a new"):
            FileRootKey.load(path)


def test_every_flipped_bit_of_the_file_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "root.key"
    original = FileRootKey.create(path)
    whole = path.read_bytes()
    for position in range(len(whole)):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[position] ^= 1 << bit
            path.write_bytes(damaged)
            try:
                loaded = FileRootKey.load(path)
            except RootKeyUnreadable:
                continue
            # Only what means the same may pass: a digit's case, a kind of space.
            assert loaded.fingerprint() == original.fingerprint()


@pytest.mark.parametrize("content", [b"", b"\0" * 200, b"\xff" * 200, b"x" * 10_000])
def test_any_other_file_is_unreadable(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "root.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(RootKeyUnreadable):
        FileRootKey.load(path)


def test_a_directory_or_pipe_is_no_key(tmp_path: Path) -> None:
    with pytest.raises(RootKeyUnreadable):
        FileRootKey.load(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(RootKeyUnreadable):
        FileRootKey.load(tmp_path / "pipe")


def test_the_error_shows_no_byte_of_the_key(tmp_path: Path) -> None:
    path = tmp_path / "root.key"
    FileRootKey.create(path)
    text = path.read_text()
    groups = text.splitlines()[1].split()[1:]
    path.write_text(text.replace(groups[0], groups[0][::-1], 1) + "x")
    with pytest.raises(RootKeyUnreadable) as caught:
        FileRootKey.load(path)
    shown = str(caught.value).lower()
    assert not any(group in shown for group in groups)


def test_the_recovery_sheet_restores_the_key(tmp_path: Path) -> None:
    path = tmp_path / "root.key"
    original = FileRootKey.create(path)
    sheet = original.recovery_sheet("0192-installation")
    assert "0192-installation" in sheet
    assert original.fingerprint() in sheet
    typed = sheet[sheet.index("keyturn-root-key/1") :].upper()
    typed = typed.replace("KEYTURN-ROOT-KEY", "keyturn-root-key")
    typed = typed.replace("KEY ", "key  ").replace("CHECK", "check")
    path.write_text(typed)
    assert FileRootKey.load(path).fingerprint() == original.fingerprint()


def test_a_passphrase_sheet_restores_all_but_the_passphrase() -> None:
    provider = PassphraseRootKey.derive(PASSPHRASE, PARAMETERS)
    sheet = provider.recovery_sheet("0192-installation", PARAMETERS)
    assert PASSPHRASE not in sheet
    start = sheet.index("keyturn-root-passphrase/1")
    lines = sheet[start:].split("\n\n")[0]
    assert parse_parameters(lines) == PARAMETERS


def test_a_passphrase_means_the_same_however_it_is_typed() -> None:
    composed = PassphraseRootKey.derive("Schlüssel über Brücken", PARAMETERS)
    typed = "Schlu\u0308ssel u\u0308ber Bru\u0308cken"
    assert (
        PassphraseRootKey.derive(typed, PARAMETERS).fingerprint()
        == composed.fingerprint()
    )
    salted = PassphraseParameters(b"t" * 16, MIN_OPSLIMIT, MIN_MEMLIMIT)
    other = PassphraseRootKey.derive("Schlüssel über Brücken", salted)
    assert other.fingerprint() != composed.fingerprint()


@pytest.mark.parametrize("passphrase", ["", "fifteen letters"])
def test_a_short_passphrase_is_refused(passphrase: str) -> None:
    with pytest.raises(PassphraseTooShort) as caught:
        PassphraseRootKey.derive(passphrase, PARAMETERS)
    assert "fifteen" not in str(caught.value)


@pytest.mark.parametrize(
    ("salt", "opslimit", "memlimit"),
    [
        (b"s" * 15, 3, MIN_MEMLIMIT),
        (b"s" * 16, 1, MIN_MEMLIMIT),
        (b"s" * 16, 21, MIN_MEMLIMIT),
        (b"s" * 16, 3, MIN_MEMLIMIT - 1),
        (b"s" * 16, 3, (4 << 30) + 1),
    ],
)
def test_weak_or_absurd_parameters_are_refused(
    salt: bytes, opslimit: int, memlimit: int
) -> None:
    with pytest.raises(ValueError, match=r"salt|opslimit|memlimit"):
        PassphraseParameters(salt, opslimit, memlimit)


def test_damaged_parameters_are_recognised() -> None:
    text = format_parameters(PARAMETERS)
    assert parse_parameters(text) == PARAMETERS
    for position, character in enumerate(text[:-1]):
        if character.isdigit():
            damaged = (
                f"{text[:position]}{(int(character) + 1) % 10}{text[position + 1 :]}"
            )
            with pytest.raises(RootTextBroken):
                parse_parameters(damaged)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("keyturn-root-passphrase/1", "keyturn-root-passphrase/2", "first line"),
        ("opslimit 2", "opslimit 1", "opslimit"),
        ("opslimit 2", "opslimit two", "number"),
        ("opslimit 2\n", "", "lines"),
        ("opslimit", "passes", "missing"),
        ("salt 73", "salt 7", "hex"),
        ("salt 7373", "salt ", "bytes"),
        ("salt", "x" * 5_000, "too long"),
    ],
)
def test_the_complaint_says_what_is_damaged(old: str, new: str, complaint: str) -> None:
    text = format_parameters(PARAMETERS)
    assert old in text
    with pytest.raises(RootTextBroken, match=complaint):
        parse_parameters(text.replace(old, new, 1))


def test_a_path_that_cannot_be_opened_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(RootKeyUnreadable, match="cannot be opened"):
        FileRootKey.load(tmp_path / "loop")


@given(st.text(max_size=300))
def test_parsers_raise_only_their_own_error(text: str) -> None:
    for parse, header in (
        (parse_key, "keyturn-root-key/1"),
        (parse_parameters, "keyturn-root-passphrase/1"),
    ):
        for attempt in (text, f"{header}\n{text}"):
            with pytest.raises(RootTextBroken):
                parse(attempt)


def test_the_fingerprint_is_in_a_domain_of_its_own() -> None:
    root = Key(b"r" * 32)
    expected = blake2b(
        b"", key=root.secret, digest_size=8, person=b"keyturn-root-fp"
    ).hexdigest()
    assert fingerprint(root) == expected
    assert not expected.startswith(format_key(root).split()[-1])
