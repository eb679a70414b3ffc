"""What is SQLite's own: the file, who holds it, the schema in it, the one who writes."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import threading
from pathlib import Path

import anyio
import anyio.to_thread
import apsw
import pytest
from store_examples import a_webhook, an_event, an_intake, claim, conserved, keep

from gateway.errors import StoreError
from gateway.store import open_store
from gateway.store.migrate import Migration, migrate, read_migrations
from gateway.store.queries import Query, read_queries
from gateway.store.sqlite import SqliteStore
from gateway.store.sqlite.file import apply, connect, open_writer, path_of, refuse_old

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
    second = await anyio.run_process([sys.executable, "-c", opened, url], check=False)
    file = url.removeprefix("sqlite:///")
    refused = f"{file} is in use by process {os.getpid()}; one gateway at a time may have it: name another in GATEWAY_STORE"
    assert (second.returncode, second.stderr.decode().splitlines()[-1]) == (1, f"gateway.errors.StoreError: {refused}")


@pytest.mark.anyio
async def test_a_store_that_was_closed_can_be_opened_again(store, url):
    await keep(store, an_event())
    await store.close()
    again = open_store(url)
    assert [delivery.id for delivery in await claim(again)] == ["e1.splunk"]
    await again.close()


@pytest.mark.parametrize(
    "version, old", [("3.40.1", True), ("3.51.2", True), ("3.51.3", False), ("3.100.0", False), ("4.0", False)]
)
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
    with pytest.raises(StoreError, match=exactly("the database cannot keep a write-ahead log here; name a path on a local disk")):
        open_writer(Path(":memory:"))


def test_a_connection_that_does_not_sync_is_refused(path):
    class Careless(apsw.Connection):
        def pragma(self, name, *values, **more):
            return super().pragma(name, *values, **more) if values != ("full",) else None

    def careless(name, flags):
        db = Careless(name, flags=flags)
        db.execute("pragma synchronous = normal")
        return db

    with pytest.raises(StoreError, match=exactly("SQLite does not sync its commits here (PRAGMA synchronous is not FULL)")):
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
        StoreError, match=exactly(f"{path}: the file is not a SQLite database; name another one (file is not a database)")
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
        ("prunable webhooks", "webhooks_by_age"),
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
    await anyio.to_thread.run_sync(entered.wait)
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
    assert [(str(error), error.retryable) for error in refused] == [("the store is busy: 20 calls wait for the disk", True)] * 5
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


# --- the sudden end ------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_what_was_answered_outlives_a_process_that_dies(url):
    process = await anyio.run_process([sys.executable, str(HERE / "dying.py"), url], check=False)
    assert process.returncode == 137, process.stderr.decode()
    answered = process.stdout.decode().split()
    assert len(answered) >= 100
    store = open_store(url)
    kept = {delivery["event_id"]: delivery for delivery in await all_deliveries(store)}
    assert [id for id in answered if id not in kept or await store.webhook(f"w-{id}") is None] == []
    sums = await conserved(store)
    assert sums["splunk"]["accepted"] == len(kept) == sums["splunk"]["pending"]
    assert {delivery["tries"] for delivery in kept.values()} == {0, 1}, "some were claimed when it died"
    await store.close()


async def all_deliveries(store):
    found, cursor = [], ""
    while True:
        page = await store.deliveries({}, cursor=cursor, limit=500)
        found += page.items
        if not (cursor := page.next):
            return found
