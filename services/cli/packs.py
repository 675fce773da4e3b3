# SPDX-License-Identifier: Apache-2.0
"""`python -m services.cli.packs [--check]`: compile the rule packs.

Owns the way from the YAML that people write to the canonical JSON that the code
reads. With `--check` it writes nothing and fails where the committed JSON differs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import rfc8785
import yaml

from contracts.custody.document import DocumentMalformed
from contracts.law.pack import parse_pack, rule_pack_hash

PACKS = "contracts.law.packs"


class PackUnreadable(Exception):  # noqa: N818 - a state of the file
    """The YAML is no rule pack; the message says which rule it breaks."""


def _require_unique_keys(node: Any) -> None:
    # The standard loader silently keeps the last of two equal keys.
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value]
        if len(set(keys)) != len(keys):
            raise PackUnreadable("a key occurs twice in one mapping")
        for _, value in node.value:
            _require_unique_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _require_unique_keys(item)


def compile_pack(text: str) -> bytes:
    """Return the canonical JSON (RFC 8785) of a pack written in YAML.

    Raises:
        PackUnreadable: Not YAML, or not a rule pack.
    """
    try:
        _require_unique_keys(yaml.compose(text, Loader=yaml.SafeLoader))
        raw = rfc8785.dumps(yaml.safe_load(text))
        parse_pack(raw)
    except (yaml.YAMLError, DocumentMalformed, rfc8785.CanonicalizationError) as exc:
        raise PackUnreadable(str(exc)) from exc
    return raw


def compile_all(folder: Path, *, check: bool) -> list[str]:
    """Compile every pack of a folder and return the names of those that changed.

    Raises:
        PackUnreadable: A file is no rule pack.
    """
    changed = []
    for source in sorted(folder.glob("*.yaml")):
        raw = compile_pack(source.read_text(encoding="utf-8"))
        target = source.with_suffix(".json")
        if target.is_file() and target.read_bytes() == raw:
            continue
        changed.append(source.stem)
        if not check:
            target.write_bytes(raw)
            print(f"{source.stem}: {rule_pack_hash(raw)}")
    return changed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 1 where a check finds a difference."""
    parser = argparse.ArgumentParser(
        prog="python -m services.cli.packs", description="Compile the rule packs."
    )
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    options = parser.parse_args(arguments)
    changed = compile_all(Path(str(files(PACKS))), check=options.check)
    if options.check and changed:
        print(f"not compiled: {', '.join(changed)}; run `make contracts`")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
