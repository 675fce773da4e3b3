# SPDX-License-Identifier: Apache-2.0
"""Writes `deploy/SETTINGS.md`: every variable, from the settings' own docstrings.

`deploy.contracts` generates and compares it. What a person has to know beyond the
table stands here as text.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from services.audit.settings import AuditSettings
from services.chassis.settings import PREFIX, ServiceSettings
from services.chassis.variables import MIN_SECRET_CHARACTERS, SAMPLE_SECRETS
from services.transfer.settings import TransferSettings
from services.vault.settings import VaultSettings

PATH: Final = Path(__file__).parent / "SETTINGS.md"
SERVICES: Final = (VaultSettings, TransferSettings, AuditSettings)

_ATTRIBUTE = re.compile(r"^    (\w+): (.+?)(?=^    \w+: |\Z)", re.MULTILINE | re.DOTALL)

_SAMPLES: Final = ", ".join(f"`{word}`" for word in SAMPLE_SECRETS)

TEXT: Final = f"""\
# Settings

Generated from the settings of the services by `make contracts`; do not edit.

Every setting is a variable of the environment, read once at the start. A mistake stops
the start with the variable's name and the fix, never with its value.

- `KEYTURN_STATE_DIR` holds for all three services. `KEYTURN_VAULT_STATE_DIR` holds for
  the vault alone and wins. So it is with every variable of the first table: put the
  service's name (`VAULT`, `TRANSFER`, `AUDIT`) behind `KEYTURN_`.
- A secret may stand in a file instead: `KEYTURN_VAULT_DATABASE_URL_FILE` names the file
  that holds what `KEYTURN_VAULT_DATABASE_URL` would. So it is with each variable that
  must be a secret; both at once are refused.
- `make run` and `keyturn up` set the variables themselves, from their own options.

## Production mode

`KEYTURN_MODE=production` makes a service prove itself before it starts. It demands:

| what | variable |
|---|---|
| a PostgreSQL database for each service; the vault needs two | `KEYTURN_VAULT_DATABASE_URL` and `KEYTURN_VAULT_KEYS_DATABASE_URL`, `KEYTURN_TRANSFER_DATABASE_URL`, `KEYTURN_AUDIT_DATABASE_URL` |
| Kafka, over TLS | `KEYTURN_KAFKA_SERVERS`, `KEYTURN_KAFKA_SECURITY` (`SSL` or `SASL_SSL`), `KEYTURN_KAFKA_CA_FILE`; for `SASL_SSL` (SCRAM-SHA-512) `KEYTURN_KAFKA_USERNAME` and `KEYTURN_KAFKA_PASSWORD` |
| the installation's id, 16 hex digits of your choice, the same everywhere | `KEYTURN_INSTALLATION` |
| the names by which it is called | `KEYTURN_ALLOWED_HOSTS` |
| TLS where it listens beyond loopback: its own certificate, or the address of the proxy that ends TLS | `KEYTURN_HOST`; `KEYTURN_TLS_CERTIFICATE` and `KEYTURN_TLS_KEY`, or `KEYTURN_TRUSTED_PROXIES` |
| where it serves TLS itself: the authority of callers' certificates, by which the services know each other (decision 0021) | `KEYTURN_TLS_CLIENT_CA_FILE`; `KEYTURN_TLS_CA_FILE` for servers of a private authority |
| an allow-list of each party, set on the vault's host | `python -m services.vault allow --party ID --network CIDR`, or `--anywhere` |
| `https` addresses of the services that are on another host | `KEYTURN_VAULT_URL`, `KEYTURN_TRANSFER_URL`, `KEYTURN_AUDIT_URL` |
| no sample secrets: at least {MIN_SECRET_CHARACTERS} characters, without {_SAMPLES} | passwords in the URLs, `KEYTURN_KAFKA_PASSWORD` |
| nothing of the demonstration | `KEYTURN_DEMONSTRATION` unset |

Then, on each host, in this order:

```
python -m services.vault init       # once; then transfer init, audit init
python -m services.vault migrate    # after every update; then transfer migrate, audit migrate
python -m services.vault serve      # transfer serve, transfer worker, audit serve
```

[Image, Compose, Kubernetes and systemd](README.md) do this for you. In production mode
`serve` never changes a database: it refuses one that is behind.

## Metrics

`GET /metrics` of each service (Prometheus text) needs the scope `metrics:read`. Enrol a
client of the party `platform` for your scraper:

```
python -m services.vault enrol client --party platform --id scraper --scope metrics:read
```

Its token lives {VaultSettings().token_seconds} seconds (`KEYTURN_VAULT_TOKEN_SECONDS`); let the scraper
fetch a new one by OAuth 2 client credentials at `/v1/token` of the vault.
[The operator's guide](guides/operator.md) says which numbers to watch.

## Logs

Each process writes its log to stderr, one JSON object a line, from
`KEYTURN_LOG_LEVEL` upwards. Keyturn keeps no log files: your supervisor does. No line
holds personal data. `make run` keeps them as `<state>/logs/<process>.log`.
"""  # noqa: E501 - a table row is one line


def _default(item: dataclasses.Field[Any]) -> str:
    value = item.default
    if isinstance(value, tuple):
        value = ",".join(value)
    if isinstance(value, bool):
        value = str(value).lower()
    return "" if value is None or value == "" else f"`{value}`"


def meanings(settings: type[ServiceSettings]) -> Mapping[str, str]:
    """Return what the docstring of a settings class says of each of its fields."""
    _, _, attributes = (inspect.getdoc(settings) or "").partition("Attributes:\n")
    return {
        name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(attributes)
    }


def _row(variable: str, item: dataclasses.Field[Any], meaning: str) -> str:
    cells = (f"`{variable}`", _default(item), item.metadata["fix"], meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _table(rows: Iterator[str]) -> Iterator[str]:
    yield "| variable | default | must be | meaning |"
    yield "|---|---|---|---|"
    yield from rows


def _shared() -> Iterator[str]:
    told = meanings(ServiceSettings)
    for item in dataclasses.fields(ServiceSettings):
        if item.name != "port":  # each service has its own
            yield _row(PREFIX + item.name.upper(), item, told[item.name])


def _own(settings: type[ServiceSettings]) -> Iterator[str]:
    told = meanings(settings)
    for item in dataclasses.fields(settings):
        if item.name in settings.__annotations__:  # not those of every service
            yield _row(settings.variable(item.name), item, told[item.name])


def text() -> str:
    """Return the page."""
    parts = [TEXT, "## Of every service", "", *_table(_shared())]
    for settings in SERVICES:
        parts += ["", f"## Of {settings.SERVICE} alone", "", *_table(_own(settings))]
    return "\n".join(parts) + "\n"
