# SPDX-License-Identifier: Apache-2.0
"""How the command line speaks to a service: one client, typed refusals, exit codes.

A refusal shows the service's own code and sentence, never what was sent.
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import httpx
import typer

TIMEOUT_SECONDS: Final = 30.0
MAX_DETAIL: Final = 600
_TLS_FILES: Final = ("CA_FILE", "CERTIFICATE", "KEY")


class CliError(Exception):
    """Root of what a command ends with; the message is for the person.

    Attributes:
        exit_code: 1 the service refused, 3 it does not answer, 4 the evidence is
            wrong, 5 a file of this person is unusable; 2 is the parser's own.
    """

    exit_code = 1


class Refused(CliError):  # noqa: N818 - an answer, not a failure
    """The service answered with a problem.

    Attributes:
        status: HTTP status.
        code: The problem's stable code; empty where the answer was none.
        reason: Its closer reason, where it has one.
    """

    def __init__(self, status: int, code: str, detail: str, reason: str = "") -> None:
        name = " ".join(filter(None, (code or "no problem", reason)))
        super().__init__(f"refused ({status} {name}): {detail}")
        self.status = status
        self.code = code
        self.reason = reason


class Unreachable(CliError):  # noqa: N818 - a state
    """A service does not answer."""

    exit_code = 3


class EvidenceWrong(CliError):  # noqa: N818 - a finding
    """What a service shows contradicts itself or what was seen before. Never sign."""

    exit_code = 4


class FileUnusable(CliError):  # noqa: N818 - a state of the file
    """A file of this person is missing, damaged or of another installation."""

    exit_code = 5


def _trusted(base_url: str) -> ssl.SSLContext | bool:
    """Return how an https address is called: as the services call each other.

    Raises:
        FileUnusable: A file that the variables name is missing or no PEM.
    """
    if not base_url.startswith("https://"):
        return True
    found = [os.environ.get(f"KEYTURN_TLS_{name}") for name in _TLS_FILES]
    ca_file, certificate, key = found
    try:
        context = ssl.create_default_context(cafile=ca_file)
        if certificate is not None and key is not None:
            context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise FileUnusable(
            "a file of KEYTURN_TLS_CA_FILE, KEYTURN_TLS_CERTIFICATE and "
            "KEYTURN_TLS_KEY is missing or no PEM"
        ) from error
    return context


class Api:
    """One service over HTTP."""

    def __init__(
        self,
        base_url: str,
        auth: httpx.Auth | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = httpx.Client(
            base_url=base_url.rstrip("/"),
            auth=auth,
            timeout=TIMEOUT_SECONDS,
            follow_redirects=False,
            transport=transport,
            trust_env=False,
            verify=_trusted(base_url),
        )
        self.base_url = base_url.rstrip("/")

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send one request; return the answer whatever its status.

        Raises:
            Unreachable: The service does not answer.
        """
        try:
            return self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            # The login goes to the vault first: name the one that is away.
            message = f"{_origin(error, self.base_url)} does not answer; is it running?"
            raise Unreachable(message) from error

    def get(self, path: str, **query: Any) -> Any:
        """Return the JSON of an answer. Raises Refused, Unreachable."""
        sent = {name: value for name, value in query.items() if value is not None}
        return json_of(checked(self.send("GET", path, params=sent)))

    def read(self, path: str) -> bytes:
        """Return the exact bytes of an answer. Raises Refused, Unreachable."""
        return checked(self.send("GET", path)).content

    def post(
        self, path: str, body: Any, headers: Mapping[str, str] | None = None
    ) -> Any:
        """Send JSON and return that of the answer. Raises Refused, Unreachable."""
        return json_of(checked(self.send("POST", path, json=body, headers=headers)))

    @contextmanager
    def events(self, path: str) -> Iterator[Iterator[Any]]:
        """Follow a stream of server-sent events; give the JSON of each one's data.

        Raises:
            Refused: The service refuses the stream.
            Unreachable: It does not answer, or the stream broke off.
        """
        headers = {"Accept": "text/event-stream"}
        try:
            with self._http.stream("GET", path, headers=headers, timeout=None) as sent:
                if sent.status_code != httpx.codes.OK:
                    sent.read()
                    checked(sent)
                yield _data_of(sent)
        except httpx.HTTPError as error:
            raise Unreachable(f"the stream of {self.base_url} broke off") from error


def _origin(error: httpx.HTTPError, base_url: str) -> str:
    try:
        url = error.request.url
    except RuntimeError:  # httpx: the request was never made
        return base_url
    return f"{url.scheme}://{url.netloc.decode()}"


def checked(answer: httpx.Response) -> httpx.Response:
    """Return a successful answer.

    Raises:
        Refused: With the code and sentence of the problem.
    """
    if answer.is_success:
        return answer
    try:
        problem = answer.json()
        code, detail = str(problem["code"]), str(problem["detail"])
        faults, reason = problem.get("errors") or [], str(problem.get("reason", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Refused(answer.status_code, "", "the answer explains nothing") from None
    if faults:
        detail = f"{detail} {json.dumps(faults)}"
    raise Refused(answer.status_code, code, detail[:MAX_DETAIL], reason)


def json_of(answer: httpx.Response) -> Any:
    """Return the JSON of an answer.

    Raises:
        Refused: The answer is no JSON.
    """
    try:
        return answer.json()
    except ValueError:
        raise Refused(answer.status_code, "", "the answer is no JSON") from None


@contextmanager
def errors_shown(*, as_json: bool = False) -> Iterator[None]:
    """End a command with the exit code and sentence of its error."""
    try:
        yield
    except CliError as error:
        if as_json:
            members = {"error": type(error).__name__, "detail": str(error)}
            typer.echo(json.dumps(members), err=True)
        else:
            typer.echo(f"keyturn: {error}", err=True)
        raise typer.Exit(error.exit_code) from error


def _data_of(answer: httpx.Response) -> Iterator[Any]:
    lines: list[str] = []
    for line in answer.iter_lines():
        if line.startswith("data:"):
            lines.append(line.removeprefix("data:").removeprefix(" "))
        elif not line and lines:
            yield json.loads("\n".join(lines))
            lines = []
