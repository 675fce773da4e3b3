# SPDX-License-Identifier: Apache-2.0
"""Certificates of an own authority: `python -m deploy.certificates --dir DIR NAME ...`.

    python -m deploy.certificates --dir tls vault,vault.keyturn.svc crm

The authority is kept in DIR and issues one certificate for each name, for servers and
callers alike, ECDSA P-256. For trials, tests and one host (`deploy.secrets`): a
company's own authority issues the real ones.
"""

from __future__ import annotations

import argparse
import ipaddress
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.chassis.clock import SystemClock
from services.chassis.key_files import private_directory, replace_private

DAYS: Final = 30
MOST_DAYS: Final = 397  # of one certificate: what browsers accept at most
AUTHORITY: Final = "ca.pem"
AUTHORITY_KEY: Final = "ca.key"
AUTHORITY_NAME: Final = "Keyturn authority of one folder"
LOOPBACK: Final = ("localhost", "127.0.0.1")

PrivateKey = ec.EllipticCurvePrivateKey


class Authority:
    """A certificate authority in a folder; made anew where none is there, or it ended.

    Attributes:
        file: Its own certificate, PEM, to be trusted.
    """

    def __init__(self, folder: Path, days: int = DAYS) -> None:
        """Open the authority; one that is made is good for `days`."""
        private_directory(folder)
        self._folder = folder
        self.file = folder / AUTHORITY
        self._now = SystemClock().now()
        self._key, self._certificate = self._kept() or self._made(days)

    def issue(self, name: str, *hosts: str) -> tuple[Path, Path]:
        """Issue a certificate; return the files of certificate and key, PEM.

        It ends with its authority, and after 397 days at the latest.

        Args:
            name: Of the files, and the subject's common name.
            hosts: Names and addresses it is good for; loopback's without any.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        names = [_general_name(host) for host in hosts or LOOPBACK]
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        end = min(
            self._now + timedelta(days=MOST_DAYS),
            self._certificate.not_valid_after_utc,
        )
        certificate = (
            self._builder(_name(name), key, self._key, end)
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
        replace_private(files[1], _key_pem(key))
        return files

    def _kept(self) -> tuple[PrivateKey, x509.Certificate] | None:
        """Return what a former run left, if it is whole and still good."""
        try:
            text = (self._folder / AUTHORITY_KEY).read_bytes()
            key = serialization.load_pem_private_key(text, password=None)
            certificate = x509.load_pem_x509_certificate(self.file.read_bytes())
        except (OSError, ValueError):
            return None
        if not isinstance(key, PrivateKey):
            return None
        belongs = key.public_key() == certificate.public_key()
        if not belongs or certificate.not_valid_after_utc <= self._now:
            return None
        return key, certificate

    def _made(self, days: int) -> tuple[PrivateKey, x509.Certificate]:
        key = ec.generate_private_key(ec.SECP256R1())
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        end = self._now + timedelta(days=days)
        certificate = (
            self._builder(_name(AUTHORITY_NAME), key, key, end)
            .add_extension(constraints, critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        replace_private(self.file, _pem(certificate))
        replace_private(self._folder / AUTHORITY_KEY, _key_pem(key))
        return key, certificate

    def _builder(
        self, subject: x509.Name, key: PrivateKey, issuer: PrivateKey, end: datetime
    ) -> x509.CertificateBuilder:
        public = key.public_key()
        key_id = x509.SubjectKeyIdentifier.from_public_key(public)
        issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(
            issuer.public_key()
        )
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(_name(AUTHORITY_NAME))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - timedelta(minutes=5))  # clocks differ
            .not_valid_after(end)
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


def _key_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def main() -> int:
    """Make the authority and a certificate for each name; say where they are."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.certificates",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--dir", type=Path, required=True, help="where they are put")
    parser.add_argument(
        "--days", type=int, default=DAYS, help="of a new authority; 30 by default"
    )
    parser.add_argument(
        "name",
        nargs="+",
        help="a host's names, with commas between them; the files are called after "
        "the first, and loopback is always one",
    )
    asked = parser.parse_args()
    authority = Authority(asked.dir, asked.days)
    print(authority.file)
    for names in asked.name:
        hosts = names.split(",")
        for path in authority.issue(hosts[0], *hosts, *LOOPBACK):
            print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
