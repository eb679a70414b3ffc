"""What is SQLite's own: the file, who holds it, the schema in it, the disk beneath it."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import apsw
import pytest
from store_examples import NOON, a_webhook, an_event, an_intake, claim, conserved, keep, tried

from gateway.errors import StoreError
from gateway.store import open_store
from gateway.store.migrate import Migration, migrate, read_migrations
from gateway.store.queries import Query, read_queries
from gateway.store.sqlite import SqliteStore
from gateway.store.sqlite.disk import Disk
from gateway.store.sqlite.file import apply, connect, open_writer, path_of, refusal, refuse_old

HERE = Path(__file__).parent


@pytest.fixture
def path(tmp_path):
    return tmp_path / "gateway.db"


def exactly(text: object) -> str:
    return f"^{re.escape(str(text))}$"


# --- which file ----------------------------------------------------------------------------------------------------------


def test_three_slashes_are_relative_and_four_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "var").mkdir()
    assert path_of("sqlite:///gateway.db") == Path("gateway.db")
    assert path_of("sqlite:///var/gateway.db") == Path("var/gateway.db")
    assert path_of(f"sqlite:///{tmp_path}/gateway.db") == tmp_path / "gateway.db"


@pytest.mark.parametrize(
    "url, problem",
    [
        ("mysql://host/db", "there is no store for 'mysql'; write sqlite:///gateway.db"),
        ("gateway.db", "there is no store for 'gateway.db'; write sqlite:///gateway.db"),
        ("sqlite:///", "sqlite:/// names no file; write sqlite:///gateway.db or sqlite:////var/lib/x.db"),
        ("sqlite://x.db", "sqlite://x.db names no file; write sqlite:///gateway.db or sqlite:////var/lib/x.db"),
        ("sqlite:////nowhere/x.db", "there is no directory /nowhere; make it, or name another"),
    ],
)
def test_a_url_that_names_no_store_is_refused(url, problem):
    with pytest.raises(StoreError, match=exactly(problem)) as error:
        open_store(url)
    assert not error.value.retryable


def test_a_directory_that_is_not_there_is_named_whole(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match=exactly(f"there is no directory {tmp_path}/data; make it, or name another")):
        open_store("sqlite:///data/gateway.db")


# --- who holds it --------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_second_process_is_refused(store, url):
    opened = "import sys; from gateway.store import open_store; open_store(sys.argv[1])"
    second = subprocess.run([sys.executable, "-c", opened, url], capture_output=True, text=True, check=False)
    file = url.removeprefix("sqlite:///")
    refused = f"{file} is in use by process {os.getpid()}; one gateway at a time may have it"
    assert (second.returncode, second.stderr.splitlines()[-1]) == (1, f"gateway.errors.StoreError: {refused}")


@pytest.mark.anyio
async def test_a_store_that_was_closed_can_be_opened_again(store, url):
    await keep(store, an_event())
    await store.close()
    again = open_store(url)
    assert [delivery.id for delivery in await claim(again)] == ["e1.splunk"]
    await again.close()


@pytest.mark.parametrize("version, old", [("3.40.1", True), ("3.51.2", True), ("3.51.3", False), ("3.100.0", False), ("4.0", False)])
def test_sqlite_before_3_51_3_is_refused(version, old):
    if not old:
        return refuse_old(version)
    with pytest.raises(
        StoreError,
        match=exactly(f"SQLite {version} can damage a database in WAL mode; 3.51.3 or newer is needed: pip install -U apsw"),
    ):
        refuse_old(version)
    return None


# --- what is in it -------------------------------------------------------------------------------------------------------


def schema(db):
    return sorted(db.execute("select type, name, tbl_name, sql from sqlite_schema"))


def test_each_commit_is_synced(path):
    db = open_writer(path)
    assert (db.pragma("journal_mode"), db.pragma("synchronous")) == ("wal", 2)


def test_a_disk_that_keeps_no_log_is_refused():
    with pytest.raises(
        StoreError, match=exactly("the database cannot keep a write-ahead log here; name a path on a local disk")
    ):
        open_writer(Path(":memory:"))


def test_a_connection_that_does_not_sync_is_refused(path):
    class Careless(apsw.Connection):
        def pragma(self, name, *values, **more):
            return super().pragma(name, *values, **more) if values != ("full",) else None

    def careless(name, flags):
        db = Careless(name, flags=flags)
        db.execute("pragma synchronous = normal")
        return db

    with pytest.raises(
        StoreError, match=exactly("SQLite does not sync its commits here (PRAGMA synchronous is not FULL)")
    ):
        open_writer(path, careless)


def test_a_newer_schema_is_refused(path):
    db = open_writer(path)
    db.pragma("user_version", 99)
    db.close()
    known = len(read_migrations("sqlite"))
    with pytest.raises(
        StoreError,
        match=exactly(
            f"the database has schema version 99, and this gateway knows up to {known}; "
            "start the newer gateway that wrote it, or restore a backup from before"
        ),
    ):
        open_store(f"sqlite:///{path}")


def test_another_programs_database_is_refused(path):
    db = apsw.Connection(str(path))
    db.execute("create table notes (text)")
    db.close()
    with pytest.raises(StoreError, match=exactly(f"{path} belongs to another program; name another file")):
        open_store(f"sqlite:///{path}")


def test_a_file_that_is_no_database_is_refused(path):
    path.write_text("these are my notes. " * 100)
    with pytest.raises(
        StoreError, match=exactly("the file is not a SQLite database; name another one (file is not a database)")
    ):
        open_store(f"sqlite:///{path}")


def test_a_refused_file_is_not_held(path):
    path.write_text("these are my notes. " * 100)
    for _ in range(2):
        with pytest.raises(StoreError, match="is not a SQLite database"):
            open_store(f"sqlite:///{path}")


def test_migrations_are_numbered_without_a_gap():
    migrations = read_migrations("sqlite")
    assert [migration.number for migration in migrations] == list(range(1, len(migrations) + 1))
    assert [migration.name for migration in migrations if not re.fullmatch(r"\d{4}_[a-z_]+\.sql", migration.name)] == []


def test_an_old_database_is_brought_to_the_same_schema_as_a_fresh_one(path, tmp_path):
    fresh = open_writer(path)
    migrations = read_migrations("sqlite")
    for version in range(len(migrations)):
        old = connect(str(tmp_path / f"{version}.db"), apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
        for migration in migrations[:version]:
            apply(old, migration)
        old.close()
        migrated = open_writer(tmp_path / f"{version}.db")
        assert schema(migrated) == schema(fresh)
        assert migrated.pragma("user_version") == len(migrations)


def test_a_migration_that_fails_leaves_the_version_before_it(path):
    db = connect(str(path), apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
    steps = [
        Migration(1, "0001_a.sql", "create table a (x);"),
        Migration(2, "0002_b.sql", "create table b (x); insert into nowhere values (1);"),
    ]
    with pytest.raises(apsw.SQLError, match=exactly("no such table: nowhere")):
        migrate(0, steps, lambda step: apply(db, step))
    assert (db.pragma("user_version"), [row[1] for row in schema(db)]) == (1, ["a"])
    steps[1] = Migration(2, "0002_b.sql", "create table b (x);")
    migrate(db.pragma("user_version"), steps, lambda step: apply(db, step))
    assert (db.pragma("user_version"), [row[1] for row in schema(db)]) == (2, ["a", "b"])


def explain(db, how, sql):
    names = dict.fromkeys(re.findall(r":(\w+)", sql), "[]")
    return db.execute(f"{how} {sql}", names or ("[]",) * sql.count("?")).fetchall()


def test_every_query_is_understood_with_every_option(path):
    db = open_writer(path)
    for name, query in read_queries("sqlite").items():
        for given in (frozenset(), query.options()):
            assert explain(db, "explain", query.given(given)), name


def test_a_query_keeps_only_the_lines_that_are_given_and_repeats_its_rows():
    query = Query("select 1\nwhere true\n  and a = :a    -- if a\n  and b = :b    -- if b\nlimit 1")
    assert query.options() == {"a", "b"}
    assert query.given(frozenset({"b"})) == "select 1\nwhere true\n  and b = :b\nlimit 1"
    assert Query("values (?, ?)").times(3) == "values (?, ?), (?, ?), (?, ?)"


@pytest.mark.parametrize(
    "name, index",
    [
        ("claim", "deliveries_due"),
        ("claim", "deliveries_in_line"),
        ("next due", "deliveries_holding"),
        ("next due", "deliveries_leased"),
        ("void expired claims", "deliveries_leased"),
        ("under way", "deliveries_due"),
        ("under way", "deliveries_leased"),
        ("under way", "deliveries_parked"),
        ("latest incidents", "incidents_by_dedup_key"),
        ("quiet incidents", "incidents_quiet"),
        ("dead letters", "deliveries_dead"),
        ("prune dead deliveries", "deliveries_dead"),
        ("prunable events", "events_by_age"),
        ("prune webhooks", "webhooks_by_age"),
    ],
)
def test_the_busy_queries_use_their_index_and_scan_no_table(path, name, index):
    db = open_writer(path)
    plan = [row[3] for row in explain(db, "explain query plan", read_queries("sqlite")[name].given(frozenset()))]
    assert [line for line in plan if index in line]
    assert [line for line in plan if re.search(r"SCAN (deliveries|events|incidents|webhooks)(?!.*USING)", line)] == []


# --- the writer ----------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_the_loop_never_waits_for_the_disk(path):
    entered, go_on = threading.Event(), threading.Event()
    store = SqliteStore(path)

    def slow(incident, event):
        entered.set()
        assert go_on.wait(10)
        raise ZeroDivisionError

    waiting = asyncio.ensure_future(store.accept(an_intake(an_event(), decide=slow)))
    while not entered.is_set():
        await asyncio.sleep(0.001)
    assert (await store.events({})).items == [], "reading goes on beside a writer that hangs"
    go_on.set()
    with pytest.raises(ZeroDivisionError):
        await waiting
    await store.close()


@pytest.mark.anyio
async def test_more_calls_than_may_wait_are_refused(path):
    store = SqliteStore(path, bound=20)
    answers = await asyncio.gather(
        *(store.accept(an_intake(an_event(f"e{n}"), webhook=a_webhook(f"w{n}"))) for n in range(25)), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, StoreError)]
    assert [(str(error), error.retryable) for error in refused] == [
        ("the store is busy: 20 calls wait for the disk", True)
    ] * 5
    await keep(store, an_event("later"))
    await store.close()


@pytest.mark.anyio
async def test_a_caller_that_goes_away_harms_nobody(store):
    calls = [asyncio.ensure_future(store.accept(an_intake(an_event(f"e{n}"), webhook=a_webhook(f"w{n}")))) for n in range(3)]
    await asyncio.sleep(0)
    calls[1].cancel()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(answers[1], asyncio.CancelledError)
    assert [answers[0].webhook_id, answers[2].webhook_id] == ["w0", "w2"]


# --- the disk ------------------------------------------------------------------------------------------------------------


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
    with pytest.raises(
        StoreError, match=exactly("the disk is full; make room: deliveries go on, and nothing new is taken in")
    ):
        Disk(path, reserve=1 << 60).check()


@pytest.mark.anyio
async def test_a_database_that_was_moved_away_takes_nothing_in(store, url):
    path = Path(url.removeprefix("sqlite:///"))
    path.rename(path.with_suffix(".old"))
    for call in (store.accept(an_intake(an_event())), store.ping()):
        with pytest.raises(
            StoreError, match=exactly(f"{path} was moved or deleted while in use; put it back, or restart")
        ):
            await call
    path.with_suffix(".old").rename(path)
    await store.accept(an_intake(an_event()))


# --- the sudden end ------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_what_was_answered_outlives_a_process_that_dies(url):
    process = subprocess.run([sys.executable, HERE / "dying.py", url], capture_output=True, text=True, check=False)
    assert process.returncode == 137, process.stderr
    answered = process.stdout.split()
    assert len(answered) >= 100
    store = open_store(url)
    kept = {delivery["event_id"]: delivery for delivery in await all_deliveries(store)}
    assert [id for id in answered if id not in kept or await store.webhook(f"w-{id}") is None] == []
    sums = await conserved(store)
    assert sums["splunk"]["accepted"] == len(kept) == sums["splunk"]["pending"]
    assert {delivery["attempts"] for delivery in kept.values()} == {0, 1}, "some were claimed when it died"
    await store.close()


async def all_deliveries(store):
    found, cursor = [], ""
    while True:
        page = await store.deliveries({}, cursor=cursor, limit=500)
        found += page.items
        if not (cursor := page.next):
            return found
