# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: N818 - the names say what the bytes are: malformed, invalid, unverified
"""The errors of the log's formats, one root.

A message says which rule was broken and never repeats the input.
"""


class LogError(Exception):
    """Root of everything `contracts.log` raises."""


class TreePositionError(LogError):
    """An index or a size lies outside the tree that was asked about."""


class ProofInvalid(LogError):
    """An inclusion or consistency proof does not lead to the given root."""


class RangeMalformed(LogError):
    """Stored bytes of a compact range or a tile edge are not what was written."""


class KeyMalformed(LogError):
    """A key name, seed or vkey breaks the signed-note rules."""


class NoteMalformed(LogError):
    """Bytes are not a signed note."""


class NoteUnverified(LogError):
    """A signed note lacks a needed signature, or a known key's one is wrong."""


class CheckpointMalformed(LogError):
    """The text of a note is not a checkpoint, or of another origin."""


class TileMalformed(LogError):
    """A tile path, a tile or an entry bundle breaks the tlog-tiles rules."""


class ProofMalformed(LogError):
    """Bytes are not a `.tlog-proof` file."""
