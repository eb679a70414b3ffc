"""Things by name, some of which are made only when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

T = TypeVar("T")


class Shelf(Mapping[str, T], Generic[T]):
    """A mapping whose names are known, and whose values are there or made once by a function that raises nothing."""

    def __init__(self, made: Mapping[str, T], later: Mapping[str, Callable[[], T]]) -> None:
        self._made, self._later = dict(made), dict(later)

    def __getitem__(self, name: str) -> T:
        if name not in self._made:
            self._made[name] = self._later[name]()
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._made or name in self._later

    def __iter__(self) -> Iterator[str]:
        yield from dict.fromkeys([*self._later, *self._made])

    def __len__(self) -> int:
        return len(self._made.keys() | self._later.keys())
