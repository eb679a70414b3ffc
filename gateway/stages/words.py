"""A word turned into a word: the construct `{from, table, absent, default}` that actions, severities and `let` share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar, Literal, Self, get_args

import re2

from ..expr import Expression, Inbound
from ..model import Action, Severity
from ..values import Keys, Pattern

EXACT = 2**53  # up to here a float is the integer it looks like
_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?"
_RANGE = re2.compile(rf"({_NUMBER})?\.\.({_NUMBER})?")
_IS_NUMBER = re2.compile(rf"\+?{_NUMBER}(?:e[-+]?[0-9]{{1,3}})?")  # of a lower-case text; `inf`, `nan` and `1_000` are words


class Table:
    """Rows from a word to a word. Keys compare as lower-case text; a key may have wildcards (`re-*`) or be a range (`4..6.9`)."""

    def __init__(self, rows: Mapping[str, Any]) -> None:
        self._exact = {key.lower(): word for key, word in rows.items()}
        self.plain = {key: word for key, word in self._exact.items() if key == key.strip()}  # found by a text as it stands
        self._fits = [(fits, word) for key, word in rows.items() if (fits := _range(key) or _wildcard(key))]

    def look_up(self, key: str) -> Any:
        """The word of the exact row, else of the first in the file's order that fits; None where none does."""
        if key in self._exact:
            return self._exact[key]
        return next((word for fits, word in self._fits if fits(key)), None)


def _range(key: str) -> Callable[[str], bool] | None:
    found = _RANGE.fullmatch(key)
    if found is None or key == "..":
        if compared := re2.fullmatch(rf"([<>])=?\s*({_NUMBER})", key):
            instead = f"..{compared[2]}" if compared[1] == "<" else f"{compared[2]}.."
            raise ValueError(f"{key!r} is no range; write {instead!r}, ends included")
        return None
    lowest, highest = (float(end) if end else None for end in found.groups())
    if lowest is not None and highest is not None and lowest > highest:
        raise ValueError(f"{key!r} holds nothing; write the smaller number first")
    return lambda text: (
        (number := _number(text)) is not None and (lowest is None or number >= lowest) and (highest is None or number <= highest)
    )


def _number(text: str) -> float | None:
    return float(text) if _IS_NUMBER.fullmatch(text) else None


def _wildcard(key: str) -> Callable[[str], bool] | None:
    pattern = Pattern(key.lower())
    return None if pattern.exact else pattern.matches


class Words(Keys, frozen=True):
    """What the look-ups have in common."""

    own: ClassVar[tuple[str, ...]] = ()  # the words that mean themselves, where there is no table

    from_: Inbound | None = None
    table: dict[str, Any] = {}
    absent: Any = None
    default: Any = None

    def __post_init__(self) -> None:
        if self.from_ is None and self.default is None:
            raise ValueError("give `from` (with a table), or `default` alone for a constant")
        if self.from_ is not None and not self.table and not self.own:
            raise ValueError("give a `table` for what `from` finds")
        if len({key.lower() for key in self.table}) < len(self.table):
            raise ValueError("two rows of the table differ only in upper and lower case, which do not count")
        _ = self.rows  # compiled now, so that what is wrong with a row is found when the file loads

    @cached_property
    def rows(self) -> Table:
        """The table, compiled."""
        return Table(self.table or dict(zip(self.own, self.own, strict=True)))

    @property
    def for_nothing(self) -> Any:
        """The word where `from` finds nothing."""
        return self.absent if self.absent is not None else self.default

    def __call__(self, scope: Mapping[str, Any]) -> Any:
        """The word; ValueError for one that is in no row where there is no default."""
        return self.word_of(None if self.from_ is None else self.from_(scope))

    def word_of(self, found: Any) -> Any:
        """The word for what `from` finds. ValueError as above."""
        written = "" if self.from_ is None else _written(self.from_.text, found)
        key = written.lower()
        if not key:
            if self.for_nothing is None:
                raise ValueError(f"{self.from_.text if self.from_ else ''} finds nothing, and there is no `absent`")
            return self.for_nothing
        word = self.rows.look_up(key)
        if word is None:
            word = self.default
        if word is None:
            raise ValueError(f"{written[:80]!r} is in no row of the table, and there is no default")
        return word

    def expressions(self) -> Iterator[tuple[tuple[str | int, ...], Expression]]:
        """The one expression, with its path."""
        if self.from_ is not None:
            yield ("from",), self.from_


def _written(text: str, found: Any) -> str:
    """What was found, as a text; "" for nothing. ValueError for what is no word."""
    if isinstance(found, list | dict):
        kind = "list" if isinstance(found, list) else "mapping"
        raise ValueError(f"{text} finds a {kind}, and a word is wanted; say which part of it")  # noqa: TRY004 - as for every word
    if isinstance(found, float) and found.is_integer() and abs(found) < EXACT:
        return str(int(found))
    return "" if found is None else str(found).strip()


class Lookup(Words, frozen=True):
    """
    A word turned into a word.

    from: Where the word is.
    table: What each word becomes. Keys compare as lower-case text; wildcards (`re-*`) and ranges (`4..6.9`) are allowed.
    absent: Used when `from` finds nothing.
    default: Used for a word that is in no row. Without it, such a word makes the item a dead letter.
    """

    table: dict[str, Any] = {}

    KEYS: ClassVar[tuple[str, ...]] = ("from", "table", "absent", "default")

    @classmethod
    def read(cls, data: Any) -> Self:
        """From a mapping that has `from`; ValueError for a key that is not one of the four."""
        if unknown := [key for key in data if key not in cls.KEYS]:
            raise ValueError(f"unknown key {unknown[0]!r}; a look-up has from, table, absent and default")
        if not isinstance(data.get("table"), dict):
            raise ValueError("give a `table` for what `from` finds")  # noqa: TRY004 - a ValueError is what `read` raises
        return cls(from_=Inbound.read(data["from"]), table=data["table"], absent=data.get("absent"), default=data.get("default"))


class ActionLookup(Words, frozen=True):
    """
    What the event does to its incident.

    from: Where the provider's word is.
    table: For each of the provider's words `trigger`, `acknowledge`, `resolve`, `notice`, or `ignore` to say nothing. Without it
      the provider says these words itself.
    absent: Used when `from` finds nothing.
    default: Used for a word that is in no row. Without it, such a word makes the item a dead letter.
    """

    own: ClassVar[tuple[str, ...]] = (*get_args(Action), "ignore")

    table: dict[str, Action | Literal["ignore"]] = {}
    absent: Action | Literal["ignore"] | None = None
    default: Action | Literal["ignore"] | None = None


class SeverityLookup(Words, frozen=True):
    """
    How bad it is.

    from: Where the provider's word is.
    table: For each of the provider's words `critical`, `error`, `warning` or `info`. Without it the provider says these itself.
    absent: Used when `from` finds nothing.
    default: Used for a word that is in no row. Without it, such a word makes the item a dead letter.
    """

    own: ClassVar[tuple[str, ...]] = get_args(Severity)

    table: dict[str, Severity] = {}
    absent: Severity | None = None
    default: Severity | None = None
