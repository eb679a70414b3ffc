"""
The embedded store: one SQLite file, one thread that writes and one that reads. What it says in SQL stands in `../sql/sqlite/`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import apsw

from ...errors import StoreError
from ...model import Delivery, Event, Incident, Receipt, State, Webhook
from .. import Intake, Page, Result, Steps
from . import pages
from .accept import accept
from .deliveries import Ask, Haste, Wish, claim, hasten, next_due, note, record, release, settle, void_claims
from .disk import RESERVE, Disk
from .file import Connect, check_whole, connect, hold, open_reader, open_writer, path_of, refusals, refuse_old
from .prune import Ages, find, prune
from .reader import Reader
from .repeats import Look, begin, repeat
from .statements import SQL
from .writer import BOUND, Writer

SOON = 2.0  # seconds in which who asks to be let in gets an answer: senders wait five, and some of them less
LINE = 900.0  # seconds a delivery may hold up its line, until a claim says otherwise


class SqliteStore:
    """A `Store` in one file. Only one process at a time may have it."""

    def __init__(self, path: Path, *, connect: Connect = connect, bound: int = BOUND, reserve: int = RESERVE) -> None:
        refuse_old(apsw.sqlite_lib_version())
        self._release_file = hold(path)
        try:
            with refusals(path):
                void_claims(first := open_writer(path, connect))
                first.close()
            self._disk = Disk(path, reserve=reserve)
            self._writer = Writer(partial(open_writer, path, connect), disk=self._disk, bound=bound)
        except BaseException:
            self._release_file()
            raise
        self._reader = Reader(partial(open_reader, path, connect))
        self._lines: dict[str, float] = {}

    @property
    def commits(self) -> int:
        """How many transactions were committed since the start."""
        return self._writer.commits

    async def accept(self, intake: Intake) -> Receipt:
        return await self._writer.do(self._accept, intake, within=SOON)

    async def claim(
        self, sink: str, limit: int, *, now: float, ticks: float | None = None, lease: float, line: float
    ) -> list[Delivery]:
        self._lines[sink] = line
        ask = Ask(sink=sink, limit=limit, now=now, ticks=now if ticks is None else ticks, lease=lease, line=line)
        return await self._writer.do(claim, ask)

    async def record(self, results: Sequence[Result], *, now: float) -> int:
        return await self._writer.do(record, (results, now))

    async def note(self, steps: Steps) -> bool:
        return await self._writer.do(note, steps)

    async def next_due(self, sink: str, *, now: float, ticks: float | None = None, since: float = 0.0) -> float | None:
        line = self._lines.get(sink, LINE)
        ask = Ask(sink=sink, now=now, ticks=now if ticks is None else ticks, line=line, since=since)
        return await self._writer.do(next_due, ask)

    async def hasten(self, sink: str, *, untried: float, longest: float, now: float) -> int:
        return await self._writer.do(hasten, Haste(sink=sink, untried=untried, longest=longest, now=now))

    async def release(self, *, sink: str = "", ids: Sequence[str] = (), states: Sequence[State] = ("parked",), now: float) -> int:
        if "claimed" in states:
            raise ValueError("a claimed delivery cannot be released; its lease will expire")
        return await self._writer.do(release, Wish(sink=sink, ids=ids, states=states, now=now))

    async def begin_to_repeat(self, every: Mapping[str, float], *, now: float) -> None:
        await self._writer.do(begin, Look(every=every, now=now))

    async def repeat(self, every: Mapping[str, float], *, now: float, limit: int) -> frozenset[str]:
        return await self._writer.do(repeat, Look(every=every, now=now, limit=limit))

    async def settle(self, sinks: Sequence[str], *, now: float, ticks: float | None = None) -> int:
        return await self._writer.do(settle, (sinks, now, now if ticks is None else ticks))

    async def quiet(self, *, now: float, limit: int) -> list[tuple[Incident, Event]]:
        return await self._reader.read(pages.quiet, now, limit)

    async def prune(self, *, webhooks: float, events: float, dead: float, delivery_ids: float, limit: int) -> int:
        ages = Ages(webhooks=webhooks, events=events, dead=dead, delivery_ids=delivery_ids, limit=limit)
        return await self._writer.do(prune, await self._reader.read(find, ages))

    async def events(self, filters: Mapping[str, str], *, cursor: str = "", limit: int = 50) -> Page:
        return await self._reader.read(pages.events, filters, cursor, limit)

    async def event(self, id: str) -> dict[str, Any] | None:
        return await self._reader.read(pages.event, id)

    async def incidents(self, filters: Mapping[str, str], *, cursor: str = "", limit: int = 50) -> Page:
        return await self._reader.read(pages.incidents, filters, cursor, limit)

    async def incident(self, id: str) -> dict[str, Any] | None:
        return await self._reader.read(pages.incident, id)

    async def deliveries(self, filters: Mapping[str, str], *, cursor: str = "", limit: int = 50) -> Page:
        return await self._reader.read(pages.deliveries, filters, cursor, limit)

    async def delivery(self, id: str) -> dict[str, Any] | None:
        return await self._reader.read(pages.delivery, id)

    async def dead_letters(self, filters: Mapping[str, str], *, cursor: str = "", limit: int = 50) -> Page:
        return await self._reader.read(pages.dead_letters, filters, cursor, limit)

    async def dead_letter(self, id: str) -> dict[str, Any] | None:
        return await self._reader.read(pages.dead_letter, id)

    async def webhook(self, id: str) -> Webhook | None:
        return await self._reader.read(pages.webhook, id)

    async def conservation(self) -> dict[str, dict[str, int]]:
        return await self._reader.read(pages.conservation)

    async def ping(self) -> None:
        await self._writer.do(self._beat, None, within=SOON)

    async def close(self) -> None:
        await self._reader.close()
        await self._writer.close()  # the last to close folds the log into the database
        self._release_file()

    def _accept(self, db: apsw.Connection, intakes: list[Intake]) -> list[Receipt]:
        self._disk.check()
        return accept(db, intakes)

    def _beat(self, db: apsw.Connection, calls: list[None]) -> list[None]:
        self._disk.check()
        db.execute(SQL["beat"])
        return calls


def open(url: str) -> SqliteStore:
    """The store at `sqlite:///relative.db` or `sqlite:////absolute.db`."""
    return SqliteStore(path_of(url))


def look_over(url: str) -> str:
    """Whether the database is whole, and there is room beside it. Raises StoreError where not, and while a gateway runs."""
    refuse_old(apsw.sqlite_lib_version())
    path = path_of(url)
    folder = path.parent.absolute()
    if not os.access(folder, os.W_OK):
        raise StoreError(f"{folder} cannot be written to; give this user the right to")
    free = os.statvfs(folder)
    room = free.f_bavail * free.f_frsize
    if room < 2 * RESERVE:
        raise StoreError(
            f"{room >> 20} MiB are free in {folder}; make room: nothing is taken in with less than {2 * RESERVE >> 20}"
        )
    if not path.exists():
        return f"{path} will be made; {room >> 20:,} MiB are free"
    let_go = hold(path)
    try:
        check_whole(path)
    finally:
        let_go()
    return f"{path} is whole; {room >> 20:,} MiB are free"
