"""
How a connection is spoken to: uvicorn's protocol over httptools, with bounds that it does not have. httptools keeps whatever is
sent until a head is complete, and nobody there looks at a clock: one sender could fill the memory, or hold every connection.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .. import telemetry
from .errors import Refusal

LARGEST_HEAD = 64 * 1024  # bytes that bring neither a head's end nor any of a body: headers, trailers, a chunk's extensions
PATIENCE = 20.0  # seconds for a whole request to come, from its first byte, and for a new connection to say anything
LOOK = 5.0  # seconds between two looks at the clock


class BoundedProtocol(HttpToolsProtocol):
    """One connection. What breaks a bound is answered, if it can be, and cut off."""

    most = 1_000  # connections at a time; `connections` of the server's state are all there are

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._fruitless = 0  # bytes since anything was complete
        self._since: float | None = self.loop.time()  # when what is under way began to come; None while nothing is
        self._begun = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > self.most:
            self._cut_off(HTTPStatus.SERVICE_UNAVAILABLE, "connections", "too many connections at once; try again")
        else:
            self.loop.call_later(LOOK, self._look)

    def data_received(self, data: bytes) -> None:
        self._fruitless += len(data)
        super().data_received(data)
        if self._fruitless > LARGEST_HEAD and not self.transport.is_closing():
            self._cut_off(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "headers", "the headers are too many or too large")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._since, self._begun = self.loop.time(), True

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._fruitless = 0

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._fruitless = 0

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._fruitless, self._since, self._begun = 0, None, False

    def _look(self) -> None:
        if self.transport.is_closing():
            return
        if self._since is not None and self.loop.time() - self._since > PATIENCE:
            self._cut_off(HTTPStatus.REQUEST_TIMEOUT, "slow", f"the request took longer than {PATIENCE:g} s to come")
        else:
            self.loop.call_later(LOOK, self._look)

    def _cut_off(self, status: HTTPStatus, reason: str, message: str) -> None:
        telemetry.connection_cut_off(reason)
        if self.cycle is None or self.cycle.response_complete:  # else an answer may be half way out
            body = Refusal(status, "receive", reason, message).body()
            head = (
                f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\nretry-after: 5\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        self.transport.close()


def bounded(most: int) -> type[BoundedProtocol]:
    """The protocol for at most so many connections at a time."""
    return type("Bounded", (BoundedProtocol,), {"most": most})
