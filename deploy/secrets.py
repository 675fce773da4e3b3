# SPDX-License-Identifier: Apache-2.0
"""Makes what `deploy/compose.yaml` needs: passwords, an authority, certificates.

    python -m deploy.secrets --out deploy/compose/secrets

Repeatable: a folder that is complete is left alone. The folder has mode 0700; its
files are readable inside it, because a container's user differs from the host's and
sees only the files that are mounted into it. Nothing is printed.
"""

from __future__ import annotations

import argparse
import base64
import secrets
import sys
from pathlib import Path
from typing import Final

from deploy.certificates import Authority
from services.chassis.key_files import private_directory

SERVERS: Final = ("postgres", "kafka", "vault", "transfer", "audit")
DATABASES: Final = ("vault", "vault-keys", "transfer", "audit")
SERVICES: Final = ("vault", "transfer", "audit")
DAYS_OF_AUTHORITY: Final = 3_650
SHOWN: Final = 0o444
ENV: Final = "compose.env"  # written last: it says that the folder is complete

KAFKA: Final = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:9095
controller.listener.names=CONTROLLER
listeners=CLIENTS://0.0.0.0:9093,INTERNAL://127.0.0.1:9094,CONTROLLER://127.0.0.1:9095
advertised.listeners=CLIENTS://kafka:9093,INTERNAL://127.0.0.1:9094
listener.security.protocol.map=CLIENTS:SASL_SSL,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=INTERNAL
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.clients.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location=/run/secrets/kafka-keystore.pem
ssl.truststore.type=PEM
ssl.truststore.location=/run/secrets/ca.pem
log.dirs=/var/lib/kafka/data/log
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
auto.create.topics.enable=false
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
"""
"""One node: brokers meet on loopback alone, where nobody has a name and all may do all.
Everybody else needs TLS and a password, and may do what `deploy.topic_rights` gives."""


def make(out: Path) -> bool:
    """Fill the folder; return whether there was something to do."""
    if (out / ENV).exists():
        return False
    private_directory(out)
    out.chmod(0o700)
    _certificates(out)
    _postgres(out)
    _kafka(out)
    _write(out / ENV, f"KEYTURN_INSTALLATION={secrets.token_hex(8)}\n")
    return True


def _certificates(out: Path) -> None:
    """Certificates; their keys too are shown to containers of another user."""
    authority = Authority(out, DAYS_OF_AUTHORITY)
    authority.file.chmod(SHOWN)
    for server in SERVERS:
        for file in authority.issue(server, server, "localhost"):
            file.chmod(SHOWN)


def _write(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    path.chmod(SHOWN)


def _password() -> str:
    return secrets.token_hex(24)  # hex: no word, nothing to escape in a URL


def _postgres(out: Path) -> None:
    statements = []
    _write(out / "postgres-password", _password())
    for name in DATABASES:
        role, password = name.replace("-", "_"), _password()
        statements.append(
            f"CREATE ROLE {role} LOGIN PASSWORD '{password}';\n"
            f"CREATE DATABASE {role} OWNER {role};\n"
            f"REVOKE ALL ON DATABASE {role} FROM PUBLIC;\n"
        )
        _write(
            out / f"{name}-database-url",
            f"postgresql+psycopg://{role}:{password}@postgres:5432/{role}"
            "?sslmode=verify-full&sslrootcert=/run/secrets/ca.pem",
        )
    _write(out / "postgres-init.sql", "".join(statements))


def _kafka(out: Path) -> None:
    cluster = base64.urlsafe_b64encode(b"k" + secrets.token_bytes(15)).decode()
    arguments = ["--cluster-id", cluster]
    for name in SERVICES:
        password = _password()
        _write(out / f"{name}-kafka-password", password)
        user = f"SCRAM-SHA-512=[name={name},password={password}]"
        arguments += ["--add-scram", user]
    _write(out / "kafka-format.args", "\n".join(arguments) + "\n")
    _write(out / "kafka.properties", KAFKA)
    pair = (out / "kafka.key").read_text() + (out / "kafka.pem").read_text()
    _write(out / "kafka-keystore.pem", pair)


def main(arguments: list[str]) -> int:
    """Make the folder; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.secrets",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True, help="kept out of the image")
    given = parser.parse_args(arguments)
    print("made" if make(given.out) else f"complete already: {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
