"""
Lines to standard output and standard error, written by a thread of their own: a reader that stalls (a pager, a full pipe, a
journal that hangs) holds up nobody. What does not fit the queue is dropped and counted; who must know waits until a line is out.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TextIO

BOUND = 10_000  # lines that may wait
TOGETHER = 1_000  # lines that are written at once
GATHERING = 0.005  # seconds in which lines gather: to wake this thread for each would cost more than the line
LAST_WORDS = 1.0  # seconds to write what is left, at the end


class Voice:
    """One stream. `lost` is told how many lines were dropped, when it flows again."""

    def __init__(self, stream: TextIO, lost: Callable[[int], None] = lambda count: None) -> None:
        self._stream, self._lost = stream, lost
        self._lines: SimpleQueue[tuple[str, Callable[[bool], None] | None] | None] = SimpleQueue()
        self._dropped = 0
        self._thread: threading.Thread | None = None

    def say(self, line: str) -> bool:
        """Have a line written; whether there was room for it."""
        return self._put(line, None)

    async def tell(self, line: str) -> None:
        """Have a line written, and wait until it is. Raises OSError where it cannot be."""
        loop = asyncio.get_running_loop()
        told: asyncio.Future[bool] = loop.create_future()

        def settle(out: bool) -> None:
            if not told.done():
                told.set_result(out)

        def told_by(out: bool) -> None:
            with suppress(RuntimeError):  # the loop has gone, and who waited with it
                loop.call_soon_threadsafe(settle, out)

        if not self._put(line, told_by) or not await told:
            raise OSError("the line could not be written")

    def close(self, within: float = LAST_WORDS) -> None:
        """Write what is left, if that can be done in so many seconds."""
        if self._thread is not None:
            self._lines.put(None)
            self._thread.join(within)
            self._thread = None

    def _put(self, line: str, told: Callable[[bool], None] | None) -> bool:
        if self._lines.qsize() >= BOUND:
            self._dropped += 1
            return False
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="voice", daemon=True)
            self._thread.start()
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            self._lost(dropped)
        self._lines.put((line, told))
        return True

    def _run(self) -> None:
        going_on = True
        while going_on:
            taken = [self._lines.get()]
            time.sleep(GATHERING)
            try:
                while taken[-1] is not None and len(taken) < TOGETHER:
                    taken.append(self._lines.get_nowait())
            except Empty:
                pass
            going_on = taken[-1] is not None
            lines = [each for each in taken if each is not None]
            out = self._write("".join(f"{line}\n" for line, _ in lines))
            for _, told in lines:
                if told is not None:
                    told(out)

    def _write(self, text: str) -> bool:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # what was accepted stays accepted, whatever becomes of standard error
            return False
        return True
