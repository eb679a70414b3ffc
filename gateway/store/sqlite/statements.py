"""Statements over many rows: few large ones, because each gives the interpreter's lock away once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

import apsw
import msgspec

from ..queries import Query, read_queries

SQL = read_queries("sqlite")
SIZES = (64, 16, 4, 1)

Row = tuple[Any, ...]


def once(db: apsw.Connection, query: str, names: Mapping[str, Any]) -> list[Row]:
    """Run a statement with named values; whatever it returns."""
    return db.execute(query, names).fetchall()


def many(db: apsw.Connection, query: Query, rows: Iterable[Row]) -> list[Row]:
    """Run a statement over rows; whatever it returns."""
    found: list[Row] = []
    for chunk in _chunks(list(rows)):
        found += db.execute(query.times(len(chunk)), tuple(chain.from_iterable(chunk))).fetchall()
    return found


def seqs(numbers: Iterable[int]) -> str:
    """Numbers as one parameter, for `json_each`."""
    return msgspec.json.encode(list(numbers)).decode()


def _chunks(rows: list[Row]) -> Iterator[list[Row]]:
    start = 0
    for size in SIZES:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size
