"""The disk beneath SQLite: full, failing, taken away."""

from __future__ import annotations

import re
import subprocess
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


@pytest.mark.anyio
async def test_a_database_that_was_moved_away_takes_nothing_in(store, url):
    path = anyio.Path(url.removeprefix("sqlite:///"))
    await path.rename(path.with_suffix(".old"))
    for call in (store.accept(an_intake(an_event())), store.ping()):
        with pytest.raises(StoreError, match=exactly(f"{path} was moved or deleted while in use; put it back, or restart")):
            await call
    await path.with_suffix(".old").rename(path)
    await store.accept(an_intake(an_event()))
