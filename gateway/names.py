"""
Names to addresses. Each name is looked up once at a time, in a thread of its own: an event loop's own threads for it are few
(two in libuv), so that two names whose server is silent would hold up all the others.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from threading import Thread

Key = tuple[str, socket.AddressFamily]
Found = list[tuple[socket.AddressFamily, int, str]]  # family, protocol, address


class Names:
    """Remembers nothing but who is being asked for."""

    def __init__(self) -> None:
        self._asked: dict[Key, asyncio.Future[Found]] = {}

    async def look_up(self, host: str, family: socket.AddressFamily = socket.AF_UNSPEC) -> Found:
        """The addresses of a host. Raises OSError, or UnicodeError for what can be no name. Who stops waiting stops no other."""
        key = host, family
        if key not in self._asked:
            self._asked[key] = future = asyncio.get_running_loop().create_future()
            future.add_done_callback(lambda done: self._answered(key, done))
            Thread(target=_ask, args=(key, future), name="name-look-up", daemon=True).start()
        return await asyncio.shield(self._asked[key])

    def _answered(self, key: Key, future: asyncio.Future[Found]) -> None:
        del self._asked[key]
        if not future.cancelled():
            future.exception()  # seen, though everybody may have stopped waiting for it


def _ask(key: Key, future: asyncio.Future[Found]) -> None:
    """In a thread, which nobody waits for at the end: a look-up cannot be broken off."""
    host, family = key
    loop = future.get_loop()
    found: Found = []
    failure: Exception | None = None
    try:
        places = socket.getaddrinfo(host, None, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        found = [(family, protocol, str(address[0])) for family, _, protocol, _, address in places]
    except (OSError, UnicodeError) as error:
        failure = error
    with suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(_settle, future, found, failure)


def _settle(future: asyncio.Future[Found], found: Found, failure: Exception | None) -> None:
    if not future.done():
        future.set_result(found) if failure is None else future.set_exception(failure)
