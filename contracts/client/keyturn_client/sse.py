# SPDX-License-Identifier: Apache-2.0
"""Server-sent events out of bytes, however these were cut (WHATWG HTML §9.2.6)."""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field
from typing import Final

from keyturn_client.errors import AnswerMalformed

MAX_EVENT_CHARACTERS: Final = 1024 * 1024  # a leaf has at most 65,535 bytes


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event of a stream.

    Attributes:
        event: Its name; `message` where none is given.
        data: Its text, lines joined by LF.
        id: The last id that the stream gave, empty before the first.
    """

    event: str
    data: str = field(repr=False)
    id: str


class EventParser:
    """Makes events of the bytes of one connection. Never touches a socket."""

    def __init__(self, last_id: str = "") -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._rest = ""
        self._after_cr = False
        self._data: list[str] = []
        self._event = ""
        self._size = 0
        self._id = last_id

    def feed(self, piece: bytes) -> list[ServerSentEvent]:
        """Return the events that these bytes complete.

        Raises:
            AnswerMalformed: An event is over MAX_EVENT_CHARACTERS.
        """
        text = self._decoder.decode(piece)
        if self._after_cr and text:
            # The LF of a CRLF that was cut in two ends no further line.
            text = text.removeprefix("\n")
            self._after_cr = False
        self._after_cr = text.endswith("\r")
        lines = (
            (self._rest + text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        )
        self._rest = lines.pop()
        found = [event for line in lines if (event := self._take(line))]
        if len(self._rest) + self._size > MAX_EVENT_CHARACTERS:
            raise AnswerMalformed("an event of the stream is too large")
        return found

    def _take(self, line: str) -> ServerSentEvent | None:
        if not line:
            return self._complete()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        self._size += len(line) + 1  # empty lines take memory too
        match name:
            case "data":
                self._data.append(value)
            case "event":
                self._event = value
            case "id" if "\0" not in value:
                self._id = value
            case _:
                pass  # comments, `retry`, and what others may add
        return None

    def _complete(self) -> ServerSentEvent | None:
        data, event = self._data, self._event or "message"
        self._data, self._event, self._size = [], "", 0
        if not data:
            return None
        return ServerSentEvent(event, "\n".join(data), self._id)
