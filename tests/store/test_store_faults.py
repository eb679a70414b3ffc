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
from gateway.store.sqlite.prune import Ages, find, prune

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


class Life:
    """What a store is told in one run, and what it answered: with `n`, all that can become of a delivery comes round."""

    FATES = ("delivered", "pending", "dead", "delivered")

    def __init__(self, store):
        self.store, self.kept, self.ended, self.delivered, self.forgotten = store, set(), set(), set(), 0

    async def lead(self):
        for n in range(8):
            await self.take_in(
                an_event(f"e{n}a", key=f"k{n}", details="x" * 2_000), an_event(f"e{n}b", "notice", details="x" * 2_000)
            )
            try:
                await self.deliver(self.FATES[n % 4])
                if n % 4 == 3:
                    await self.store.release(states=("dead",), now=NOON)
                    self.forgotten += await self.store._writer.do(look_and_prune, OLD)
            except StoreError:
                pass

    async def take_in(self, *events):
        """Each in a webhook of its own, all in one commit."""
        calls = [
            self.store.accept(an_intake(each, webhook=a_webhook(f"w-{each.id}"), decide=telling("splunk"))) for each in events
        ]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        self.kept |= {event.id for event, answer in zip(events, answers, strict=True) if not refused(answer)}

    async def deliver(self, fate):
        """Whatever is due, to this end."""
        claimed = await claim(self.store)
        ids = {delivery.event.id for delivery in claimed}
        self.ended |= ids if fate == "delivered" else set()  # whether it was written down is not known yet
        await self.store.record([tried(delivery, fate, due_at=NOON) for delivery in claimed], now=NOON)
        self.delivered |= ids if fate == "delivered" else set()

    async def is_well_again(self):
        """In the same process, once the disk is: something new comes in and goes out."""
        await self.take_in(an_event("fresh", "notice"))
        assert "fresh" in self.kept
        claimed = await claim(self.store, limit=100)
        assert "fresh" in {delivery.event.id for delivery in claimed}
        assert await self.store.record([tried(delivery) for delivery in claimed], now=NOON) == len(claimed)
        self.delivered |= {delivery.event.id for delivery in claimed}

    async def nothing_is_missing(self, path):
        """The file, as another process finds it."""
        db = connect(str(path), apsw.SQLITE_OPEN_READWRITE)
        assert db.execute("pragma integrity_check").fetchall() == [("ok",)]
        db.close()
        store = SqliteStore(path, reserve=4096)
        rows = {delivery["event_id"]: delivery for delivery in (await store.deliveries({}, limit=500)).items}
        assert self.kept - rows.keys() <= self.ended
        assert {rows[id]["state"] for id in self.delivered & rows.keys()} <= {"delivered"}
        assert {event["id"] for event in (await store.events({}, limit=500)).items} == rows.keys()
        sums = (await conserved(store))["splunk"]
        assert (sums["accepted"] >= len(self.kept), sums["delivered"] >= len(self.delivered)) == (True, True)
        await store.close()


OLD = Ages(webhooks=NOON + 1, events=NOON + 1, dead=NOON - 1, delivery_ids=NOON + 1, limit=100)


def look_and_prune(db, calls):
    """Both halves of it where the writer is, because nobody else may read here."""
    return prune(db, [find(db, ages) for ages in calls])


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
        life = Life(store)
        await life.lead()
        met = FAULTS.seen >= nth
        FAULTS.plan("", 0, sticky=False)
        await life.is_well_again()
        await store.close()
        await life.nothing_is_missing(path)
        points += met
        if not met:
            break
    print(f"{kind} {'from then on' if sticky else 'once'}: {points} fault points")
    assert not met, "the run must end with one that met no fault"
    assert points >= 3
    assert (len(life.kept), life.forgotten > 10) == (17, True), "and that one lacked nothing"


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
