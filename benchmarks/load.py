"""
The load: keep-alive connections that send signed webhooks, each the next one as soon as it has its answer, or at a steady rate.

`python -m benchmarks.load '{"port": 8080, "first": 0, "count": 20000}'` prints one line of JSON. It is a process of its own: what
it costs is not the gateway's.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter, deque

import uvloop
from msgspec import Struct, convert, to_builtins

from . import webhooks


class Load(Struct, kw_only=True):
    """What to send. With a `rate` (requests/s) they go out on time, and a late answer counts from when it was due."""

    port: int
    first: int = 0  # the number of the first webhook
    count: int
    connections: int = 64
    path: str = webhooks.PATH
    rate: float = 0.0


class Measured(Struct, kw_only=True):
    """What came of it; times in milliseconds."""

    per_second: float
    p50: float
    p99: float
    statuses: dict[str, int]


class _Sender(asyncio.Protocol):
    """One connection."""

    def __init__(self, run: _Run) -> None:
        self._run, self._transport = run, None
        self._buffer = b""
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._run.idle(self)

    def send(self, request: bytes, began: float) -> None:
        self._began = began
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        lowered = head.lower()
        at = lowered.index(b"content-length:") + 15
        if len(rest) < int(lowered[at:].split(b"\r\n", 1)[0]):
            return
        self._buffer = b""
        self._run.answered(self, head[9:12].decode(), time.perf_counter() - self._began)

    def connection_lost(self, error: Exception | None) -> None:
        self._run.lost()


class _Run:
    def __init__(self, load: Load) -> None:
        self._load = load
        self._requests = deque(webhooks.requests(load.first, load.count, load.path))
        self._times: list[float] = []
        self._statuses: Counter[str] = Counter()
        self._idle: deque[_Sender] = deque()
        self._due: deque[float] = deque()
        self._done = asyncio.Event()

    async def go(self) -> Measured:
        loop = asyncio.get_running_loop()
        for _ in range(self._load.connections):
            await loop.create_connection(lambda: _Sender(self), "127.0.0.1", self._load.port)
        began = time.perf_counter()
        if self._load.rate:
            await self._pace(began)
        else:
            while self._idle and self._requests:
                self._next(self._idle.popleft(), time.perf_counter())
        await self._done.wait()
        seconds, times = time.perf_counter() - began, sorted(self._times)
        return Measured(
            per_second=len(times) / seconds,
            p50=times[len(times) // 2] * 1000,
            p99=times[int(len(times) * 0.99)] * 1000,
            statuses=dict(self._statuses),
        )

    async def _pace(self, began: float) -> None:
        for number in range(self._load.count):
            due = began + number / self._load.rate
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            if self._idle:
                self._next(self._idle.popleft(), due)
            else:
                self._due.append(due)

    def idle(self, sender: _Sender) -> None:
        self._idle.append(sender)

    def answered(self, sender: _Sender, status: str, seconds: float) -> None:
        self._times.append(seconds)
        self._statuses[status] += 1
        if len(self._times) == self._load.count:
            self._done.set()
        elif not self._load.rate and self._requests:
            self._next(sender, time.perf_counter())
        elif self._due:
            self._next(sender, self._due.popleft())
        else:
            self.idle(sender)

    def lost(self) -> None:
        if not self._done.is_set():
            self._statuses["lost"] += 1
            self._load.count = len(self._times)
            self._done.set()

    def _next(self, sender: _Sender, began: float) -> None:
        sender.send(self._requests.popleft(), began)


async def _main(load: Load) -> None:
    print(json.dumps(to_builtins(await _Run(load).go())))


if __name__ == "__main__":
    uvloop.run(_main(convert(json.loads(sys.argv[1]), Load)))
