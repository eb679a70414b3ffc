"""
The disk beneath the database. A full disk refuses deletions too, so a reserve is kept beside the file and given back when the
disk is full: what is under way can then be written down, and nothing new comes in until the reserve stands again.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from ...errors import StoreError

RESERVE = 4 << 20  # bytes


class Disk:
    """Whether more may be taken in. Its methods belong to the writer's thread."""

    def __init__(self, path: Path, *, reserve: int = RESERVE) -> None:
        self._path, self._size = path, reserve
        self._file, self._log = Path(f"{path}.reserve"), Path(f"{path}-wal")
        self._identity, self._log_identity = _identity(path), _identity(self._log)
        self.log_is_gone = False
        self._reserved = self._stands() or self._reserve()

    def look_anew(self) -> None:
        """The database is opened anew: its log may be another one."""
        self._log_identity, self.log_is_gone = None, False

    def check(self) -> None:
        """Raises StoreError where the reserve is spent, or the database or its log is no longer the file that was opened."""
        if _identity(self._path) != self._identity:
            raise StoreError(f"{self._path} was moved or deleted while in use; put it back, or restart")
        log = _identity(self._log)
        self.log_is_gone = self._log_identity is not None and log != self._log_identity
        if self.log_is_gone:
            raise StoreError(f"{self._log} was moved or deleted while in use; restart: nothing is lost as long as this runs")
        self._log_identity = log
        self._reserved = self._reserved or self._reserve()
        if not self._reserved:
            raise StoreError("the disk is full; make room: deliveries go on, and nothing new is taken in")

    def relieve(self) -> None:
        """The disk is full: give the reserve back."""
        with suppress(OSError):  # what cannot be given back is no help, and no harm
            self._file.unlink(missing_ok=True)
        self._reserved = False

    def _stands(self) -> bool:
        try:
            return self._file.stat().st_size >= self._size
        except OSError:
            return False

    def _reserve(self) -> bool:
        # Twice the size must be free, or the reserve would take away what it has just given.
        free = os.statvfs(self._path.parent)
        if free.f_bavail * free.f_frsize < 2 * self._size:
            return False
        try:
            with self._file.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, self._size)
        except OSError:
            self.relieve()
            return False
        return True


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
