"""
Numbered migrations, `sql/<scheme>/migrations/0001_what_it_does.sql`: forward only, each in one transaction of its own.

To change the schema, add the next number; a file that was released is never edited.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.resources import files

from msgspec import Struct

from ..errors import StoreError


class Migration(Struct, frozen=True):
    """One step of the schema."""

    number: int
    name: str
    sql: str


def read_migrations(scheme: str) -> list[Migration]:
    """All steps of a scheme, in order."""
    folder = files(__package__) / "sql" / scheme / "migrations"
    entries = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name)
    return [Migration(int(entry.name[:4]), entry.name, entry.read_text("utf-8")) for entry in entries]


def migrate(version: int, migrations: Sequence[Migration], apply: Callable[[Migration], None]) -> None:
    """Apply what is newer than `version`. Raises StoreError where the schema is newer than this gateway."""
    known = migrations[-1].number
    if version > known:
        raise StoreError(
            f"the database has schema version {version}, and this gateway knows up to {known}; "
            "start the newer gateway that wrote it, or restore a backup from before",
            retryable=False,
        )
    for migration in migrations:
        if migration.number > version:
            apply(migration)
