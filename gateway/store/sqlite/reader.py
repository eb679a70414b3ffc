"""Reading beside the writer: one read-only connection on one thread of its own, so that a slow page holds up nobody's commit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Concatenate, ParamSpec, TypeVar

import anyio.to_thread
import apsw

from ...errors import StoreError
from .file import refusal

P = ParamSpec("P")
R = TypeVar("R")


class Reader:
    """Reads what is committed. It connects when it is first asked."""

    def __init__(self, connect: Callable[[], apsw.Connection]) -> None:
        self._connect = connect
        self._db: apsw.Connection | None = None
        self._closed = False
        self._thread = ThreadPoolExecutor(1, "store-reader")

    async def read(self, look: Callable[Concatenate[apsw.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What `look` finds."""
        if self._closed:
            raise StoreError("the store is closed")
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: self._look(look, *args, **kwargs))

    async def close(self) -> None:
        """Finish what was asked for, then close the connection."""
        self._closed = True
        await anyio.to_thread.run_sync(self._thread.shutdown)
        if self._db:
            with suppress(apsw.Error):
                self._db.close()
            self._db = None

    def _look(self, look: Callable[Concatenate[apsw.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            self._db = self._db or self._connect()
            with self._db:  # one view of the database for all that `look` asks
                found = look(self._db, *args, **kwargs)
        except apsw.Error as error:
            raise refusal(error) from error
        return found
