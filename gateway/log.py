"""
The log: one line for each fact, as JSON, or for people in dev mode on a terminal.

structlog writes the latter alone. For the others it costs as much again as all that is in a line, and there is one for each
webhook and each attempt; to import it takes a tenth of a start.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from .values import harmless
from .voice import Voice

Mask = Callable[[str], str]


class Log:
    """Says lines through a voice, without our secrets; nothing until it has one. `dropped` is called for a line that is lost."""

    def __init__(self, dropped: Callable[[], None]) -> None:
        self._dropped = dropped
        self._voice: Voice | None = None
        self._for_people: Callable[[Any, str, dict[str, Any]], str] | None = None
        self.mask: Mask = str

    def speak(self, voice: Voice, mask: Mask, *, for_people: bool) -> None:
        """From now on say lines."""
        self.mask, self._voice = mask, voice
        self._for_people = None
        if for_people:
            import structlog.dev  # noqa: PLC0415 - see above

            self._for_people = structlog.dev.ConsoleRenderer(colors=True)

    def close(self) -> None:
        """Write what is left to be written; it may take a second where nobody reads."""
        if self._voice is not None:
            self._voice.close()

    def info(self, event: str, **said: Any) -> None:
        """What goes as it should."""
        self._say("info", event, said)

    def warning(self, event: str, **said: Any) -> None:
        """What somebody should look at some time."""
        self._say("warning", event, said)

    def error(self, event: str, **said: Any) -> None:
        """What somebody should look at now."""
        self._say("error", event, said)

    def masked(self, value: Any) -> Any:
        """A value without our secrets, or anything that steers a terminal or ends a line."""
        if isinstance(value, str):
            # half a surrogate pair cannot be written
            return harmless(self.mask(value)).encode("utf-8", "backslashreplace").decode()
        if isinstance(value, list | tuple):
            return [self.masked(each) for each in value]
        return value

    def _say(self, level: str, event: str, said: Mapping[str, Any]) -> None:
        if self._voice is None:
            return
        document = {"ts": _now(), "level": level, "event": event, **said}
        line = self._as_json(document) if self._for_people is None else self._for_people(None, level, self._masked(document))
        if not self._voice.say(line):
            self._dropped()

    def _as_json(self, document: dict[str, Any]) -> str:
        try:
            line = _encode(document).decode()
        except UnicodeEncodeError:
            line = ""
        if line and line.isprintable() and "\\" not in line and self.mask(line) == line:
            return line  # as nearly always: there is nothing in it that must not be
        line = _encode(self._masked(document)).decode()
        return line.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")  # some readers take these for the end of the line

    def _masked(self, document: Mapping[str, Any]) -> dict[str, Any]:
        return {key: self.masked(value) for key, value in document.items()}


class Foreign(logging.Handler):
    """What the libraries that we use have to say: a line like any other, not written by them to wherever they please."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        say = self._log.error if record.levelno >= logging.ERROR else self._log.warning
        said = record.getMessage().partition("\n")[0]  # what follows quotes errors, and they quote payloads
        message = self._log.masked(said)[:500]  # cut first, half a secret would be left
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
        say("library.said", library=record.name, message=message, error=error)


def _now() -> str:
    second, rest = divmod(time.time_ns(), 10**9)
    return f"{_second(second)}.{rest // 1000:06d}Z"


@lru_cache(maxsize=1)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


_encode = msgspec.json.Encoder(enc_hook=str).encode
