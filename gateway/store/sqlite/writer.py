"""
Group commit. The event loop collects calls while the writer's thread commits the calls before them; then they go over as one
list, and share one transaction. Nothing lingers: the first call of a quiet moment is written at once.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

import anyio.to_thread
import apsw

from ...errors import StoreError
from .disk import Disk
from .file import REFUSALS, refusal

A = TypeVar("A")
R = TypeVar("R")
Work = Callable[[apsw.Connection, list[A]], Sequence[R]]  # answers, one for each of its arguments

BOUND = 10_000  # calls that may wait
LOOK = 0.25  # seconds between looks at who has waited too long


class Call(NamedTuple):
    """One caller's wish, and where its answer goes."""

    work: Work[Any, Any]
    argument: Any
    future: asyncio.Future[Any]


class Failed(NamedTuple):
    """The answer of a call that could not be done."""

    error: Exception


class Writer:
    """
    The only one who writes. Calls with the same `work` in one group are done together, in the order they came. A group in which
    a call raises is rolled back and done again call by call, so that it fails alone; where the disk refuses, all fail.
    """

    def __init__(self, connect: Callable[[], apsw.Connection], *, disk: Disk, bound: int = BOUND) -> None:
        self.commits = 0
        self._connect, self._disk, self._bound = connect, disk, bound
        self._db: apsw.Connection | None = connect()
        self._unanswered = 0
        self._hurried: deque[tuple[float, asyncio.Future[Any]]] = deque()  # who waits no longer than until then
        self._collected: list[Call] = []
        self._groups: SimpleQueue[list[Call] | None] = SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    async def do(self, work: Work[A, R], argument: A, *, within: float = 0.0) -> R:
        """
        Have something done; returns after its commit is on disk. `within` so many seconds, or StoreError: then it may yet be
        done, and its caller does not know.
        """
        if self._closed:
            raise StoreError("the store is closed")
        if not self._thread.is_alive():
            raise StoreError("the store's thread has ended; restart the gateway", retryable=False)
        if self._unanswered >= self._bound:
            raise StoreError(f"the store is busy: {self._bound} calls wait for the disk")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        if not self._collected:
            loop.call_soon(self._hand_over)  # at the end of this round of the loop, with all that came in it
        self._collected.append(Call(work, argument, future))
        self._unanswered += 1
        if within:
            if not self._hurried:
                loop.call_later(LOOK, self._look, loop)
            self._hurried.append((loop.time() + within, future))
        return await future

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Answer those who have waited too long: a sender that hears nothing gives up, and does not know either."""
        now = loop.time()
        while self._hurried and (self._hurried[0][0] <= now or self._hurried[0][1].done()):
            _, future = self._hurried.popleft()
            if not future.done():
                future.set_exception(StoreError("the disk is too slow: this was not written in time"))
        if self._hurried:
            loop.call_later(LOOK, self._look, loop)

    async def close(self) -> None:
        """Finish what was asked for, then close the connection."""
        if not self._closed:
            self._closed = True
            self._hand_over()
            self._groups.put(None)
        await anyio.to_thread.run_sync(self._thread.join)

    def _hand_over(self) -> None:
        if self._collected:
            self._groups.put(self._collected)
            self._collected = []

    def _settle(self, calls: list[Call], answers: list[Any]) -> None:
        self._unanswered -= len(calls)
        for call, answer in zip(calls, answers, strict=True):
            if call.future.done():  # its caller has gone
                continue
            if isinstance(answer, Failed):
                call.future.set_exception(answer.error)
            else:
                call.future.set_result(answer)

    # From here on: the writer's thread.

    def _run(self) -> None:
        closing = False
        while not closing:
            calls, closing = self._take()
            if calls:
                try:
                    answers = self._answer(calls)
                except Exception as error:  # noqa: BLE001  whatever it is, this thread goes on and nobody waits for ever
                    answers = [Failed(error)] * len(calls)
                with suppress(RuntimeError):  # the loop has gone, and its callers with it
                    calls[0].future.get_loop().call_soon_threadsafe(self._settle, calls, answers)
                self._take_care()
        self._forget_connection()

    def _take_care(self) -> None:
        """Where the log was taken away, nobody finds again what stands in it: it goes into the database itself, each time."""
        if self._db and self._disk.log_is_gone:
            with suppress(apsw.Error):
                self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_FULL)

    def _take(self) -> tuple[list[Call], bool]:
        calls: list[Call] = []
        group = self._groups.get()
        with suppress(Empty):
            while group is not None:
                calls.extend(group)
                group = self._groups.get_nowait()
            return calls, True
        return calls, False

    def _answer(self, calls: list[Call]) -> list[Any]:
        try:
            if self._db is None:
                self._disk.look_anew()
                self._db = self._connect()
            return self._commit(self._db, calls)
        except tuple(REFUSALS) as error:
            if isinstance(error, apsw.IOError):
                self._forget_connection()  # after a failed sync nothing it holds can be trusted
            if isinstance(error, apsw.FullError):
                self._disk.relieve()
            return [Failed(refusal(error))] * len(calls)
        except Exception as error:  # noqa: BLE001  whatever a call raises is its caller's
            if len(calls) == 1 or self._db is None:
                return [Failed(_own(error))] * len(calls)
        return [self._answer([call])[0] for call in calls]

    def _commit(self, db: apsw.Connection, calls: list[Call]) -> list[Any]:
        db.execute("begin immediate")
        try:
            answers = _do(db, calls)
            db.execute("commit")
        except BaseException:
            with suppress(apsw.Error):  # a full disk has rolled back already
                db.execute("rollback")
            raise
        self.commits += 1
        return answers

    def _forget_connection(self) -> None:
        if self._db:
            with suppress(apsw.Error):
                self._db.close()
        self._db = None


def _own(error: Exception) -> Exception:
    return refusal(error) if isinstance(error, apsw.Error) else error


def _do(db: apsw.Connection, calls: list[Call]) -> list[Any]:
    answers: dict[int, Any] = {}
    kinds: dict[Work[Any, Any], list[int]] = {}
    for index, call in enumerate(calls):
        kinds.setdefault(call.work, []).append(index)
    for work, indices in kinds.items():
        answers.update(zip(indices, work(db, [calls[index].argument for index in indices]), strict=True))
    return [answers[index] for index in range(len(calls))]
