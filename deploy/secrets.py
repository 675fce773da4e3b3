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
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.chassis.key_files import private_directory

SERVERS: Final = ("postgres", "kafka", "vault", "transfer", "audit")
DATABASES: Final = ("vault", "vault-keys", "transfer", "audit")
SERVICES: Final = ("vault", "transfer", "audit")
DAYS_OF_AUTHORITY: Final = 3_650
DAYS_OF_CERTIFICATE: Final = 397  # what browsers accept at most
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
ssl.truststore.location=/run/secrets/ca.crt
log.dirs=/var/lib/kafka/data/log
auto.create.topics.enable=false
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
"""
"""One node: brokers meet on loopback alone; everybody else needs TLS and a password."""


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


def _write(path: Path, text: str, mode: int = 0o444) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


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
            "?sslmode=verify-full&sslrootcert=/run/secrets/ca.crt",
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
    pair = (out / "kafka.key").read_text() + (out / "kafka.crt").read_text()
    _write(out / "kafka-keystore.pem", pair)


# --- certificates -----------------------------------------------------------------


def _certificates(out: Path) -> None:
    now = datetime.now(UTC) - timedelta(minutes=5)  # clocks differ
    authority = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Keyturn compose")])
    root = (
        _builder(name, name, authority, now, DAYS_OF_AUTHORITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(authority, hashes.SHA256())
    )
    _write(out / "ca.crt", _pem(root))
    _write(out / "ca.key", _key_pem(authority), 0o400)
    for server in SERVERS:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, server)])
        both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        names = [x509.DNSName(server), x509.DNSName("localhost")]
        certificate = (
            _builder(subject, name, key, now, DAYS_OF_CERTIFICATE)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage(both), critical=False)
            .add_extension(
                x509.BasicConstraints(ca=False, path_length=None), critical=True
            )
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(
                    authority.public_key()
                ),
                critical=False,
            )
            .sign(authority, hashes.SHA256())
        )
        _write(out / f"{server}.crt", _pem(certificate))
        _write(out / f"{server}.key", _key_pem(key))


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
    days: int,
) -> x509.CertificateBuilder:
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(public), critical=False
        )
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


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
