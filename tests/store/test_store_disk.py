"""The disk beneath SQLite: full, failing, taken away."""

from __future__ import annotations

import asyncio
import re
import subprocess
import time
from pathlib import Path

import anyio
import anyio.to_thread
import apsw
import pytest
from store_examples import NOON, an_event, an_intake, claim, conserved, keep, tried

from gateway.errors import StoreError
from gateway.store.sqlite import SqliteStore
from gateway.store.sqlite.disk import Disk
from gateway.store.sqlite.file import connect, refusal


@pytest.fixture
def path(tmp_path):
    return tmp_path / "gateway.db"


def exactly(text: object) -> str:
    return f"^{re.escape(str(text))}$"


@pytest.mark.parametrize(
    "error, problem, retryable",
    [
        (apsw.FullError("full"), "the disk is full (full)", True),
        (apsw.IOError("io"), "the disk did not read or write (io)", True),
        (
            apsw.ReadOnlyError("ro"),
            "the database is read-only; give this user the right to write to it and its directory (ro)",
            True,
        ),
        (apsw.BusyError("busy"), "the database is locked by another program; end it (busy)", True),
        (apsw.LockedError("locked"), "the database is locked by another program; end it (locked)", True),
        (apsw.CantOpenError("open"), "the database file cannot be opened (open)", True),
        (apsw.NoMemError("mem"), "no memory is left (mem)", True),
        (apsw.CorruptError("bad"), "the database is damaged; restore a backup (bad)", False),
        (apsw.NotADBError("not"), "the file is not a SQLite database; name another one (not)", False),
        (apsw.ConstraintError("check"), "the database refused (check)", False),
    ],
)
def test_every_refusal_says_what_it_is(error, problem, retryable):
    refused = refusal(error)
    assert (str(refused), refused.retryable) == (problem, retryable)


@pytest.mark.anyio
async def test_a_full_disk_refuses_and_takes_no_harm(path):
    limits = {"pages": 0}

    def small(name, flags):
        db = connect(name, flags)
        if flags & apsw.SQLITE_OPEN_READWRITE and limits["pages"]:
            db.execute(f"pragma max_page_count = {limits['pages']}").fetchall()
        return db

    await SqliteStore(path).close()
    limits["pages"] = 60
    store = SqliteStore(path, connect=small)
    kept, error = 0, None
    while error is None:
        try:
            await keep(store, an_event(f"e{kept}", key=f"k{kept}", details="x" * 500))
            kept += 1
        except StoreError as refused:
            error = refused
    assert (str(error), error.retryable) == ("the disk is full (database or disk is full)", True)
    assert kept > 5
    assert (await conserved(store))["splunk"]["pending"] == kept
    await store.close()


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 12 MiB."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", tmp_path], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


@pytest.mark.anyio
async def test_on_a_full_disk_deliveries_go_on_and_intake_waits_for_room(tiny_disk):
    store = SqliteStore(tiny_disk / "gateway.db", reserve=2 << 20)
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(b"x" * (6 << 20))
    kept, error = 0, None
    while error is None:
        try:
            await keep(store, *(an_event(f"e{kept}.{n}", key=f"k{kept}.{n}", details="x" * 5_000) for n in range(10)))
            kept += 10
        except StoreError as refused:
            error = refused
    assert str(error) == "the disk is full (database or disk is full)"
    full = exactly("the disk is full; make room: deliveries go on, and nothing new is taken in")
    for refused in (store.accept(an_intake(an_event("new"))), store.ping()):
        with pytest.raises(StoreError, match=full):
            await refused
    drained = 0
    while claimed := await claim(store):
        drained += await store.record([tried(delivery) for delivery in claimed], now=NOON)
    assert drained >= kept
    ballast.unlink()
    await store.ping()
    await keep(store, an_event("new"))
    await conserved(store)
    await store.close()


def test_the_reserve_stands_beside_the_database(path):
    path.touch()
    Disk(path, reserve=1 << 20).check()
    assert Path(f"{path}.reserve").stat().st_size == 1 << 20


def test_a_disk_without_room_for_the_reserve_takes_nothing_in(path):
    path.touch()
    with pytest.raises(StoreError, match=exactly("the disk is full; make room: deliveries go on, and nothing new is taken in")):
        Disk(path, reserve=1 << 60).check()


@pytest.mark.parametrize("size", [0, 1000])
def test_a_file_that_is_too_small_is_no_reserve(path, size):
    path.touch()
    Path(f"{path}.reserve").write_bytes(b"x" * size)
    Disk(path, reserve=1 << 20).check()
    assert Path(f"{path}.reserve").stat().st_size == 1 << 20


def test_a_reserve_that_cannot_be_given_back_harms_nobody(path):
    path.touch()
    disk = Disk(path, reserve=1 << 20)
    Path(f"{path}.reserve").unlink()
    Path(f"{path}.reserve").mkdir()
    (Path(f"{path}.reserve") / "x").touch()
    disk.relieve()


GONE = "{}-wal was moved or deleted while in use; restart: nothing is lost as long as this runs"


def take_away(file, *, another):
    file.unlink()
    if another:
        file.write_bytes(b"")


@pytest.mark.anyio
@pytest.mark.parametrize("another", [False, True])
async def test_a_log_that_is_taken_away_loses_nothing(path, another):
    store = SqliteStore(path)
    await keep(store, an_event("e1", key="k1"))
    (claimed,) = await claim(store)
    take_away(Path(f"{path}-wal"), another=another)
    for call in (store.accept(an_intake(an_event("e2", key="k2"))), store.ping()):
        with pytest.raises(StoreError, match=exactly(GONE.format(path))):
            await call
    await store.record([tried(claimed)], now=NOON)
    await store.next_due("splunk", now=NOON)  # the one before it is taken care of by now
    found = apsw.Connection(f"file:{path}?immutable=1", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    rows = found.execute("select event_id, state from deliveries").fetchall()  # as a kill would leave it
    found.close()
    assert rows == [("e1", "delivered")]
    await store.close()


@pytest.mark.anyio
async def test_a_database_that_another_program_holds_is_refused_soon(path):
    store = SqliteStore(path)
    other = apsw.Connection(str(path))
    other.execute("begin immediate")
    locked = exactly("the database is locked by another program; end it (database is locked)")
    for _ in range(2):
        calls = [store.accept(an_intake(an_event(f"e{n}", key=f"k{n}"), webhook=None)) for n in range(20)]
        began = anyio.current_time()
        answers = await asyncio.gather(*calls, store.ping(), return_exceptions=True)
        assert anyio.current_time() - began < 2.5
        assert {type(answer) for answer in answers} == {StoreError}
        assert all(re.match(locked, str(answer)) for answer in answers)
    other.execute("rollback")
    await store.accept(an_intake(an_event("e1", key="k1")))
    await store.close()


class SlowFile(apsw.VFSFile):
    seconds = 0.0

    def xSync(self, flags):  # noqa: N802  apsw's name
        time.sleep(SlowFile.seconds)
        return super().xSync(flags)


class SlowDisk(apsw.VFS):
    def __init__(self) -> None:
        super().__init__("slow", "")

    def xOpen(self, name, flags):  # noqa: N802  apsw's name
        return SlowFile("", name, flags)


@pytest.mark.anyio
async def test_who_waits_for_a_slow_disk_hears_of_it_in_time_and_the_loop_goes_on(path):
    disk = SlowDisk()

    def slow(name, flags):
        db = apsw.Connection(name, flags=flags, vfs="slow")
        db.execute("pragma locking_mode = exclusive").fetchall()
        return db

    await SqliteStore(path).close()
    store = SqliteStore(path, connect=slow)
    SlowFile.seconds = 4.0
    began, lag = anyio.current_time(), [0.0]

    async def watch():
        while True:
            before = anyio.current_time()
            await anyio.sleep(0.01)
            lag.append(anyio.current_time() - before - 0.01)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        with pytest.raises(StoreError, match=exactly("the disk is too slow: this was not written in time")):
            await store.accept(an_intake(an_event("e1", key="k1")))
        assert 1.9 < anyio.current_time() - began < 2.5
        SlowFile.seconds = 0.0
        tasks.cancel_scope.cancel()
    assert max(lag) < 0.1
    await store.close()
    disk.unregister()
    again = SqliteStore(path)
    assert [event["id"] for event in (await again.events({})).items] == ["e1"]  # it was written, and its sender tries again
    await again.close()


@pytest.mark.anyio
async def test_a_thread_that_ended_is_said_and_nobody_waits_for_it(path):
    store = SqliteStore(path)
    store._writer._groups.put(None)
    store._writer._thread.join(5)
    for call in (store.ping(), store.accept(an_intake(an_event())), claim(store)):
        with pytest.raises(StoreError, match=exactly("the store's thread has ended; restart the gateway")) as refused:
            await call
        assert not refused.value.retryable
    await store.close()


@pytest.mark.anyio
async def test_an_error_that_nobody_foresaw_stops_neither_the_thread_nor_its_callers(path, monkeypatch):
    store = SqliteStore(path)
    monkeypatch.setattr(store._writer, "_answer", lambda calls: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        await store.ping()
    monkeypatch.undo()
    await store.ping()
    await store.close()


@pytest.mark.anyio
async def test_a_database_that_was_moved_away_takes_nothing_in(store, url):
    path = anyio.Path(url.removeprefix("sqlite:///"))
    await path.rename(path.with_suffix(".old"))
    for call in (store.accept(an_intake(an_event())), store.ping()):
        with pytest.raises(StoreError, match=exactly(f"{path} was moved or deleted while in use; put it back, or restart")):
            await call
    await path.with_suffix(".old").rename(path)
    await store.accept(an_intake(an_event()))
