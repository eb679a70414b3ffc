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
    alerts: bool = False  # a bare list of alerts
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
        self._began, self._waiting = 0.0, False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._run.idle(self)

    @property
    def closing(self) -> bool:
        """Whether it takes no more."""
        return self._transport.is_closing()

    def send(self, request: bytes, began: float) -> None:
        self._began, self._waiting = began, True
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        if not _is_whole(head.lower(), rest):
            return
        self._buffer, self._waiting = b"", False
        if b"connection: close" in head.lower():
            self._transport.close()  # and another takes its place
        self._run.answered(self, head[9:12].decode(), time.perf_counter() - self._began)

    def connection_lost(self, error: Exception | None) -> None:
        self._run.lost(waiting=self._waiting)


def _is_whole(head: bytes, body: bytes) -> bool:
    if b"transfer-encoding: chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    _, found, length = head.partition(b"content-length:")
    return len(body) >= (int(length.split(b"\r\n", 1)[0]) if found else 0)


class _Run:
    def __init__(self, load: Load) -> None:
        self._load = load
        self._requests = deque(webhooks.requests(load.first, load.count, load.path, alerts=load.alerts))
        self._times: list[float] = []
        self._statuses: Counter[str] = Counter()
        self._idle: deque[_Sender] = deque()
        self._due: deque[float] = deque()
        self._done = asyncio.Event()
        self._began = 0.0
        self._tasks: set[asyncio.Future[None]] = set()

    async def go(self) -> Measured:
        for _ in range(self._load.connections):
            await self._connect()
        self._began = began = time.perf_counter()
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
        self._go_on(sender)

    def answered(self, sender: _Sender, status: str, seconds: float) -> None:
        self._times.append(seconds)
        self._statuses[status] += 1
        if len(self._times) == self._load.count:
            self._done.set()
        elif not sender.closing:
            self._go_on(sender)

    def _go_on(self, sender: _Sender) -> None:
        if not self._load.rate and self._requests and self._began:
            self._next(sender, time.perf_counter())
        elif self._due:
            self._next(sender, self._due.popleft())
        else:
            self._idle.append(sender)

    def lost(self, *, waiting: bool) -> None:
        """A connection ended, as some servers do after each answer: another takes its place."""
        if self._done.is_set():
            return
        if waiting:
            self._statuses["lost"] += 1
            self._load.count -= 1
            if len(self._times) >= self._load.count:
                self._done.set()
                return
        task = asyncio.ensure_future(self._connect())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self) -> None:
        await asyncio.get_running_loop().create_connection(lambda: _Sender(self), "127.0.0.1", self._load.port)

    def _next(self, sender: _Sender, began: float) -> None:
        sender.send(self._requests.popleft(), began)


async def _main(load: Load) -> None:
    print(json.dumps(to_builtins(await _Run(load).go())))


if __name__ == "__main__":
    uvloop.run(_main(convert(json.loads(sys.argv[1]), Load)))
