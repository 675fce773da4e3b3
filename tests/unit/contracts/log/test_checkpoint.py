# SPDX-License-Identifier: Apache-2.0
"""Notes, checkpoints and cosignatures are C2SP's, and nothing else is accepted."""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from proofbundle.checkpoint import verify_checkpoint

from contracts.log import merkle
from contracts.log.checkpoint import (
    Checkpoint,
    Cosigner,
    NoteSigner,
    NoteVerifier,
    open_checkpoint,
    open_note,
)
from contracts.log.errors import (
    CheckpointMalformed,
    KeyMalformed,
    NoteMalformed,
    NoteUnverified,
)
from contracts.log.note import KeyType

VECTORS = Path(__file__).parents[4] / "contracts" / "vectors" / "log"
NOTE = json.loads((VECTORS / "signed_note.json").read_bytes())
LOG = json.loads((VECTORS / "checkpoint.json").read_bytes())

SIGNER = NoteSigner(LOG["origin"], bytes.fromhex(LOG["log_seed_hex"]))
COSIGNER = Cosigner(LOG["witness_name"], bytes.fromhex(LOG["witness_seed_hex"]))
CHECKPOINT = Checkpoint(LOG["origin"], LOG["size"], base64.b64decode(LOG["root"]))
SIGNED = SIGNER.sign(CHECKPOINT.text())
COSIGNED = SIGNED + COSIGNER.line(CHECKPOINT.text(), LOG["witness_time"])


def bogus_line(name: str = "bogus.example/1", blob: bytes = bytes(68)) -> bytes:
    return f"— {name} {base64.b64encode(blob).decode()}\n".encode()


def test_the_signed_note_vector_opens() -> None:
    verifier = NoteVerifier.from_vkey(NOTE["vkey"])
    note = f"{NOTE['text']}\n— {verifier.name} {NOTE['signature']}\n".encode()
    opened = open_note(note, [verifier])
    assert opened.text == NOTE["text"]
    assert opened.signed_by(verifier)
    assert verifier.vkey == NOTE["vkey"]


def test_the_log_signs_the_checkpoint_vector_byte_for_byte() -> None:
    leaves = [merkle.leaf_hash(leaf.encode()) for leaf in LOG["leaves"]]
    assert merkle.tree_root(leaves) == CHECKPOINT.root
    assert SIGNER.vkey == LOG["log_vkey"]
    expected = f"{CHECKPOINT.text()}\n{LOG['signature_line']}\n".encode()
    assert expected == SIGNED


def test_a_witness_signs_the_cosignature_vector_byte_for_byte() -> None:
    assert COSIGNER.vkey == LOG["witness_vkey"]
    line = COSIGNER.line(CHECKPOINT.text(), LOG["witness_time"])
    assert line.decode() == LOG["cosignature_line"] + "\n"
    opened = open_note(COSIGNED, [SIGNER.verifier, COSIGNER.verifier])
    assert [v.timestamp for v in opened.verified] == [None, LOG["witness_time"]]


def test_an_independent_checker_accepts_the_checkpoint() -> None:
    assert verify_checkpoint(COSIGNED.decode(), LOG["log_vkey"])


def test_the_checkpoint_opens_with_log_and_witness_keys() -> None:
    log, witness = SIGNER.verifier, COSIGNER.verifier
    assert open_checkpoint(SIGNED, log) == CHECKPOINT
    assert open_checkpoint(COSIGNED, log, [witness], threshold=1) == CHECKPOINT


def test_unknown_lines_are_ignored_up_to_a_hundred() -> None:
    many = b"".join(bogus_line(f"bogus.example/{i}") for i in range(40))
    note = CHECKPOINT.text().encode() + b"\n" + many + SIGNED.split(b"\n\n")[1]
    assert open_checkpoint(note, SIGNER.verifier) == CHECKPOINT
    same_name = SIGNED + bogus_line(LOG["origin"])  # another key id: unknown
    assert open_checkpoint(same_name, SIGNER.verifier) == CHECKPOINT
    short = SIGNED + bogus_line(blob=bytes(5))
    assert open_checkpoint(short, SIGNER.verifier) == CHECKPOINT
    too_many = SIGNED + b"".join(bogus_line(f"b/{i}") for i in range(100))
    with pytest.raises(NoteMalformed):
        open_checkpoint(too_many, SIGNER.verifier)


@pytest.mark.parametrize("blob", [bytes(64), bytes(1), bytes(65)])
def test_a_bad_signature_of_a_known_key_rejects_the_note(blob: bytes) -> None:
    bad = bogus_line(LOG["origin"], SIGNER.verifier.key_id + blob)
    for note in (SIGNED + bad, CHECKPOINT.text().encode() + b"\n" + bad):
        with pytest.raises(NoteUnverified):
            open_note(note, [SIGNER.verifier])
    witness = bogus_line(LOG["witness_name"], COSIGNER.verifier.key_id + blob)
    with pytest.raises(NoteUnverified):
        open_note(SIGNED + witness, [SIGNER.verifier, COSIGNER.verifier])


def test_a_key_that_signed_twice_is_one_signature() -> None:
    twice = SIGNED + SIGNED.split(b"\n\n")[1]
    assert len(open_note(twice, [SIGNER.verifier]).verified) == 1


def test_a_text_with_empty_lines_is_split_at_the_last_one() -> None:
    text = "one\n\ntwo\n\n"
    assert open_note(SIGNER.sign(text), [SIGNER.verifier]).text == text


def test_a_note_of_strangers_only_is_unverified() -> None:
    stranger = NoteSigner("stranger.example", bytes(32))
    with pytest.raises(NoteUnverified):
        open_note(SIGNED, [stranger.verifier])
    with pytest.raises(NoteUnverified):
        open_note(SIGNED, [])


def test_a_witness_alone_does_not_make_a_checkpoint() -> None:
    line = COSIGNER.line(CHECKPOINT.text(), 1)
    note = CHECKPOINT.text().encode() + b"\n" + line
    with pytest.raises(NoteUnverified):
        open_checkpoint(note, SIGNER.verifier, [COSIGNER.verifier])


def test_one_witness_key_under_two_names_counts_once() -> None:
    double = Cosigner("witness.example/w2", bytes.fromhex(LOG["witness_seed_hex"]))
    note = COSIGNED + double.line(CHECKPOINT.text(), 1)
    witnesses = [COSIGNER.verifier, double.verifier]
    assert open_checkpoint(note, SIGNER.verifier, witnesses, threshold=1)
    with pytest.raises(NoteUnverified):
        open_checkpoint(note, SIGNER.verifier, witnesses, threshold=2)


def test_the_log_is_no_witness_of_itself() -> None:
    itself = Cosigner("w", bytes.fromhex(LOG["log_seed_hex"]))
    note = SIGNED + itself.line(CHECKPOINT.text(), 1)
    with pytest.raises(NoteUnverified):
        open_checkpoint(note, SIGNER.verifier, [itself.verifier], threshold=1)


def test_another_origin_is_refused() -> None:
    with pytest.raises(CheckpointMalformed):
        open_checkpoint(SIGNED, SIGNER.verifier, origin="audit.example/tenant-b")
    other = Checkpoint("audit.example/tenant-b", 15, CHECKPOINT.root)
    with pytest.raises(CheckpointMalformed):
        open_checkpoint(SIGNER.sign(other.text()), SIGNER.verifier)


@given(st.integers(0, len(SIGNED) * 8 - 1))
def test_any_flipped_bit_of_a_signed_checkpoint_is_noticed(bit: int) -> None:
    flipped = bytearray(SIGNED)
    flipped[bit // 8] ^= 1 << (bit % 8)
    with pytest.raises((NoteMalformed, NoteUnverified)):
        open_checkpoint(bytes(flipped), SIGNER.verifier)


@pytest.mark.parametrize("cut", range(1, len(SIGNED)))
def test_a_truncated_checkpoint_is_noticed(cut: int) -> None:
    with pytest.raises((NoteMalformed, NoteUnverified)):
        open_checkpoint(SIGNED[:cut], SIGNER.verifier)


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"text\n",
        b"text\n\n",
        b"text\n\nno dash\n",
        "text\n\n— name\n".encode(),
        "text\n\n— name AAAAAAA\n".encode(),
        "text\n\n— name AAAAAAB=\n".encode(),
        "text\n\n— name AAAA\n".encode(),
        "text\n\n— na+me AAAAAAAA\n".encode(),
        "text\n\n—  AAAAAAAA\n".encode(),
        "text\n\n— name AAAAAAAA".encode(),
        "text\n\n— name AAAAAAAA\n— name\n".encode(),
        "te\txt\n\n— name AAAAAAAA\n".encode(),
        "te\rxt\n\n— name AAAAAAAA\n".encode(),
        b"\xff\n\n\xe2\x80\x94 name AAAAAAAA\n",
        b"x" * 70_000,
    ],
    ids=range(16),
)
def test_what_is_not_a_note_is_refused(note: bytes) -> None:
    with pytest.raises(NoteMalformed):
        open_note(note, [SIGNER.verifier])


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        "name+530d903a",
        NOTE["vkey"].replace("530d903a", "530d903b"),
        NOTE["vkey"].replace("530d903a", "530D903A"),
        NOTE["vkey"][:-4],
        NOTE["vkey"] + "=",
        NOTE["vkey"].replace("/foo", "/fo o"),
        "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "name+00000000+",
        "name+00000000+" + base64.b64encode(b"\x02" + bytes(32)).decode(),
        "\ud800+00000000+" + base64.b64encode(b"\x01" + bytes(32)).decode(),
    ],
    ids=range(12),
)
def test_what_is_not_a_vkey_is_refused(vkey: str) -> None:
    with pytest.raises(KeyMalformed):
        NoteVerifier.from_vkey(vkey)


def test_keys_with_bad_names_or_seeds_cannot_sign() -> None:
    for name, seed in (("a b", bytes(32)), ("a+b", bytes(32)), ("a", bytes(31))):
        with pytest.raises(KeyMalformed):
            NoteSigner(name, seed)
        with pytest.raises(KeyMalformed):
            Cosigner(name, seed)
    assert "***" in repr(SIGNER)
    assert "***" in repr(COSIGNER)


def test_two_keys_with_the_same_name_and_id_are_ambiguous(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = NoteVerifier(LOG["origin"], KeyType.ED25519, bytes(32))
    monkeypatch.setattr(NoteVerifier, "key_id", b"same")
    with pytest.raises(KeyMalformed):
        open_note(SIGNED, [SIGNER.verifier, other])


def test_a_text_that_is_no_note_cannot_be_signed() -> None:
    for text in ("", "no end", "tab\t\n"):
        with pytest.raises(NoteMalformed):
            SIGNER.sign(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n1\n",
        f"\n15\n{LOG['root']}\n",
        f"a\n\n{LOG['root']}\n",
        f"a\n015\n{LOG['root']}\n",
        f"a\n-1\n{LOG['root']}\n",
        f"a\n+1\n{LOG['root']}\n",
        f"a\n１\n{LOG['root']}\n",
        f"a\n9223372036854775808\n{LOG['root']}\n",
        "a\n" + "9" * 5000 + f"\n{LOG['root']}\n",
        f"a\n15\n{LOG['root'][:-1]}\n",
        "a\n15\nAAAA\n",
        f"a\n15\n{LOG['root']}",
        f"a\n15\n{LOG['root']}\nextension\n",
        f"a\n0\n{LOG['root']}\n",
        f"a\r\n15\n{LOG['root']}\n",
    ],
    ids=range(16),
)
def test_what_is_not_a_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(CheckpointMalformed):
        Checkpoint.parse(text)


def test_the_empty_log_has_a_checkpoint() -> None:
    empty = Checkpoint("a", 0, merkle.EMPTY_ROOT)
    assert Checkpoint.parse(empty.text()) == empty


@given(st.text())
def test_parse_raises_only_its_own_error(text: str) -> None:
    with pytest.raises(CheckpointMalformed):
        Checkpoint.parse(text)
