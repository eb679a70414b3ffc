"""What a provider file says of its events: `map`, `let`, `cases` and what stands around them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Self

from msgspec.structs import replace

from ...expr import Inbound, InboundDocument, Path
from ...expr.functions.patterns import compiled
from ...values import Duration, Keys
from ..words import ActionLookup, Lookup, SeverityLookup
from .quick import QuickEvent, quick_event


class Let:
    """A name for a step in between: an expression, a document, or a look-up `{from, table, absent, default}`."""

    def __init__(self, value: Lookup | InboundDocument) -> None:
        self.value = value

    def __call__(self, scope: Mapping[str, Any]) -> Any:
        return self.value(scope)

    @classmethod
    def read(cls, data: Any) -> Self:
        return cls(Lookup.read(data) if isinstance(data, dict) and "from" in data else InboundDocument.read(data))

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"description": (cls.__doc__ or "").strip()}

    def expressions(self) -> Iterator[tuple[tuple[str | int, ...], Any]]:
        """Every expression inside, with its path."""
        return self.value.expressions()

    @cached_property
    def names(self) -> frozenset[str]:
        """The names it stands on."""
        return frozenset().union(*(expression.names for _, expression in self.expressions()))


class Fields(Keys, frozen=True):
    """
    What an event's fields are made from. A required one that finds nothing makes the item a dead letter.

    action: What it does to the incident: `trigger`, `acknowledge`, `resolve`, `notice`, or `ignore` to say nothing.
    dedup_key: What makes two events the same incident. Required, except for a notice.
    severity: `critical`, `error`, `warning` or `info`.
    summary: One line that a person reads first. Required.
    type: What kind of thing it tells, in the provider's own word.
    source: The host, service or thing that is affected.
    occurred_at: When it happened, in any form that the `time` function reads; else the time it was received.
    url: Where to look.
    labels: Short texts to match and search by: a mapping, or one expression that finds one.
    details: Whatever else is worth keeping: any document.
    resolve_after: A duration such as `24h`: resolves an incident that has been quiet for so long; else what `lifecycle` says.
    """

    action: ActionLookup | None = None
    dedup_key: Inbound | None = None
    severity: SeverityLookup | None = None
    summary: Inbound | None = None
    type: Inbound | None = None
    source: Inbound | None = None
    occurred_at: Inbound | None = None
    url: Inbound | None = None
    labels: InboundDocument | None = None
    details: InboundDocument | None = None
    resolve_after: Inbound | None = None

    def __post_init__(self) -> None:
        if self.resolve_after is not None and not self.resolve_after.names:
            try:
                Duration.read(self.resolve_after.text)
            except ValueError as error:
                raise ValueError(f"resolve_after: {error}") from None

    def over(self, shared: Fields) -> Fields:
        """These fields, and where one is not given the shared one."""
        return Fields(**{name: getattr(self, name) or getattr(shared, name) for name in self.__struct_fields__})

    def names(self) -> Iterator[str]:
        """The names that the fields stand on."""
        for said in filter(None, map(self.__getattribute__, self.__struct_fields__)):
            for expression in [said] if isinstance(said, Inbound) else [each for _, each in said.expressions()]:
                yield from expression.names


class Case(Keys, frozen=True):
    """
    One of several kinds of message.

    when: Holds if this case speaks. The first that holds does; without it, it always holds.
    events: Where this kind has its events, if elsewhere than the others.
    let: Names for steps in between, besides the shared ones.
    map: Its fields, over the shared ones.
    """

    when: Inbound | None = None
    events: Path | None = None
    let: dict[str, Let] = {}
    map: Fields = Fields()

    @cached_property
    def names(self) -> frozenset[str]:
        """The names that its fields and its names for steps in between stand on."""
        return frozenset(self.map.names()).union(*(let.names for let in self.let.values()))

    @cached_property
    def deciding(self) -> dict[str, Let]:
        """The names that its action stands on."""
        action = self.map.action
        return _needed(self.let, [name for _, each in action.expressions() for name in each.names] if action else ())

    @cached_property
    def describing(self) -> dict[str, Let]:
        """The other names."""
        return {name: let for name, let in self.let.items() if name not in self.deciding}

    @cached_property
    def quick(self) -> QuickEvent:
        """Its fields, compiled."""
        return quick_event(self)


class Reading(Keys, frozen=True):
    """
    How a provider's payloads become events: the middle of a provider file.

    missing: Regular expressions (RE2) for texts that stand for nothing, such as a placeholder that was left unfilled.
    let: Names for steps in between, in order; visible below.
    events: Where the events are; `$` below is then the item. Default: the body is one event.
    map: What the fields are made from, shared by all cases.
    cases: Several kinds of message. Where none speaks, the item is ignored and counted.
    """

    missing: list[str] = []
    let: dict[str, Let] = {}
    events: Path = Path.read("$")
    map: Fields = Fields()
    cases: list[Case] = []

    def __post_init__(self) -> None:
        try:
            _ = self.blanks
        except ValueError as error:
            raise ValueError(f"missing: {error}") from None

    @cached_property
    def spoken(self) -> tuple[Case, ...]:
        """The cases with all that is shared and of use to them worked in; one that always holds where the file has none."""
        return tuple(self._complete(case) for case in self.cases or [Case()])

    def _complete(self, case: Case) -> Case:
        fields = case.map.over(self.map)
        lets = _needed(self.let | case.let, fields.names())
        return replace(case, events=case.events or self.events, let=lets, map=fields)

    @cached_property
    def asked(self) -> tuple[dict[str, Let], ...]:
        """For each case the shared names that its `when` stands on: the others are about an item, and there is none yet."""
        return tuple(_needed(self.let, case.when.names if case.when else ()) for case in self.spoken)

    @cached_property
    def blanks(self) -> tuple[Any, ...]:
        """`missing`, compiled."""
        return tuple(map(compiled, self.missing))

    def filled(self, scope: dict[str, Any]) -> dict[str, Any]:
        """A payload's scope without the texts that stand for nothing. What is asked of a payload is asked of this."""
        if not self.blanks:
            return scope
        payload = _without_blanks(scope["payload"], self.blanks)
        return scope | {"payload": payload, "item": payload}


def _needed(lets: dict[str, Let], names: Iterable[str]) -> dict[str, Let]:
    """Those of the lets that the names stand on, and those that these stand on; each knows only what is above it."""
    wanted = set(names)
    for name, let in reversed(lets.items()):
        if name in wanted:
            wanted |= let.names
    return {name: let for name, let in lets.items() if name in wanted}


def _without_blanks(node: Any, blanks: Sequence[Any]) -> Any:
    match node:
        case str():
            return None if any(blank.search(node) for blank in blanks) else node
        case dict():
            return {key: _without_blanks(value, blanks) for key, value in node.items()}
        case list():
            return [_without_blanks(value, blanks) for value in node]
    return node
