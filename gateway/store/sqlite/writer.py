"""
Group commit. The event loop collects calls while the writer's thread commits the calls before them; then they go over as one
list, and share one transaction. Nothing lingers: the first call of a quiet moment is written at once.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

import anyio.to_thread
import apsw

from ...errors import StoreError
from .file import REFUSALS, refusal

A = TypeVar("A")
R = TypeVar("R")
Work = Callable[[apsw.Connection, list[A]], Sequence[R]]  # answers, one for each of its arguments

BOUND = 10_000  # calls that may wait


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

    def __init__(self, connect: Callable[[], apsw.Connection], *, relieve: Callable[[], None], bound: int = BOUND) -> None:
        self.commits = 0
        self._connect, self._relieve, self._bound = connect, relieve, bound
        self._db: apsw.Connection | None = connect()
        self._unanswered = 0
        self._collected: list[Call] = []
        self._groups: SimpleQueue[list[Call] | None] = SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    async def do(self, work: Work[A, R], argument: A) -> R:
        """Have something done; returns after its commit is on disk."""
        if self._closed:
            raise StoreError("the store is closed")
        if self._unanswered >= self._bound:
            raise StoreError(f"the store is busy: {self._bound} calls wait for the disk")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        if not self._collected:
            loop.call_soon(self._hand_over)  # at the end of this round of the loop, with all that came in it
        self._collected.append(Call(work, argument, future))
        self._unanswered += 1
        return await future

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
                answers = self._answer(calls)
                with suppress(RuntimeError):  # the loop has gone, and its callers with it
                    calls[0].future.get_loop().call_soon_threadsafe(self._settle, calls, answers)
        self._forget_connection()

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
            self._db = self._db or self._connect()
            return self._commit(self._db, calls)
        except tuple(REFUSALS) as error:
            if isinstance(error, apsw.IOError):
                self._forget_connection()  # after a failed sync nothing it holds can be trusted
            if isinstance(error, apsw.FullError):
                self._relieve()
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
