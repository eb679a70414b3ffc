"""
Power loss: whatever was written and not synced is gone. With each commit synced nothing answered is missing; the same run without
it must lose something, or this test proves nothing.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import apsw
import pytest
from store_examples import NOON, a_webhook, an_event, an_intake, claim, conserved, tried

from gateway.store.sqlite import SqliteStore

UNSYNCED: dict[str, list[tuple[int, bytes, int]]] = {}  # per file, in order: where, what stood there, how long the file was


class ForgetfulFile(apsw.VFSFile):
    def __init__(self, name, flags):
        super().__init__("", name, flags)
        self.path = name if isinstance(name, str) else name.filename()
        UNSYNCED[self.path] = []

    def xWrite(self, data, offset):  # noqa: N802  apsw's name
        self._remember(offset, len(data))
        return super().xWrite(data, offset)

    def xTruncate(self, size):  # noqa: N802  apsw's name
        self._remember(size, self.xFileSize() - size)
        return super().xTruncate(size)

    def xSync(self, flags):  # noqa: N802  apsw's name
        super().xSync(flags)
        UNSYNCED[self.path].clear()

    def _remember(self, offset, length):
        with Path(self.path).open("rb") as file:
            file.seek(offset)
            UNSYNCED[self.path].append((offset, file.read(length), self.xFileSize()))


class ForgetfulDisk(apsw.VFS):
    def __init__(self):
        super().__init__("forgetful", "")

    def xOpen(self, name, flags):  # noqa: N802  apsw's name
        return ForgetfulFile(name, flags)


@pytest.fixture(scope="module")
def forgetful_disk():
    disk = ForgetfulDisk()
    yield disk
    disk.unregister()


class Careless(apsw.Connection):
    """Says that it syncs each commit, and does not."""

    def pragma(self, name, *values):
        if name == "synchronous":
            return super().pragma(name, "normal") if values else 2
        return super().pragma(name, *values)


def careless(name, flags):
    return forgetful(name, flags, kind=Careless)


def forgetful(name, flags, *, kind=apsw.Connection):
    db = kind(name, flags=flags, vfs="forgetful")
    db.execute("pragma locking_mode = exclusive; pragma wal_autocheckpoint = 40").fetchall()
    return db


def power_off(path: Path, where: Path) -> Path:
    """The database as it would be found after the power came back."""
    where.mkdir()
    for name in (path, Path(f"{path}-wal")):
        copy = where / name.name
        shutil.copy(name, copy)
        with copy.open("r+b") as file:
            for offset, before, size in reversed(UNSYNCED[str(name)]):
                file.seek(offset)
                file.write(before)
                file.truncate(size)
    return where / path.name


async def work(store, n):
    """One webhook, claimed and delivered every second time."""
    await store.accept(an_intake(an_event(f"e{n}", key=f"k{n}", details="x" * 1_500), webhook=a_webhook(f"w{n}")))
    if n % 2:
        claimed = await claim(store)
        await store.record([tried(delivery) for delivery in claimed], now=NOON)


async def missing(path, answered):
    """How many of the answered webhooks are not there, or are not delivered though that was answered too."""
    store = SqliteStore(path)
    rows = {delivery["event_id"]: delivery["state"] for delivery in (await store.deliveries({}, limit=500)).items}
    await conserved(store)
    await store.close()
    delivered = answered - answered % 2
    return sum(rows.get(f"e{n}") != ("delivered" if n < delivered else "pending") for n in range(answered))


@pytest.mark.anyio
@pytest.mark.parametrize("synced", [True, False])
async def test_nothing_answered_is_lost_when_the_power_fails(forgetful_disk, tmp_path, synced):
    path = tmp_path / "gateway.db"
    await SqliteStore(path).close()
    store = SqliteStore(path, connect=forgetful if synced else careless)
    lost = 0
    for n in range(60):
        await work(store, n)
        lost += await missing(power_off(path, tmp_path / str(n)), n + 1)
    await store.close()
    assert (lost == 0) == synced
