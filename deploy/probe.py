# SPDX-License-Identifier: Apache-2.0
"""Whether the service in this container lives: `python -m deploy.probe [SERVICE]`.

Asks /livez by the first of the allowed names, and checks the certificate against it, as
the services check each other's. Exit code 0 or 1; without SERVICE, any of the three.
"""

from __future__ import annotations

import http.client
import os
import socket
import sys
from typing import Final

from deploy.entry import SETTINGS
from services.chassis.settings import ServiceSettings, SettingsError
from services.chassis.transport import client_context

SECONDS: Final = 3.0
ANYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound


def lives(settings: ServiceSettings) -> bool:
    """Tell whether /livez answers 200."""
    host = "127.0.0.1" if settings.host in ANYWHERE else settings.host
    name = settings.hosts[0]
    connection = http.client.HTTPConnection(name, settings.port, timeout=SECONDS)
    try:
        plain = socket.create_connection((host, settings.port), SECONDS)
        connection.sock = plain
        if settings.tls_certificate is not None:
            context = client_context(settings)
            connection.sock = context.wrap_socket(plain, server_hostname=name)
        connection.request("GET", "/livez")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def main(arguments: list[str]) -> int:
    """Return 0 if one of the named services, or of all, lives."""
    for service in arguments or SETTINGS:
        try:
            if lives(SETTINGS[service].from_environ(os.environ)):
                return 0
        except (KeyError, SettingsError):
            continue  # another service's container, or no such service
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
