# SPDX-License-Identifier: Apache-2.0
"""Promise: what the manifests set is what the services read, and they would start.

Each environment is resolved as its carrier would, with secrets as `deploy.secrets`
makes them, and read by the real settings in production mode.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509

from deploy import certificates, secrets
from deploy.entry import SETTINGS
from deploy.parcels import PARCELS
from services.chassis.auth.origin import Network, parse_networks
from services.chassis.settings import FILED, PREFIX, ServiceSettings
from services.chassis.transport import client_context
from services.chassis.variables import Mode
from tests.deploy.conftest import DEPLOY

SPECIFIERS = {"%d": "/credentials", "%S": "/var/lib", "%t": "/run", "%i": "worker-7"}
FILES = ("TLS_CERTIFICATE", "TLS_KEY", "TLS_CA_FILE", "TLS_CLIENT_CA_FILE")
FILES += ("KAFKA_CA_FILE",)
ROUTES = {"/livez", "/readyz"}
VERBS = {
    "vault": {"serve", "migrate", "init", "allow"},
    "audit": {"serve", "migrate", "init"},
}
VERBS["transfer"] = {"serve", "worker", "migrate", "init"}


@dataclass(frozen=True)
class Started:
    """One process as a manifest starts it.

    Attributes:
        mounted: Secrets by the path at which the process sees them.
        parcel: Names of the files in its parcel; None where it has none.
    """

    where: str
    service: str
    command: tuple[str, ...]
    environ: Mapping[str, str]
    mounted: Mapping[str, Path]
    parcel: frozenset[str] | None = None
    writable: frozenset[str] = field(default_factory=frozenset)


def _command(arguments: list[str]) -> tuple[str, tuple[str, ...]]:
    if arguments[0] == "--parcel":
        arguments = arguments[2:]
    service, *command = arguments
    return service, tuple(command)


def _of_compose(compose: dict[str, Any], made: Path) -> Iterator[Started]:
    env = dict(
        line.split("=", 1) for line in (made / secrets.ENV).read_text().splitlines()
    )
    for name, item in compose["services"].items():
        if not item["image"].startswith("keyturn") or name in {
            "parcels",
            "topic-rights",
        }:
            continue
        mounted = {}
        for secret in item["secrets"]:
            source = secret if isinstance(secret, str) else secret["source"]
            target = secret if isinstance(secret, str) else secret["target"]
            path = compose["secrets"][source]["file"].rpartition("/")[2]
            mounted[f"/run/secrets/{target}"] = made / path
        environ = {
            key: re.sub(r"\$\{(\w+):[^}]*\}", lambda m: env[m[1]], value)
            for key, value in item["environment"].items()
        }
        writable = [*item.get("tmpfs", []), *item["volumes"]]
        yield Started(
            f"compose {name}",
            *_command(item["command"]),
            environ,
            mounted,
            writable=frozenset(
                text.split(":")[0 if text.startswith("/") else 1]
                for text in writable
                if not text.endswith(":ro")
            ),
        )


def _of_cluster(cluster: list[dict[str, Any]], made: Path) -> Iterator[Started]:
    shared = next(
        o["data"] for o in cluster if o["metadata"]["name"] == "keyturn-settings"
    )
    for item in cluster:
        if item["kind"] not in {"StatefulSet", "Job", "Deployment"}:
            continue
        pod = item["spec"]["template"]["spec"]
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            yield _of_container(item, container, shared, made)


def _of_container(
    item: dict[str, Any],
    container: dict[str, Any],
    shared: dict[str, str],
    made: Path,
) -> Started:
    pod = item["spec"]["template"]["spec"]
    own = {
        one["name"]: one.get("value", f"{item['metadata']['name']}-0")
        for one in container["env"]
    }
    settings = {**shared, **own}
    service, command = _command(
        [
            re.sub(r"\$\((\w+)\)", lambda m: settings[m[1]], text)
            for text in container["args"]
        ]
    )
    del settings["PLATFORM_NETWORK"]  # an argument, of one container
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounted, writable = {}, set()
    for mount in container["volumeMounts"]:
        path, volume = mount["mountPath"], volumes.get(mount["name"], {})
        if not mount.get("readOnly"):
            writable.add(path)
        named = volume.get("secret", {}).get("secretName", "")
        if mount["name"] == "ca":
            mounted[f"{path}/ca.crt"] = made / "ca.pem"
        elif named == f"keyturn-{service}-tls":
            mounted[f"{path}/tls.crt"] = made / f"{service}.pem"
            mounted[f"{path}/tls.key"] = made / f"{service}.key"
        elif named == f"keyturn-{service}":
            mounted |= {f"{path}/{p}": f for p, f in _own(service, made).items()}
    return Started(
        f"{item['kind']} {item['metadata']['name']} {container['name']}",
        service,
        command,
        settings,
        mounted,
        writable=frozenset(writable),
    )


def _own(service: str, made: Path) -> dict[str, Path]:
    """The files that deploy/README.md puts into a service's secret."""
    found = {
        "database-url": made / f"{service}-database-url",
        "kafka-password": made / f"{service}-kafka-password",
    }
    if service == "vault":
        found["keys-database-url"] = made / "vault-keys-database-url"
    return found


def _of_systemd(made: Path) -> Iterator[Started]:
    lines = (DEPLOY / "systemd" / "keyturn.env").read_text().splitlines()
    host = dict(line.split("=", 1) for line in lines if line and line[0] != "#")
    for unit in sorted((DEPLOY / "systemd").glob("*.service")):
        environ, credentials, started, name = dict(host), set(), [], unit.stem
        for line in unit.read_text().splitlines():
            key, _, value = line.partition("=")
            if key == "Environment":
                environ |= dict(pair.split("=", 1) for pair in shlex.split(value))
            elif key == "LoadCredential":
                credentials.add(value.partition(":")[0])
            elif key == "ExecStart":
                started = value.split()[3:]
        environ = {
            key: re.sub("%.", lambda m: SPECIFIERS[m[0]], value)
            for key, value in environ.items()
        }
        service, command = _command(started)
        files = _own(service, made) | {
            "tls.crt": made / f"{service}.pem",
            "tls.key": made / f"{service}.key",
        }
        mounted = {f"/credentials/{n}": f for n, f in files.items() if n in credentials}
        mounted["/etc/keyturn/ca.crt"] = made / "ca.pem"
        parcel = frozenset(credentials) - set(files)
        yield Started(
            f"unit {name}",
            service,
            command,
            environ,
            mounted,
            parcel,
            frozenset({environ["KEYTURN_STATE_DIR"], environ["KEYTURN_KEYS_DIR"]}),
        )


@pytest.fixture(params=["compose", "cluster", "systemd"])
def started(
    request: pytest.FixtureRequest, compose: dict[str, Any], made: Path
) -> list[Started]:
    if request.param == "compose":
        return list(_of_compose(compose, made))
    if request.param == "cluster":
        return list(_of_cluster(request.getfixturevalue("cluster"), made))
    return list(_of_systemd(made))


def _settings(one: Started) -> ServiceSettings:
    environ = {
        key: str(one.mounted.get(value, value)) for key, value in one.environ.items()
    }
    return SETTINGS[one.service].from_environ(environ)


def test_each_process_would_start_in_production_mode(started: list[Started]) -> None:
    assert len(started) >= 4
    for one in started:
        settings = _settings(one)
        assert settings.mode is Mode.PRODUCTION, one.where
        assert one.command[0] in VERBS[one.service], one.where
        # Each shows a certificate whose key it has, a worker too: else it is nobody.
        assert settings.tls_certificate is not None
        client_context(settings)
        assert settings.kafka_password is not None
        assert settings.external_jwks_url is None


def test_each_variable_is_one_that_a_service_reads(started: list[Started]) -> None:
    known = {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE"}
    for kind in SETTINGS.values():
        for item in dataclasses.fields(kind):
            names = {kind.variable(item.name), PREFIX + item.name.upper()}
            known |= names
            if item.name in kind._secrets():
                known |= {name + FILED for name in names}
    for one in started:
        assert set(one.environ) <= known, one.where


def test_each_path_that_is_named_is_there(started: list[Started]) -> None:
    for one in started:
        for name in FILES:
            assert one.environ[PREFIX + name] in one.mounted, one.where
        for name in ("STATE_DIR", "KEYS_DIR"):
            assert one.environ[PREFIX + name] in one.writable, one.where


def _allowed(started: list[Started]) -> Network:
    """The network that the one step before `serve` gives to the services' tokens."""
    (allow,) = [one for one in started if one.command[0] == "allow"]
    assert allow.command[1:4] == ("--party", "platform", "--network")
    (network,) = parse_networks(allow.command[4:])
    return network


def test_compose_allows_the_services_from_their_own_networks_alone(
    compose: dict[str, Any], made: Path
) -> None:
    allowed = _allowed(list(_of_compose(compose, made)))
    own = [
        ipaddress.ip_network(network["ipam"]["config"][0]["subnet"])
        for network in compose["networks"].values()
    ]
    assert all(one.subnet_of(allowed) for one in own)  # type: ignore[arg-type]
    assert allowed.num_addresses <= 256
    # The vault starts after it: what it waits for waits for that.
    waits, found = {"vault"}, set()
    while waits:
        found |= waits
        waits = {
            name
            for one in waits
            for name in compose["services"][one].get("depends_on", ())
        } - found
    assert "vault-allow" in found


def test_the_cluster_allows_the_services_from_the_network_of_its_pods(
    cluster: list[dict[str, Any]], made: Path
) -> None:
    assert _allowed(list(_of_cluster(cluster, made))).is_private


def test_certificates_as_the_readme_makes_them_are_good_for_the_cluster(
    cluster: list[dict[str, Any]],
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = re.search(
        r"python -m deploy.certificates --dir tls ([^`]+)",
        (DEPLOY / "README.md").read_text(),
    )
    assert said is not None
    arguments = ["", "--dir", str(tmp_path / "tls"), *said[1].split()]
    monkeypatch.setattr(sys, "argv", arguments)
    assert certificates.main() == 0
    for one in _of_cluster(cluster, made):
        certificate = x509.load_pem_x509_certificate(
            (tmp_path / "tls" / f"{one.service}.pem").read_bytes()
        )
        names = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        ).value.get_values_for_type(x509.DNSName)
        assert set(one.environ["KEYTURN_ALLOWED_HOSTS"].split(",")) <= set(names)


def test_units_carry_exactly_the_parcel_of_their_service(made: Path) -> None:
    for one in _of_systemd(made):
        assert one.parcel == set(PARCELS[one.service].names), one.where


def test_no_manifest_holds_a_secret(compose: dict[str, Any]) -> None:
    for file in [DEPLOY / "compose.yaml", *(DEPLOY / "k8s").rglob("*.yaml")]:
        for document in yaml.safe_load_all(file.read_text()):
            assert (document or {}).get("kind") != "Secret", file
        assert "://" not in re.sub(r"https://[a-z]+:\d+", "", file.read_text()), file


def test_ports_and_probes_are_those_of_the_services(
    cluster: list[dict[str, Any]],
) -> None:
    probed = set()
    for item in cluster:
        name = item["metadata"]["name"]
        if item["kind"] == "Service":
            assert item["spec"]["ports"][0]["port"] == SETTINGS[name]().port
        if item["kind"] != "StatefulSet" or name == "transfer-worker":
            continue
        (container,) = item["spec"]["template"]["spec"]["containers"]
        assert container["ports"][0]["containerPort"] == SETTINGS[name]().port
        hosts = next(
            e["value"] for e in container["env"] if e["name"].endswith("ALLOWED_HOSTS")
        )
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            get = container[kind]["httpGet"]
            assert get["path"] in ROUTES
            assert get["httpHeaders"] == [
                {"name": "Host", "value": hosts.split(",")[0]}
            ]
            probed.add(name)
    assert probed == set(SETTINGS)


def test_the_log_has_one_sequencer_and_names_are_stable(
    cluster: list[dict[str, Any]],
) -> None:
    sets = {o["metadata"]["name"]: o for o in cluster if o["kind"] == "StatefulSet"}
    assert sets["audit"]["spec"]["replicas"] == 1
    assert set(sets) == {"vault", "transfer", "transfer-worker", "audit"}
    assert not [o for o in cluster if o["kind"] in {"Deployment", "CronJob"}]


def test_compose_hardens_every_container(compose: dict[str, Any]) -> None:
    for name, item in compose["services"].items():
        assert item["read_only"], name
        assert item["cap_drop"] == ["ALL"], name
        assert item["security_opt"] == ["no-new-privileges:true"], name
        assert item["user"].split(":")[0] != "0", name
        assert item["mem_limit"], name
        assert item["pids_limit"], name


def test_only_one_shots_see_the_office(compose: dict[str, Any]) -> None:
    for name, item in compose["services"].items():
        office = [v for v in item.get("volumes", []) if v.startswith("office-")]
        assert not office or item["restart"] == "no", name
