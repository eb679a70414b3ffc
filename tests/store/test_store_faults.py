"""
A disk that fails: SQLite's own method of testing, the n-th write or sync refused for n = 1, 2, 3, … Nothing that was answered may be
missing afterwards, nothing may be half written, and the store must recover by itself when the disk does.
"""

from __future__ import annotations

import asyncio

import apsw
import pytest
from store_examples import NOON, a_webhook, an_event, an_intake, claim, conserved, telling, tried

from gateway.errors import StoreError
from gateway.store.sqlite import SqliteStore
from gateway.store.sqlite.file import connect

LAST_RESORT = 2_000  # more faults than any run can meet


class Faults:
    """Refuses the n-th write or sync, once or from then on."""

    def __init__(self) -> None:
        self.kind, self.nth, self.sticky, self.seen = "", 0, False, 0

    def plan(self, kind: str, nth: int, *, sticky: bool) -> None:
        self.kind, self.nth, self.sticky, self.seen = kind, nth, sticky, 0

    def meet(self, kind: str) -> None:
        if kind != self.kind:
            return
        self.seen += 1
        if self.seen == self.nth or (self.sticky and self.seen > self.nth):
            raise (apsw.FullError if kind == "write" else apsw.IOError)("injected")


FAULTS = Faults()


class FlakyFile(apsw.VFSFile):
    def xWrite(self, data, offset):  # noqa: N802  apsw's name
        FAULTS.meet("write")
        return super().xWrite(data, offset)

    def xSync(self, flags):  # noqa: N802  apsw's name
        FAULTS.meet("sync")
        return super().xSync(flags)


class FlakyDisk(apsw.VFS):
    def __init__(self) -> None:
        super().__init__("flaky", "")

    def xOpen(self, name, flags):  # noqa: N802  apsw's name
        return FlakyFile("", name, flags)


@pytest.fixture(scope="module")
def flaky_disk():
    disk = FlakyDisk()
    yield disk
    disk.unregister()


def flaky(name, flags):
    db = apsw.Connection(name, flags=flags, vfs="flaky")
    # A file system in Python has no shared memory, so the log's index must stay with the one connection.
    db.execute("pragma locking_mode = exclusive; pragma wal_autocheckpoint = 40").fetchall()
    return db


async def work(store):
    """Webhooks two at a time, each claimed and recorded; what was answered."""
    kept, delivered = set(), set()
    for n in range(8):
        pair = [an_event(f"e{n}{half}", key=f"k{n}{half}", details="x" * 2_000) for half in "ab"]
        calls = [store.accept(an_intake(event, webhook=a_webhook(f"w-{event.id}"), decide=telling("splunk"))) for event in pair]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        kept |= {event.id for event, answer in zip(pair, answers, strict=True) if not refused(answer)}
        try:
            claimed = await claim(store)
            await store.record([tried(delivery) for delivery in claimed], now=NOON)
            delivered |= {delivery.event.id for delivery in claimed}
        except StoreError:
            pass
    return kept, delivered


def refused(answer):
    if isinstance(answer, BaseException):
        assert isinstance(answer, StoreError), answer
        return True
    return False


@pytest.mark.anyio
@pytest.mark.parametrize("sticky", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("kind", ["write", "sync"])
async def test_nothing_answered_is_lost_whichever_write_or_sync_fails(flaky_disk, tmp_path, kind, sticky):
    points, step = 0, 1 if kind == "sync" else 11
    for nth in range(1, LAST_RESORT, step):
        path = tmp_path / f"{nth}.db"
        await SqliteStore(path, reserve=4096).close()
        store = SqliteStore(path, connect=flaky, reserve=4096)
        FAULTS.plan(kind, nth, sticky=sticky)
        kept, delivered = await work(store)
        met = FAULTS.seen >= nth
        FAULTS.plan("", 0, sticky=False)
        await store.ping()  # the disk is well again: so is the store
        await store.close()
        await nothing_is_missing(path, kept, delivered)
        points += met
        if not met:
            break
    print(f"{kind} {'from then on' if sticky else 'once'}: {points} fault points")
    assert not met, "the run must end with one that met no fault"
    assert points >= 5


async def nothing_is_missing(path, kept, delivered):
    db = connect(str(path), apsw.SQLITE_OPEN_READWRITE)
    assert db.execute("pragma integrity_check").fetchall() == [("ok",)]
    db.close()
    store = SqliteStore(path, reserve=4096)
    rows = {delivery["event_id"]: delivery for delivery in (await store.deliveries({}, limit=500)).items}
    assert kept <= rows.keys()
    assert {rows[id]["state"] for id in delivered} <= {"delivered"}
    assert len((await store.events({}, limit=500)).items) == len(rows)
    await conserved(store)
    await store.close()
