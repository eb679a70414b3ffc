"""
The HTTP clients behind the one API that we have (`Client.send`), against the same receiver: how much they send at 1, 4, 16 and 64
in flight, what they cost, and whether they live on after calls that were cancelled. `python -m benchmarks.clients`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

import httpx2
import uvloop

from gateway.errors import Undelivered
from gateway.model import Request
from gateway.outbound import Client

from . import stand

CALLS = 3_000
IN_FLIGHT = (1, 4, 16, 64)
CHURN = 3.0  # seconds of calls that are cancelled


def _own_pool() -> httpx2.AsyncBaseTransport:
    return httpx2.AsyncHTTPTransport(trust_env=False, limits=httpx2.Limits(max_connections=256, max_keepalive_connections=64))


CLIENTS: dict[str, Callable[[], Client]] = {
    "aiohttp's connections (chosen)": Client,
    "httpx2's own pool": lambda: Client(_own_pool()),
}


async def _measure(make: Callable[[], Client], port: int, in_flight: int) -> tuple[float, float]:
    """Requests per second, and microseconds of processor time for each."""
    client, left = make(), CALLS
    request = Request(
        method="POST", url=f"http://127.0.0.1:{port}/", headers={"content-type": "application/json"}, content=b"x" * 1024
    )

    async def work() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await client.send(request, timeout=10)

    await client.send(request, timeout=10)
    began, cpu = time.perf_counter(), time.thread_time()
    await asyncio.gather(*(work() for _ in range(in_flight)))
    seconds, spent = time.perf_counter() - began, time.thread_time() - cpu
    await client.close()
    return CALLS / seconds, spent / CALLS * 1e6


async def _churn(make: Callable[[], Client], port: int) -> int:
    """Of twenty calls after many that were cut off in the middle, how many are answered."""
    client, end = make(), time.perf_counter() + CHURN
    request = Request(method="POST", url=f"http://127.0.0.1:{port}/", headers={}, content=b"x" * 1024)

    async def work(number: int) -> None:
        while time.perf_counter() < end:
            with contextlib.suppress(Undelivered):
                await client.send(request, timeout=0.0005 + number % 7 * 0.002)

    await asyncio.gather(*(work(number) for number in range(300)))
    answered = 0
    for _ in range(20):
        with contextlib.suppress(Undelivered):
            answered += (await client.send(request, timeout=2)).status == 200
    await client.close()
    return answered


async def main() -> None:
    """Print the table."""
    with stand.receiver() as receiver:
        print(f"{'':34}" + "".join(f"{each:>8} in flight" for each in IN_FLIGHT) + "   us each at 64   after churn")
        for name, make in CLIENTS.items():
            measured = [await _measure(make, receiver.port, each) for each in IN_FLIGHT]
            alive = await _churn(make, receiver.port)
            rates = "".join(f"{rate:>16,.0f}/s" for rate, _ in measured)
            print(f"{name:34}{rates}{measured[-1][1]:>17.0f}{alive:>11} of 20", flush=True)


if __name__ == "__main__":
    uvloop.run(main())
