# SPDX-License-Identifier: Apache-2.0
"""Generates the client's models: the bodies of the operations it has, as TypedDicts.

Owns the list of operations that the client leaves out, each with its reason.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

FOLDER: Final = (
    Path(__file__).parents[1] / "contracts" / "client" / "keyturn_client" / "models"
)
_CUSTODY: Final = "transfer calls it, under a mandate; no integrator can"
_OUTBOX: Final = "audit fetches from there what the bus lost"
_PROBES: Final = "for whoever runs the service: probes, scrapers, a browser"
_EVERYWHERE: Final = {
    "read_party_heads": "audit asks the sources with it",
    "read_own_party_heads": "exports carry them, and `keyturn verify --party` checks",
    "describe_service": _PROBES,
    "livez": _PROBES,
    "readyz": _PROBES,
    "metrics_text": _PROBES,
    "list_problems": "pages for people; an error carries its code",
    "describe_problem": "pages for people; an error carries its code",
    "read_outbox": _OUTBOX,
    "read_heads": _OUTBOX,
}
#: Operation ids that the client does not have, and why.
LEFT_OUT: Final[Mapping[str, Mapping[str, str]]] = {
    "vault": {
        **_EVERYWHERE,
        "issue_token": "the client's login does it",
        "read_jwks": "services check tokens with it",
        "read_revocations": "services check tokens with it",
        "revoke_officer": "an officer's step, with the officer's own login",
        **dict.fromkeys(
            (
                "back_up",
                "cancel_custody",
                "execute_batch",
                "freeze_scope",
                "list_batches",
                "list_decision_rows",
                "lodge_plan",
                "put_mandate",
                "read_custody",
                "read_decision",
                "revoke_custody",
                "thaw_custody",
                "turn_custody",
                "verify_batch",
            ),
            _CUSTODY,
        ),
    },
    "transfer": _EVERYWHERE,
    "audit": _EVERYWHERE,
}
_REF: Final = "#/components/schemas/"


def document(service: str, openapi: Mapping[str, Any]) -> tuple[Path, str]:
    """Return where a service's models are, and their text."""
    # Slow to load, and wanted by `make contracts` alone.
    from datamodel_code_generator import (  # noqa: PLC0415
        DataModelType,
        InputFileType,
        generate,
    )
    from datamodel_code_generator.format import PythonVersion  # noqa: PLC0415

    made = generate(
        json.dumps(_offered(service, openapi)),
        input_file_type=InputFileType.OpenAPI,
        output_model_type=DataModelType.TypingTypedDict,
        target_python_version=PythonVersion.PY_311,
        formatters=[],
        use_schema_description=True,
        use_single_line_docstring=True,
        use_union_operator=True,
        use_standard_collections=True,
        use_double_quotes=True,
        disable_timestamp=True,
        custom_file_header=_header(service),
    )
    path = FOLDER / f"{service}.py"
    return path, _formatted(path, str(made))


def _formatted(path: Path, text: str) -> str:
    """Return the text as `make fmt` leaves it."""
    command = (sys.executable, "-m", "ruff", "format", "--stdin-filename", path, "-")
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, check=True
    )
    return done.stdout


def _header(service: str) -> str:
    return (
        "# SPDX-License-Identifier: Apache-2.0\n"
        f"# Generated from contracts/openapi/{service}.json by `make contracts`.\n"
    )


def _offered(service: str, openapi: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document with the offered operations and what they need, renamed."""
    left = LEFT_OUT[service]
    paths = {
        path: kept
        for path, item in openapi["paths"].items()
        if (kept := {m: o for m, o in item.items() if o["operationId"] not in left})
    }
    schemas = openapi["components"]["schemas"]
    needed = dict(sorted((name, schemas[name]) for name in _needed(paths, schemas)))
    text = json.dumps({"schemas": needed, "paths": paths})
    for name in needed:
        text = text.replace(f'"{name}"', f'"{_short(name)}"')
        text = text.replace(f'"{_REF}{name}"', f'"{_REF}{_short(name)}"')
    found = json.loads(text)
    return {
        "openapi": openapi["openapi"],
        "info": openapi["info"],
        "paths": {},
        "components": {"schemas": _open(found["schemas"])},
    }


def _short(name: str) -> str:
    """Return a model's own name: two modules may have one of the same."""
    return name.rpartition("__")[2]


def _needed(paths: Mapping[str, Any], schemas: Mapping[str, Any]) -> set[str]:
    waiting, found = set(_referred(paths)), set[str]()
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= set(_referred(schemas[name])) - found
    shorts = [_short(name) for name in found]
    assert len(shorts) == len(set(shorts)), "two models of the client have one name"
    return found


def _referred(part: Any) -> Iterator[str]:
    return (m[1] for m in re.finditer(rf'"{_REF}([^"]+)"', json.dumps(part)))


def _open(part: Any) -> Any:
    """Return schemas without `additionalProperties: false`: closed TypedDicts need a
    newer Python, and answers may grow.
    """
    if isinstance(part, dict):
        kept = {n: _open(v) for n, v in part.items()}
        if kept.get("additionalProperties") is False:
            del kept["additionalProperties"]
        return kept
    return [_open(one) for one in part] if isinstance(part, list) else part
