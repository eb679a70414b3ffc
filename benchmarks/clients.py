"""
HTTP clients against the same receiver: ours (`Client.send`, with its guard, its clock and its bounds), the pool that httpx2
brings behind the same call, and others on their own, which do less. What they send, what it costs, and whether they live on
after calls that were cut off. `python -m benchmarks.clients [seconds of such calls]`; requirements/bench.lock has the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import uvloop
from msgspec import Struct

from gateway.model import Request
from gateway.outbound import Client

from . import stand

CALLS = 2_000
IN_FLIGHT = (1, 4, 16, 64)
ROUNDS = 3
BODY = b"x" * 1024
HEADERS = {"content-type": "application/json"}

Send = Callable[[float], Awaitable[int]]  # one request, within so many seconds; its status


class Cost(Struct, frozen=True):
    """What `CALLS` requests took, so many of them in flight. Microseconds of processor time are a request's."""

    per_second: float
    p99: float  # milliseconds
    loop: float  # of the event loop's thread
    process: float


async def _sender(client: Client, url: str) -> Send:
    request = Request(method="POST", url=url, headers=HEADERS, content=BODY)

    async def send(timeout: float) -> int:
        return (await client.send(request, timeout=timeout)).status

    return send


@asynccontextmanager
async def ours(url: str) -> AsyncIterator[Send]:
    client = Client()
    yield await _sender(client, url)
    await client.close()


@asynccontextmanager
async def httpx2s_pool(url: str) -> AsyncIterator[Send]:
    limits = httpx2.Limits(max_connections=256, max_keepalive_connections=64)
    client = Client(httpx2.AsyncHTTPTransport(trust_env=False, limits=limits))
    yield await _sender(client, url)
    await client.close()


@asynccontextmanager
async def httpx_alone(url: str) -> AsyncIterator[Send]:
    import httpx  # noqa: PLC0415 - not everybody has the others

    async with httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_connections=256)) as client:

        async def send(timeout: float) -> int:
            async with asyncio.timeout(timeout):
                return (await client.post(url, content=BODY, headers=HEADERS, timeout=None)).status_code

        yield send


@asynccontextmanager
async def httpx_aiohttp_alone(url: str) -> AsyncIterator[Send]:
    from httpx_aiohttp import HttpxAiohttpClient  # noqa: PLC0415

    async with HttpxAiohttpClient(trust_env=False) as client:

        async def send(timeout: float) -> int:
            async with asyncio.timeout(timeout):
                return int((await client.post(url, content=BODY, headers=HEADERS, timeout=None)).status_code)

        yield send


@asynccontextmanager
async def aiohttp_alone(url: str) -> AsyncIterator[Send]:
    import aiohttp  # noqa: PLC0415

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def send(timeout: float) -> int:
            async with asyncio.timeout(timeout), session.post(url, data=BODY, headers=HEADERS) as response:
                await response.read()
                return response.status

        yield send


@asynccontextmanager
async def pyreqwest_alone(url: str) -> AsyncIterator[Send]:
    from pyreqwest.client import ClientBuilder  # noqa: PLC0415

    async with ClientBuilder().no_proxy().build() as client:

        async def send(timeout: float) -> int:
            async with asyncio.timeout(timeout):
                response = await client.post(url).headers(HEADERS).body_bytes(BODY).build().send()
                await response.bytes()
                return int(response.status)

        yield send


CLIENTS = {
    "ours: aiohttp's connections": ours,
    "ours on httpx2's own pool": httpx2s_pool,
    "httpx 0.28 alone": httpx_alone,
    "httpx-aiohttp alone": httpx_aiohttp_alone,
    "aiohttp alone": aiohttp_alone,
    "pyreqwest alone": pyreqwest_alone,
}


async def _measure(send: Send, in_flight: int) -> Cost:
    left, times = CALLS, []

    async def work() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            began = time.perf_counter()
            await send(10.0)
            times.append(time.perf_counter() - began)

    began, loop, process = time.perf_counter(), time.thread_time(), time.process_time()
    await asyncio.gather(*(work() for _ in range(in_flight)))
    seconds, loop, process = time.perf_counter() - began, time.thread_time() - loop, time.process_time() - process
    return Cost(CALLS / seconds, statistics.quantiles(times, n=100)[98] * 1e3, loop / CALLS * 1e6, process / CALLS * 1e6)


async def _churn(send: Send, seconds: float) -> tuple[int, int]:
    """Of twenty calls after many that were cut off in the middle, how many are answered; and the sockets that are left over."""
    end, before = time.perf_counter() + seconds, _sockets()

    async def work(number: int) -> None:
        while time.perf_counter() < end:
            with contextlib.suppress(Exception):
                await send(0.0005 + number % 7 * 0.002)

    await asyncio.gather(*(work(number) for number in range(300)))
    answered = 0
    for _ in range(20):
        with contextlib.suppress(Exception):
            answered += await send(2.0) == 200
    return answered, _sockets() - before


def _sockets() -> int:
    return sum(link.is_socket() for link in Path("/dev/fd").iterdir())


async def _line(name: str, make: Callable[[str], contextlib.AbstractAsyncContextManager[Send]], url: str, churn: float) -> str:
    rates = []
    async with make(url) as send:
        await send(10.0)
        for in_flight in IN_FLIGHT:
            rounds = [await _measure(send, in_flight) for _ in range(ROUNDS)]
            best = min(rounds, key=lambda cost: cost.loop)
            rates.append(f"{statistics.median(each.per_second for each in rounds):>10,.0f}")
    async with make(url) as send:
        answered, left = await _churn(send, churn)
    return f"{name:30}{''.join(rates)}{best.p99:>9.1f}{best.loop:>8.0f}{best.process:>10.0f}{answered:>9} of 20{left:>9}"


async def main(churn: float) -> None:
    """Print the table."""
    head = "   p99 ms loop us process us after churn  sockets"
    print(f"{'requests/s with in flight':30}{''.join(f'{each:>10}' for each in IN_FLIGHT)}{head}")
    with stand.receiver() as receiver:
        for name, make in CLIENTS.items():
            try:
                print(await _line(name, make, f"http://127.0.0.1:{receiver.port}/", churn), flush=True)
            except ImportError:
                print(f"{name:30} is not installed")


if __name__ == "__main__":
    uvloop.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 3.0))
