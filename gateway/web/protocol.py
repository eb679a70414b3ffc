"""
How a connection is spoken to: uvicorn's protocol over httptools, with bounds that it does not have. httptools keeps whatever is
sent until a head is complete, uvicorn every request that is sent before the last one is answered, and nobody there looks at a
clock: one sender could fill the memory, or hold every connection.
"""

from __future__ import annotations

from asyncio import TimerHandle
from http import HTTPStatus
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .. import telemetry
from .errors import Refusal
from .flow import Together, Turns

LARGEST_HEAD = 64 * 1024  # bytes that bring neither a head's end nor any of a body: headers, trailers, a chunk's extensions
MOST_PIPELINED = 64  # requests that wait for the answer of the one before
MOST_LINGERING = 64  # connections above the bound that are left time to read why, at a time; more are closed at once
PATIENCE = 20.0  # seconds for a whole request to come, for a new connection to say anything, and for an answer to be read on
LOOK = 5.0  # seconds between two looks at the clock
REST = 75.0  # seconds between two requests: load balancers rest for 60 and must be the ones to close, or they meet a closed door
SHORT_REST = 5.0  # the same where half of the connections are in use
LINGER = 1.0  # seconds in which who was refused may read why; closed with something unread, a connection loses what was written
PARTING = 0.5  # seconds in which who rests when we go may still ask, and is told in the answer; closed at once, it meets a reset


class BoundedProtocol(HttpToolsProtocol):
    """One connection. What breaks a bound is answered, if it can be, and cut off."""

    most = 1_000  # connections at a time; `connections` of the server's state are all there are

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._fruitless = 0  # bytes since anything was complete
        self._since: float | None = self.loop.time()  # when what is under way began to come; None while nothing is
        self._in_head = self._refused = self._resuming = False
        self._unread = 0  # bytes of ours that wait
        self._read_at = self.loop.time()  # when there were fewer of them than before
        self._looking: TimerHandle | None = None
        self._answering: Any = None  # the request whose turn it is; `cycle` is the one that was read last

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.flow = Turns(transport, self.pipeline)
        self._looking = self.loop.call_later(LOOK, self._look)
        if len(self.connections) > self.most:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "connections", "too many connections at once; try again")
        elif self._leaving():
            self.shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._disconnect()
        if self._looking is not None:
            self._looking.cancel()

    def data_received(self, data: bytes) -> None:
        self._fruitless += len(data)
        if self._refused:
            if self._fruitless > LARGEST_HEAD:
                self._abort()
            return
        if self._since is None:  # be it only an empty line, which begins nothing
            self._since = self.loop.time()
        self._unset_keepalive_if_required()
        self._read(data)
        if self._fruitless > LARGEST_HEAD:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "headers", "the headers are too many or too large")

    def _read(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as offer:
            self._decline(data[offer.args[0] :])
        except HttpParserError:
            self.send_400_response("")

    def _decline(self, rest: bytes) -> None:
        """
        Another protocol was offered, as Java's client does in its first request. httptools stops there and leaves the body out;
        another parser reads it on, which is told no more of the head than how the body ends.
        """
        ends = _ends(self.headers)
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
        if ends:
            self._resuming = True
            self._read(b"POST / HTTP/1.1\r\n" + b"".join(b"%b: %b\r\n" % end for end in ends) + b"\r\n")
            self._resuming = False
        self._read(rest)

    def _cut_short(self) -> bool:
        return bool(self.parser.should_upgrade() and _ends(self.headers))

    def _should_upgrade(self) -> bool:
        return False

    def on_message_begin(self) -> None:
        super().on_message_begin()
        # Who `client` is, a proxy may say.
        self.scope["peer"] = self.client[0] if self.client else ""  # type: ignore[typeddict-unknown-key]  # ours
        self._since, self._in_head = self.loop.time(), True

    def on_headers_complete(self) -> None:
        self._fruitless, self._in_head = 0, False
        if self._resuming:
            return
        super().on_headers_complete()
        if len(self.pipeline) > MOST_PIPELINED:
            raise ValueError("too many requests wait")  # ends the parsing, and what was read with them goes

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._fruitless = 0

    def on_message_complete(self) -> None:
        if self._cut_short():
            return
        super().on_message_complete()
        self._fruitless, self._since = 0, None

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._answering = cycle
        cycle.transport = Together(cycle.transport, cycle)
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        self._answering.transport.flush()
        self.timeout_keep_alive = REST if len(self.connections) * 2 < self.most else SHORT_REST  # type: ignore[assignment]
        super().on_response_complete()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._read_at = self.loop.time()

    def send_400_response(self, msg: str) -> None:
        if len(self.pipeline) > MOST_PIPELINED:
            self._refuse(HTTPStatus.BAD_REQUEST, "pipelined", "too many requests at once, without waiting for the answers")
        else:
            self._refuse(HTTPStatus.BAD_REQUEST, "request", "this is no HTTP/1.1 request that can be read in one way only")

    def shutdown(self) -> None:
        """We go: every answer from now on says so, and who rests is let go in a moment."""
        if not self._leaving():
            self.server_state.default_headers.append(CLOSE_HEADER)
        self.loop.call_later(PARTING, self._part)

    def _leaving(self) -> bool:
        return CLOSE_HEADER in self.server_state.default_headers

    def _part(self) -> None:
        if not self._under_way() and not self._in_head and not self._refused:
            self.transport.close()

    def _look(self) -> None:
        now, unread = self.loop.time(), self.transport.get_write_buffer_size()
        if unread == 0 or unread < self._unread:
            self._read_at = now
        self._unread = unread
        if self._since is not None and self.flow.read_paused:
            self._since = now  # it is we who do not listen
        if now - self._read_at > PATIENCE:
            telemetry.connection_cut_off("unread")
            self._abort()
            return
        if self._since is not None and now - self._since > PATIENCE:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "slow", f"the request took longer than {PATIENCE:g} s to come")
        self._looking = self.loop.call_later(LOOK, self._look)

    def _refuse(self, status: HTTPStatus, reason: str, message: str) -> None:
        if self._refused or self.transport.is_closing():
            return
        telemetry.connection_cut_off(reason)
        self._refused = True
        self._unset_keepalive_if_required()
        self.pipeline.clear()
        under_way = self._under_way()
        if under_way and not self._answering.more_body:  # it is whole: it gets its answer, and what came behind it gets none
            self._answering.keep_alive = False
            return
        self._disconnect()
        if under_way and self._answering.response_started:  # what we said now would be taken for part of the answer
            self.transport.close()
            return
        body = Refusal(status, "receive", reason, message).body()
        again = "retry-after: 5\r\n" if status is HTTPStatus.SERVICE_UNAVAILABLE else ""
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n{again}"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        if len(self.connections) > self.most + MOST_LINGERING:
            self.transport.close()
            return
        self.transport.write_eof()
        self.flow.resume_reading()
        self.loop.call_later(LINGER, self._abort)

    def _under_way(self) -> bool:
        return self._answering is not None and not self._answering.response_complete

    def _disconnect(self) -> None:
        """Whoever works on a request learns that nobody waits for the answer."""
        if self._under_way():
            self._answering.disconnected = True
            self._answering.message_event.set()

    def _abort(self) -> None:
        self._disconnect()
        self.transport.abort()


def _ends(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers that say how a body ends; none where there is no body."""
    return [
        (name, value)
        for name, value in headers
        if name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0"))
    ]


def bounded(most: int) -> type[BoundedProtocol]:
    """The protocol for at most so many connections at a time."""
    return type("Bounded", (BoundedProtocol,), {"most": most})
