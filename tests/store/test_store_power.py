"""
Power loss, in the middle of any write: of what was written and not synced, each sector of 512 bytes is on the disk or is not, in no
order. With each commit synced nothing answered is missing; the same run without it must lose something, or this test proves nothing.

`POWER_SEEDS=200` runs as many (`make faults`); a seed that fails is run again by `POWER_FIRST=<seed> POWER_SEEDS=1`.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import apsw
import pytest
from store_examples import NOON, a_webhook, an_event, an_intake, claim, conserved, tried

from gateway.store.sqlite import SqliteStore

SECTOR = 512
FIRST, SEEDS = int(os.environ.get("POWER_FIRST", "0")), int(os.environ.get("POWER_SEEDS", "20"))
WEBHOOKS = 40


class Disk(apsw.VFS):
    """Knows what each file held when it was synced last, and loses the power at the n-th write."""

    def __init__(self) -> None:
        super().__init__("forgetful", "")
        self.forget()

    def forget(self) -> None:
        self.synced: dict[str, bytes] = {}
        self.writes, self.off_at, self.lost = 0, 0, None
        self.answered: list[int] = []

    def xOpen(self, name, flags):  # noqa: N802  apsw's name
        return File(self, name, flags)

    def meet(self) -> None:
        self.writes += 1
        if self.writes == self.off_at:
            self.lost = {path: (before, Path(path).read_bytes()) for path, before in self.synced.items() if Path(path).exists()}
            self.then = list(self.answered)

    def found(self, folder: Path, chance: random.Random) -> Path:
        """The files as they may be found when the power comes back."""
        folder.mkdir()
        for path, (before, now) in self.lost.items():
            content = bytearray(before.ljust(max(len(before), len(now)), b"\0"))
            for at in range(0, len(now), SECTOR):
                if now[at : at + SECTOR] != before[at : at + SECTOR] and chance.random() < 0.5:
                    content[at : at + SECTOR] = now[at : at + SECTOR]
            (folder / Path(path).name).write_bytes(content[: chance.choice([len(before), len(now)])])
        return folder / "gateway.db"


class File(apsw.VFSFile):
    def __init__(self, disk, name, flags):
        super().__init__("", name, flags)
        self.disk, self.path = disk, name if isinstance(name, str) else name.filename()
        disk.synced[self.path] = Path(self.path).read_bytes()

    def xWrite(self, data, offset):  # noqa: N802  apsw's name
        self.disk.meet()
        return super().xWrite(data, offset)

    def xTruncate(self, size):  # noqa: N802  apsw's name
        self.disk.meet()
        return super().xTruncate(size)

    def xSync(self, flags):  # noqa: N802  apsw's name
        super().xSync(flags)
        self.disk.synced[self.path] = Path(self.path).read_bytes()


@pytest.fixture(scope="module")
def disk():
    made = Disk()
    yield made
    made.unregister()


class Careless(apsw.Connection):
    """Says that it syncs each commit, and does not."""

    def pragma(self, name, *values):
        if name == "synchronous":
            return super().pragma(name, "normal") if values else 2
        return super().pragma(name, *values)


def over(kind):
    def connect(name, flags):
        db = kind(name, flags=flags, vfs="forgetful")
        db.execute("pragma locking_mode = exclusive; pragma wal_autocheckpoint = 40").fetchall()
        return db

    return connect


async def work(store, disk):
    """Webhooks, claimed and delivered every second time; what was answered is noted."""
    for n in range(WEBHOOKS):
        await store.accept(an_intake(an_event(f"e{n}", key=f"k{n}", details="x" * 1_500), webhook=a_webhook(f"w{n}")))
        disk.answered.append(n)
        if n % 2:
            claimed = await claim(store)
            await store.record([tried(delivery) for delivery in claimed], now=NOON)
            disk.answered.append(-n)


async def run(disk, path, kind, off_at):
    disk.forget()
    for each in (path, Path(f"{path}-wal"), Path(f"{path}-shm"), Path(f"{path}.reserve")):
        each.unlink(missing_ok=True)
    await SqliteStore(path).close()
    disk.off_at = off_at
    store = SqliteStore(path, connect=over(kind))
    await work(store, disk)
    await store.close()


async def missing(path, answered):
    """How many of the answered webhooks are not there, or are not delivered though that was answered too. And it goes on."""
    store = SqliteStore(path)
    rows = {delivery["event_id"]: delivery["state"] for delivery in (await store.deliveries({}, limit=500)).items}
    delivered = {n for done in answered if done < 0 for n in (-done, -done - 1)}
    lost = sum(
        rows.get(f"e{n}") not in ({"delivered"} if n in delivered else {"pending", "delivered"}) for n in answered if n >= 0
    )
    await conserved(store)
    await store.accept(an_intake(an_event("fresh", key="fresh"), webhook=a_webhook("fresh")))
    assert "fresh" in [delivery.event.id for delivery in await claim(store, limit=500)]
    await store.close()
    db = apsw.Connection(str(path))
    assert db.execute("pragma integrity_check").fetchall() == [("ok",)]
    db.close()
    return lost


async def lost_over(disk, folder, kind, seeds):
    path = folder / "gateway.db"
    await run(disk, path, kind, 0)
    writes, lost = disk.writes, {}
    for seed in seeds:
        chance = random.Random(seed)
        await run(disk, path, kind, chance.randrange(1, writes + 1))
        if disk.lost is not None:
            lost[seed] = await missing(disk.found(folder / str(seed), chance), disk.then)
    return lost


@pytest.mark.anyio
@pytest.mark.timeout(600)
async def test_nothing_answered_is_lost_when_the_power_fails(disk, tmp_path):
    lost = await lost_over(disk, tmp_path, apsw.Connection, range(FIRST, FIRST + SEEDS))
    print(f"power lost {len(lost)} times, seeds {FIRST} to {FIRST + SEEDS - 1}: answered and lost {sum(lost.values())}")
    assert {seed: count for seed, count in lost.items() if count} == {}
    assert len(lost) >= SEEDS * 0.9


@pytest.mark.anyio
async def test_without_a_sync_for_each_commit_something_is(disk, tmp_path):
    lost = await lost_over(disk, tmp_path, Careless, range(10))
    assert sum(lost.values()) > 0
