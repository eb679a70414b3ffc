"""The public keys that others publish and webhooks are verified by: fetched when they are needed, and remembered."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio
from msgspec import Struct

from .errors import Undelivered, Unverifiable
from .model import Request

if TYPE_CHECKING:
    from .outbound import Client

FRESH = 600.0  # seconds for which they are not asked for again: issuers publish a new key long before they sign with it
STALE = 24 * 3600.0  # seconds for which they are used where asking again fails
PAUSE = 10.0  # seconds in which what failed is not tried again, whoever asks
TIMEOUT = 5.0  # seconds
LARGEST = 64 * 1024  # characters
MOST = 256  # addresses that are remembered
MOST_AT_ONCE = 4  # that are asked for at a time: a stranger may name some of these addresses


class _Found(Struct):
    """What lay at an address, when it was last there, and when it was last asked for; `ticks`, not clock."""

    text: str
    seen_at: float
    asked_at: float


class Keyring:
    """Public keys by address. `ticks` are seconds that only go on."""

    def __init__(self, client: Client, ticks: Callable[[], float] = time.monotonic) -> None:
        self._client, self._ticks = client, ticks
        self._found: OrderedDict[str, _Found] = OrderedDict()
        self._under_way: dict[str, anyio.Event] = {}
        self._room = anyio.CapacityLimiter(MOST_AT_ONCE)

    async def get(self, address: str) -> str:
        """What lies there. Raises Unverifiable where it cannot be had now."""
        while address in self._under_way:  # one asks for all
            await self._under_way[address].wait()
        found = self._found.get(address)
        if found is None or self._ticks() >= found.asked_at + (FRESH if found.asked_at == found.seen_at else PAUSE):
            found = await self._ask(address, found)
        if self._ticks() > found.seen_at + STALE:
            raise Unverifiable("the public keys to verify this by cannot be fetched now")
        return found.text

    async def _ask(self, address: str, before: _Found | None) -> _Found:
        self._under_way[address] = done = anyio.Event()
        try:
            async with self._room:
                text = await self._fetch(address)
            now = self._ticks()
            found = _Found(text, now, now)
        except Undelivered:
            found = before or _Found("", float("-inf"), 0.0)
            found.asked_at = self._ticks()
        finally:
            del self._under_way[address]
            done.set()
        self._found[address] = found
        self._found.move_to_end(address)
        if len(self._found) > MOST:
            self._found.popitem(last=False)
        return found

    async def _fetch(self, address: str) -> str:
        response = await self._client.send(Request(method="GET", url=address, headers={}), timeout=TIMEOUT)
        if response.status != 200 or len(response.text) > LARGEST:
            raise Undelivered(f"it answered {response.status} with {len(response.text)} characters", reason="answer")
        return response.text
