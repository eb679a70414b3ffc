"""What a rule finds, and what rules look at."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from ...expr import Expression
from ..decode import walk
from ..problems import Place, legible
from ..schema import ProviderTest, SinkTest, Step

CODE = re.compile(r"\{[{%].*?[%}]\}", re.DOTALL)  # what is an expression in a text


class Finding(NamedTuple):
    """Where, what, and how to mend it. `word`: the part of the text there that is wrong; `key`: the key is, not its value."""

    path: Place
    message: str
    hint: str
    word: str = ""
    key: bool = False


Rule = Callable[[Any], Iterator[Finding]]


_walked: list[tuple[Any, list[tuple[Place, Expression]]]] = []  # the file that the rules look at now


def expressions(thing: Any) -> list[tuple[Place, Expression]]:
    """Every expression of a file, with its place."""
    if not _walked or _walked[0][0] is not thing:
        _walked[:] = [(thing, list(_expressions(thing)))]
    return _walked[0][1]


def _expressions(thing: Any) -> Iterator[tuple[Place, Expression]]:
    for path, value in walk(thing):
        if isinstance(value, Expression):
            yield path, value
        elif hasattr(value, "expressions"):
            yield from ((path + inner, expression) for inner, expression in value.expressions())


def same_names(key: str, entries: Sequence[ProviderTest | SinkTest | Step], hint: str) -> Iterator[Finding]:
    """The entries of a list under this key that are called as one before them is."""
    first: dict[str, int] = {}
    for index, entry in enumerate(entries):
        if entry.name in first:
            yield Finding((key, index, "name"), f"{key}[{first[entry.name]}] is called `{legible(entry.name)}` too", hint)
        first.setdefault(entry.name, index)
