# SPDX-License-Identifier: Apache-2.0
"""Rights on Kafka: each service's user writes its own topic, audit reads them all.

    python -m deploy.topic_rights --servers HOST:PORT    a door that asks no password

Repeatable; takes nothing away. The broker needs an authorizer, and must know whoever
asks here as a super user: in Compose, that is whoever reaches its loopback.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from contracts.events.topics import TOPICS

SECONDS: Final = 60.0
READER: Final = "audit"  # it also creates the topics that are missing


def rights() -> Iterator[tuple[str, str, AclOperation]]:
    """Yield user, topic and what the user may do there; to describe is in each."""
    for service, topic in TOPICS.items():
        yield service, topic, AclOperation.WRITE
        yield READER, topic, AclOperation.READ
        yield READER, topic, AclOperation.CREATE


def give(servers: str) -> None:
    """Give the rights.

    Raises:
        KafkaException: The broker does not answer, or refuses one.
    """
    bindings = [
        AclBinding(
            ResourceType.TOPIC,
            topic,
            ResourcePatternType.LITERAL,
            f"User:{user}",
            "*",
            operation,
            AclPermissionType.ALLOW,
        )
        for user, topic, operation in rights()
    ]
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    for given in admin.create_acls(bindings, request_timeout=SECONDS).values():
        given.result()


def main(arguments: list[str]) -> int:
    """Give the rights; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.topic_rights",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--servers", required=True, metavar="HOST:PORT")
    try:
        give(parser.parse_args(arguments).servers)
    except KafkaException as refused:
        print(f"refused: {refused.args[0].str()}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
