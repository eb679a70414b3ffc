"""
A disk that fails: SQLite's own method of testing, the n-th operation refused for n = 1, 2, 3, … Nothing that was answered may be
missing afterwards, nothing may be half written, and the store must recover by itself when the disk does.

Of the writes and reads only some are refused here, beginning anywhere; `FAULT_POINTS=all` refuses each (`make faults`).
"""

from __future__ import annotations

import asyncio
import os
import random

import apsw
import pytest
from store_examples import NOON, a_webhook, an_event, an_intake, claim, conserved, telling, tried

from gateway.errors import StoreError
from gateway.store.sqlite import SqliteStore
from gateway.store.sqlite.file import connect

LAST_RESORT = 5_000  # more faults than any run can meet
STEPS = {"write": 11, "read": 11, "sync": 1, "truncate": 1}
REFUSED = {"write": apsw.FullError, "read": apsw.IOError, "sync": apsw.IOError, "truncate": apsw.IOError}


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
            raise REFUSED[kind]("injected")


FAULTS = Faults()


class FlakyFile(apsw.VFSFile):
    def xWrite(self, data, offset):  # noqa: N802  apsw's name
        FAULTS.meet("write")
        return super().xWrite(data, offset)

    def xRead(self, amount, offset):  # noqa: N802  apsw's name
        FAULTS.meet("read")
        return super().xRead(amount, offset)

    def xTruncate(self, size):  # noqa: N802  apsw's name
        FAULTS.meet("truncate")
        return super().xTruncate(size)

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
    """
    Webhooks two at a time, each claimed and recorded: most are delivered, some die and are let go again. What was answered, and what
    of it is delivered.
    """
    kept, delivered = set(), set()
    for n in range(8):
        pair = [an_event(f"e{n}{half}", key=f"k{n}{half}", details="x" * 2_000) for half in "ab"]
        calls = [store.accept(an_intake(event, webhook=a_webhook(f"w-{event.id}"), decide=telling("splunk"))) for event in pair]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        kept |= {event.id for event, answer in zip(pair, answers, strict=True) if not refused(answer)}
        try:
            claimed = await claim(store)
            fate = "dead" if n % 4 == 2 else "delivered"
            await store.record([tried(delivery, fate) for delivery in claimed], now=NOON)
            delivered |= {delivery.event.id for delivery in claimed if fate == "delivered"}
            if n % 4 == 3:
                await store.release(states=("dead",), now=NOON)
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
@pytest.mark.parametrize("kind", STEPS)
@pytest.mark.timeout(900)
async def test_nothing_answered_is_lost_whichever_write_or_sync_fails(flaky_disk, tmp_path, kind, sticky):
    points, step = 0, 1 if os.environ.get("FAULT_POINTS") == "all" else STEPS[kind]
    for nth in range(random.randint(1, step), LAST_RESORT, step):
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
    assert points >= 3


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


@pytest.mark.anyio
async def test_after_a_failed_sync_the_database_is_opened_anew(flaky_disk, tmp_path):
    opened = []

    def counted(name, flags):
        opened.append(name)
        return flaky(name, flags)

    await SqliteStore(tmp_path / "gateway.db", reserve=4096).close()
    store = SqliteStore(tmp_path / "gateway.db", connect=counted, reserve=4096)
    before = len(opened)
    FAULTS.plan("sync", 1, sticky=False)
    with pytest.raises(StoreError, match=r"^the disk did not read or write \(.*injected\)$"):
        await store.ping()
    FAULTS.plan("", 0, sticky=False)
    await store.ping()
    assert len(opened) == before + 1
    await store.close()
