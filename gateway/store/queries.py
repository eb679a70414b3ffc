"""
SQL stays SQL: statements stand in `sql/<scheme>/*.sql`, each after a line `-- name: what it does`, and are read at import.

To add one, write it there; `read_queries(scheme)["what it does"]` is it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files

NAME = re.compile(r"^-- name: (.+)$", re.MULTILINE)
OPTION = re.compile(r"^(.*?)\s*-- if (\w+)$")
ROW = re.compile(r"\(\?(?:, \?)*\)")


class Query(str):
    """
    One statement. A line that ends in `-- if NAME` stands only where that name is given; a row of question marks may be
    repeated, so that one statement writes or looks up many rows.
    """

    __slots__ = ()

    def options(self) -> frozenset[str]:
        """The names that may be given."""
        return frozenset(found[2] for line in self.splitlines() if (found := OPTION.match(line)))

    @lru_cache(maxsize=512)  # noqa: B019  queries live as long as the process
    def given(self, names: frozenset[str]) -> str:
        """The statement with the lines of these names, and without those of the others."""
        lines = ((OPTION.match(line), line) for line in self.splitlines())
        return "\n".join(found[1] if found else line for found, line in lines if not found or found[2] in names)

    @lru_cache(maxsize=512)  # noqa: B019  queries live as long as the process
    def times(self, rows: int) -> str:
        """The statement for so many rows. ValueError for one that has no row to repeat: it would fail on busy days only."""
        text, found = ROW.subn(lambda row: ", ".join([row[0]] * rows), self)
        if found != 1:
            raise ValueError(f"a statement over many rows has one row of question marks and nothing else in it: {self}")
        return text


def read_queries(scheme: str) -> dict[str, Query]:
    """Every named statement of a scheme."""
    folder = files(__package__) / "sql" / scheme
    texts = [entry.read_text("utf-8") for entry in folder.iterdir() if entry.name.endswith(".sql")]
    return {name: Query(sql.strip()) for text in texts for name, sql in _named(text)}


def _named(text: str) -> list[tuple[str, str]]:
    _, *parts = NAME.split(text)
    return list(zip(parts[::2], parts[1::2], strict=True))
