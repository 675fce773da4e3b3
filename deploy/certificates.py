# SPDX-License-Identifier: Apache-2.0
"""Certificates for trying TLS: `python -m deploy.certificates --dir DIR NAME ...`.

An authority of its own and one certificate for each name, for servers and callers
alike, ECDSA P-256, good for some days. For trials and tests: a company's own authority
issues the real ones. Needs `cryptography`, which comes with Keyturn's dependencies.
"""

from __future__ import annotations

import argparse
import ipaddress
import sys
from datetime import timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.chassis.clock import SystemClock
from services.chassis.key_files import private_directory, replace_private

DAYS: Final = 30
AUTHORITY: Final = "ca.pem"


class Authority:
    """A certificate authority in a folder; made anew each time it is opened.

    Attributes:
        file: Its own certificate, PEM, to be trusted.
    """

    def __init__(self, folder: Path) -> None:
        private_directory(folder)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("Keyturn trial authority")
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        certificate = (
            self._builder(self._name, self._key.public_key())
            .add_extension(constraints, critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.file = folder / AUTHORITY
        replace_private(self.file, _pem(certificate))

    def issue(self, name: str, *hosts: str) -> tuple[Path, Path]:
        """Issue a certificate; return the files of certificate and key, PEM.

        Args:
            name: Of the files, and the subject's common name.
            hosts: Names and addresses it is good for; loopback's without any.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        names = [_general_name(host) for host in hosts or ("localhost", "127.0.0.1")]
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        certificate = (
            self._builder(_name(name), key.public_key())
            .add_extension(
                x509.BasicConstraints(ca=False, path_length=None), critical=True
            )
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        files = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        replace_private(files[0], _pem(certificate))
        replace_private(
            files[1],
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )
        return files

    def _builder(
        self, subject: x509.Name, public: ec.EllipticCurvePublicKey
    ) -> x509.CertificateBuilder:
        now = SystemClock().now()
        key_id = x509.SubjectKeyIdentifier.from_public_key(public)
        issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(
            self._key.public_key()
        )
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=DAYS))
            .add_extension(key_id, critical=False)
            .add_extension(issuer_id, critical=False)
        )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def main() -> int:
    """Make an authority and a certificate for each name; say where they are."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.certificates", description=__doc__
    )
    parser.add_argument("--dir", type=Path, required=True, help="where they are put")
    parser.add_argument(
        "name", nargs="+", help="a host name; the files are called after it"
    )
    asked = parser.parse_args()
    authority = Authority(asked.dir)
    print(authority.file)
    for name in asked.name:
        for path in authority.issue(name, name, "localhost", "127.0.0.1"):
            print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
