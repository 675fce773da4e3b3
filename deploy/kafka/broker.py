# SPDX-License-Identifier: Apache-2.0
"""One real Apache Kafka broker (KRaft, one node) on loopback.

Owns `<dir>/kafka` (properties, log dirs, pid, log) and the cache of jars in
build/kafka/libs. For tests and trials: one copy of everything. It listens twice: in
plain, and with TLS and SASL/SCRAM as production mode demands (`<dir>/kafka/tls`).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
import re
import secrets
import shutil
import signal
from functools import partial
from pathlib import Path
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from deploy.certificates import AUTHORITY, Authority
from deploy.processes import (
    ATTEMPTS,
    ServerProcess,
    WorldRefused,
    free_ports,
    need,
    run,
    write_private,
)

HERE: Final = Path(__file__).resolve().parent
LIBS: Final = HERE.parents[1] / "build" / "kafka" / "libs"
MIN_JAVA: Final = 17  # Kafka 4's brokers
READY_SECONDS: Final = 120.0  # the start replays the log after a kill
STOP: Final = ((signal.SIGTERM, 60.0), (signal.SIGKILL, 10.0))
USER: Final = "keyturn"
SECURE: Final = "secure.json"
"""The variables of a service that speaks with TLS and SASL/SCRAM, mode 0600."""
HEAP: Final = ("-Xms512m", "-Xmx512m")

PROPERTIES: Final = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{control}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},SECURE://127.0.0.1:{secure},\
CONTROLLER://127.0.0.1:{control}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},SECURE://127.0.0.1:{secure}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL,CONTROLLER:PLAINTEXT
listener.name.secure.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.secure.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secure.ssl.keystore.type=PEM
listener.name.secure.ssl.keystore.location={folder}/tls/broker-with-key.pem
listener.name.secure.ssl.client.auth=none
inter.broker.listener.name=PLAINTEXT
log.dirs={folder}/data
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
"""


class KafkaBroker:
    """The broker under one folder; `up` and `down` may be called at any time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = ServerProcess("kafka", folder)

    def up(self) -> str:
        """Start the broker if it does not run; return `127.0.0.1:<port>`.

        Raises:
            WorldRefused: Java or Maven is missing, or the broker does not start.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._process.pid() is not None:
            address = self._address()
            if address is not None and _answers(address):
                return address
            self.down()
        java = _java()
        jars(LIBS)
        for _ in range(ATTEMPTS):
            address = self._start(java)
            if self._process.wait_ready(partial(_answers, address), READY_SECONDS):
                return address
        raise WorldRefused(f"Kafka ended while it started; {self._process}")

    def down(self) -> bool:
        """Stop the broker and wait; return whether there was one."""
        return self._process.stop(STOP)

    def _start(self, java: Path) -> str:
        port, control, secure = free_ports(3)
        self._secure()
        properties = self._folder / "server.properties"
        properties.write_text(
            PROPERTIES.format(
                port=port, control=control, secure=secure, folder=self._folder
            )
        )
        classes = ("-cp", f"{LIBS}/*")
        storage: list[str | Path] = ["kafka.tools.StorageTool", "format"]
        storage += ["--ignore-formatted", "-t", self._cluster_id(), "-c", properties]
        user = f"SCRAM-SHA-512=[name={USER},password={self._password()}]"
        storage += ["--add-scram", user]
        run(
            [java, "-Xmx128m", *classes, *storage],
            "Kafka's storage could not be formatted",
        )
        logs = f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}"
        options = [*HEAP, "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true"]
        self._process.launch(
            [java, *options, logs, *classes, "kafka.Kafka", properties]
        )
        write_private(self._folder / "address", f"127.0.0.1:{port}")
        settings = {
            "KEYTURN_KAFKA_SERVERS": f"127.0.0.1:{secure}",
            "KEYTURN_KAFKA_SECURITY": "SASL_SSL",
            "KEYTURN_KAFKA_CA_FILE": str(self._folder / "tls" / AUTHORITY),
            "KEYTURN_KAFKA_USERNAME": USER,
            "KEYTURN_KAFKA_PASSWORD": self._password(),
        }
        write_private(self._folder / SECURE, json.dumps(settings))
        return f"127.0.0.1:{port}"

    def _secure(self) -> None:
        """Make the authority and the broker's certificate, once."""
        folder = self._folder / "tls"
        bundle = folder / "broker-with-key.pem"
        if not bundle.exists():
            certificate, key = Authority(folder).issue("broker")
            # Kafka reads key and chain from one PEM file.
            write_private(bundle, key.read_text() + certificate.read_text())

    def _password(self) -> str:
        path = self._folder / "password"
        if not path.exists():
            write_private(path, secrets.token_hex(16))
        return path.read_text().strip()

    def _cluster_id(self) -> str:
        """Return the id given to the storage; the same at every start."""
        path = self._folder / "cluster-id"
        if not path.exists():
            random = base64.urlsafe_b64encode(b"k" + secrets.token_bytes(15))
            write_private(path, random.decode().rstrip("="))
        return path.read_text()

    def _address(self) -> str | None:
        path = self._folder / "address"
        return path.read_text().strip() if path.exists() else None


def jars(libs: Path) -> None:
    """Copy Kafka's jars into `libs`, unless the same pom.xml filled it before.

    Raises:
        WorldRefused: Maven is missing, or could not fetch them.
    """
    pom = HERE / "pom.xml"
    mark = libs / "complete"  # written last: a half-filled cache is filled again
    wanted = hashlib.sha256(pom.read_bytes()).hexdigest()
    if mark.exists() and mark.read_text().strip() == wanted:
        return
    maven = need(lambda: _which("mvn"), "Maven (mvn)", "maven")
    shutil.rmtree(libs, ignore_errors=True)
    libs.mkdir(parents=True)
    print("fetching Apache Kafka's jars with Maven", flush=True)
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime"]
    goal.append(f"-DoutputDirectory={libs}")
    run(
        [maven, "-q", "-B", "--strict-checksums", "-f", pom, *goal],
        "Maven could not fetch Kafka's jars",
    )
    mark.write_text(wanted + "\n")


def _java() -> Path:
    java = need(lambda: _which("java"), "Java", "openjdk-17-jre-headless")
    shown = run([java, "-version"], "java does not run")
    version = re.search(r'version "(\d+)', shown)
    if version is None or int(version[1]) < MIN_JAVA:
        raise WorldRefused(
            f"this Java is older than {MIN_JAVA}, which Kafka 4 needs: install "
            "openjdk-17-jre-headless and put its java first in PATH"
        )
    return java


def _which(name: str) -> Path | None:
    found = shutil.which(name)
    return Path(found) if found else None


def _answers(address: str) -> bool:
    """Whether a broker is registered at its controller and unfenced."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    return asyncio.run(_has_broker(address))


async def _has_broker(address: str) -> bool:
    admin = AIOKafkaAdminClient(bootstrap_servers=address, request_timeout_ms=5_000)
    try:
        async with asyncio.timeout(5.0):
            await admin.start()
            return bool((await admin.describe_cluster())["brokers"])
    # aiokafka answers a broker without a controller with an AttributeError.
    except (KafkaError, OSError, TimeoutError, AttributeError):
        return False
    finally:
        await admin.close()
