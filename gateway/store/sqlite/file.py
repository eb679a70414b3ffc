"""The database file: where it lies, who holds it, how a connection to it is set up, and what its refusals mean."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from ...errors import StoreError
from ..migrate import Migration, migrate, read_migrations

Connect = Callable[[str, int], apsw.Connection]

OLDEST = (3, 51, 3)  # https://sqlite.org/wal.html: before it, two connections could corrupt a WAL that was being reset
SCHEME = "sqlite:///"
PATIENCE = 1000  # milliseconds that a write waits for another program to let go of the database
FULL = 2

REFUSALS: dict[type[apsw.Error], tuple[str, bool]] = {
    apsw.FullError: ("the disk is full", True),
    apsw.ReadOnlyError: ("the database is read-only; give this user the right to write to it and its directory", True),
    apsw.BusyError: ("the database is locked by another program; end it", True),
    apsw.LockedError: ("the database is locked by another program; end it", True),
    apsw.IOError: ("the disk did not read or write", True),
    apsw.CantOpenError: ("the database file cannot be opened", True),
    apsw.NoMemError: ("no memory is left", True),
    apsw.CorruptError: ("the database is damaged; restore a backup", False),
    apsw.NotADBError: ("the file is not a SQLite database; name another one", False),
}


def refusal(error: apsw.Error, path: Path | None = None) -> StoreError:
    """What SQLite says, for the person who can act; of which file, where that is not plain."""
    text, retryable = REFUSALS.get(type(error), ("the database refused", False))
    return StoreError(f"{path}: {text} ({error})" if path else f"{text} ({error})", retryable=retryable)


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Whatever SQLite raises inside comes out as StoreError."""
    try:
        yield
    except apsw.Error as error:
        raise refusal(error, path) from error


def path_of(url: str) -> Path:
    """`sqlite:///gateway.db` lies in the working directory, `sqlite:////var/lib/gateway.db` at that absolute path."""
    path = Path(url.removeprefix(SCHEME))
    if not url.startswith(SCHEME) or url == SCHEME:
        raise StoreError(f"{url} names no file; write sqlite:///gateway.db or sqlite:////var/lib/x.db", retryable=False)
    if not path.parent.is_dir():
        raise StoreError(f"there is no directory {path.parent.absolute()}; make it, or name another", retryable=False)
    return path


def refuse_old(version: str) -> None:
    """SQLite before 3.51.3 may corrupt the database."""
    if tuple(map(int, version.split("."))) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise StoreError(
            f"SQLite {version} can damage a database in WAL mode; {oldest} or newer is needed: pip install -U apsw",
            retryable=False,
        )


def hold(path: Path) -> Callable[[], None]:
    """Keep every other process away, by an exclusive lock on `<path>.lock` that ends with this one. Returns how to let go."""
    try:
        file = Path(f"{path}.lock").open("a+")  # noqa: SIM115  open as long as the lock is held
    except OSError as error:
        raise StoreError(f"{path}.lock cannot be written: {error.strerror}", retryable=False) from error
    file.seek(0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = file.read(20)
        file.close()
        raise StoreError(
            f"{path} is in use by process {holder}; one gateway at a time may have it: name another in GATEWAY_STORE",
            retryable=False,
        ) from None
    file.truncate()
    file.write(str(os.getpid()))
    file.flush()
    return file.close


def connect(path: str, flags: int) -> apsw.Connection:
    """A connection as SQLite gives it; tests bring one of their own, to make a disk fail."""
    return apsw.Connection(path, flags=flags)


def open_writer(path: Path, connect: Connect = connect) -> apsw.Connection:
    """The one connection that writes. Raises StoreError unless each commit is synced and the schema is ours."""
    with refusals(path):
        db = connect(str(path), apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
        try:
            _settle_in(db)
            migrate(_version(db, path), read_migrations("sqlite"), lambda step: apply(db, step))
        except BaseException:
            db.close()
            raise
        return db


def open_reader(path: Path, connect: Connect = connect) -> apsw.Connection:
    """A connection that only reads."""
    with refusals(path):
        db = connect(str(path), apsw.SQLITE_OPEN_READONLY)
        db.set_busy_timeout(5 * PATIENCE)
        return db


def check_whole(path: Path) -> None:
    """SQLite's own look at the whole file. Raises StoreError."""
    db = open_reader(path)
    try:
        with refusals(path):
            found = [said for (said,) in db.execute("pragma quick_check(1)")]
    finally:
        db.close()
    if found != ["ok"]:
        raise StoreError(f"{path} is damaged ({found[0]}); restore a backup", retryable=False)


def apply(db: apsw.Connection, migration: Migration) -> None:
    """One step of the schema, all or nothing."""
    db.execute("begin immediate")
    try:
        db.execute(migration.sql).fetchall()
        db.pragma("user_version", migration.number)
        db.execute("commit")
    except BaseException:
        db.execute("rollback")
        raise


def _settle_in(db: apsw.Connection) -> None:
    db.set_busy_timeout(PATIENCE)
    if db.pragma("journal_mode", "wal") != "wal":
        raise StoreError("the database cannot keep a write-ahead log here; name a path on a local disk", retryable=False)
    db.pragma("synchronous", "full")
    if db.pragma("synchronous") != FULL:
        raise StoreError("SQLite does not sync its commits here (PRAGMA synchronous is not FULL)", retryable=False)
    db.pragma("cache_size", -16_000)  # KiB
    db.pragma("temp_store", "memory")
    db.pragma("journal_size_limit", 64 << 20)


def _version(db: apsw.Connection, path: Path) -> int:
    version = int(db.pragma("user_version"))
    if version == 0 and db.execute("select 1 from sqlite_schema").fetchall():
        raise StoreError(f"{path} belongs to another program; name another file", retryable=False)
    return version
