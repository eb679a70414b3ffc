"""When a connection is read on, and when what is said on it goes out."""

from __future__ import annotations

from asyncio import Transport
from collections import deque
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl


class Turns(FlowControl):
    """Reads on only when no request waits for its turn."""

    def __init__(self, transport: Transport, waiting: deque[Any]) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        if not self._waiting:
            super().resume_reading()


class Together:
    """
    A request's way to its transport, on which the head of the answer waits for the body behind it: as two packets they cost the
    loop a tenth of a webhook, and the sender another look.
    """

    __slots__ = ("_cycle", "_head", "_transport")

    def __init__(self, transport: Any, cycle: Any) -> None:
        self._transport, self._cycle = transport, cycle
        self._head: bytes | None = b""

    def write(self, data: bytes) -> None:
        """Write, or keep the head. What is said before the answer, such as 100 Continue, is said at once."""
        if self._head == b"" and self._cycle.response_started:
            self._head = data
        elif self._head:
            self._transport.write(self._head + data)
            self._head = None
        else:
            self._transport.write(data)

    def flush(self) -> None:
        """Write a head behind which nothing came."""
        if self._head:
            self.write(b"")

    def close(self) -> None:
        """Close, once all that was said is written."""
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether it takes no more."""
        return bool(self._transport.is_closing())
