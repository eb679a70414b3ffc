"""
Which line of YAML made what: the engine itself is run, with every expression of the provider's file listened to.

Nothing of the engine's order is known here but that it is done with one item before it begins another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ..config.files import Source, catalogue_sources, read_document, sources_of
from ..config.problems import Place, spelled
from ..config.schema import Provider
from ..config.yaml import Document
from ..expr import Expression, FindsNothing
from ..expr.quick import Unusual
from ..model import DeadItem, Event, Webhook
from ..reading import understand
from ..stages.mapping import Case, Fields, flat
from ..stages.route import Match
from ..stages.words import Table


class Made(Struct, frozen=True, kw_only=True):
    """A value, and the line of YAML that made it. `value` is None where it finds nothing."""

    name: str
    value: Any
    file: str
    line: int
    expression: str

    @property
    def where(self) -> str:
        """The line as a person would open it."""
        return f"{self.file}:{self.line}"


class Explained(Struct, frozen=True, kw_only=True):
    """One item: how it was reached, the case that speaks of it (None: the file has no cases), what was made, how it ended."""

    path: str
    case: Made | None
    made: tuple[Made, ...]
    became: Event | DeadItem | None  # None: it says nothing, on purpose


class Heard:
    """An expression that keeps what it says."""

    def __init__(self, said: Any, place: Place, log: list[Saying], case: int | None = None) -> None:
        self._said, self._place, self._log, self._case = said, place, log, case

    def __call__(self, scope: Mapping[str, Any]) -> Any:
        saying = Saying(self._said, self._place, scope, self._case)
        self._log.append(saying)
        try:
            saying.value = self._said(scope)
        except FindsNothing:
            raise
        except Exception:
            saying.failed = True
            raise
        return saying.value

    def __getattr__(self, name: str) -> Any:
        return getattr(self._said, name)

    @property
    def names(self) -> frozenset[str]:
        """The names it stands on; we want to know where the item is, too."""
        return frozenset(self._said.names) | {"path"}

    def source(self, *args: Any, **named: Any) -> str:
        """It wants to be asked, so nothing can be generated from it."""
        raise Unusual

    def expressions(self) -> Iterator[tuple[Place, Any]]:
        """Every expression inside, with its path."""
        return iter([((), self)]) if isinstance(self._said, Expression) else self._said.expressions()


class Saying(Struct):
    """What one expression said once."""

    said: Any
    place: Place
    scope: Mapping[str, Any]
    case: int | None
    value: Any = None
    failed: bool = False

    @property
    def decides(self) -> bool:
        """Whether it says what becomes of the item."""
        return self.place[-2:] == ("map", "action")

    def is_about(self, other: Saying) -> bool:
        """Whether both are about one item."""
        return self.scope["path"] == other.scope["path"] and self.scope["item"] is other.scope["item"]

    @property
    def is_let(self) -> bool:
        """Whether it made a name for what comes behind it."""
        return "let" in self.place[:3]


def explain(provider: Provider, document: Document, webhook: Webhook) -> list[Explained]:
    """Every item that some case speaks of, in order; what the provider's own `match` drops too."""
    log: list[Saying] = []
    understood = understand(_listening(provider, document, log), webhook)
    fates: dict[int, Event | DeadItem] = {item.index: item for item in understood.dead if item.index >= 0}
    fates |= {int(event.id.rpartition("-")[2]): event for event in understood.events}
    in_order = iter([fates[index] for index in sorted(fates)])
    explained = []
    for sayings in _by_item(log):
        decisive = next((each for each in sayings if each.decides), sayings[-1])
        fate = None if decisive.value == "ignore" else next(in_order, None)
        explained.append(_explained(document, sayings, decisive, fate))
    return explained


def _listening(provider: Provider, document: Document, log: list[Saying]) -> Provider:
    """The provider with every expression that makes something listened to, and without its `match`."""

    def fields(case: Case, index: int | None) -> Fields:
        heard: dict[str, Any] = {}
        for name in Fields.__struct_fields__:
            own, shared = getattr(case.map, name), getattr(provider.map, name)
            at: Place = ("cases", index, "map", name) if own and index is not None else ("map", name)
            heard[name] = Heard(own or shared, at, log, index) if own or shared else None
        return Fields(**heard)

    def lets(given: Mapping[str, Any], at: Place) -> dict[str, Any]:
        index = int(at[1]) if at[0] == "cases" else None
        return {name: Heard(let, (*at, name), log, index) for name, let in given.items()}

    cases = [
        replace(case, map=fields(case, index), let=lets(case.let, ("cases", index, "let")))
        for index, case in enumerate(provider.cases)
    ]
    alone = {} if cases else {"map": fields(Case(), None)}
    return replace(provider, let=lets(provider.let, ("let",)), cases=cases, match=Match(), **alone)


def _by_item(log: list[Saying]) -> Iterator[list[Saying]]:
    """The sayings about each item that got as far as an action, or a `let` that failed."""
    groups: list[list[Saying]] = []
    for saying in log:
        if groups and saying.is_about(groups[-1][-1]) and not (saying.decides and any(each.decides for each in groups[-1])):
            groups[-1].append(saying)
        else:
            groups.append([saying])
    yield from (group for group in groups if any(each.decides or (each.is_let and each.failed) for each in group))


def _explained(document: Document, sayings: list[Saying], decisive: Saying, fate: Event | DeadItem | None) -> Explained:
    case = None
    if decisive.case is not None:
        at: Place = ("cases", decisive.case)
        when = _at(document, (*at, "when"))
        case = _made(document, at, f"cases[{decisive.case}]", True, str(when) if when else "always")
    made = {each.place: _of(document, each) for each in sayings}
    return Explained(path=decisive.scope["path"], case=case, made=tuple(made.values()), became=fate)


def _of(document: Document, saying: Saying) -> Made:
    said, place = saying.said, saying.place
    name = f"let {place[-1]}" if place[-2] == "let" else str(place[-1])
    look = getattr(said, "value", said)  # a `let` holds its look-up or document
    if hasattr(look, "table"):
        row = _row(look, saying.scope, saying.value)
        source = look.from_.text if look.from_ is not None else "a constant"
        return _made(document, (*place, *row), name, saying.value, f"{source}, {spelled(row)}")
    return _made(document, place, name, saying.value, look.text)


def _row(look: Any, scope: Mapping[str, Any], value: Any) -> Place:
    """What of `{from, table, absent, default}` gave the value."""
    key = flat(look.from_(scope)).strip().lower() if look.from_ is not None else ""
    if not key:
        return ("absent",) if look.absent is not None else ("default",) if look.default is not None else ("from",)
    exact = [row for row in look.table if row.lower() == key]
    fits = exact or [row for row in look.table if Table({row: True}).look_up(key)]
    return ("table", fits[0]) if fits else ("default",) if look.default is not None else ("table",)


def _made(document: Document, place: Place, name: str, value: Any, expression: str) -> Made:
    file, spot = document.stands(place, key=True)
    return Made(name=name, value=value, file=file, line=spot[0], expression=" ".join(expression.split()))


def _at(document: Document, place: Place) -> Any:
    node: Any = document.data
    for step in place:
        node = node.get(step) if isinstance(node, dict) else node[int(step)]
    return node


def document_of(root: Path | None, kind: str, name: str) -> Document:
    """A file's document with what it inherits, as `load` reads it."""
    every = [*catalogue_sources(), *(sources_of(root) if root else [])]
    siblings: dict[tuple[str, str], Source] = {(source.kind, source.name): source for source in every}
    return read_document(siblings[kind, name], siblings)
