"""A provider's words to ours: one payload in, its events out. No vendor is known here: the YAML's `map`, `let` and `cases` do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from typing import Any, Self

import msgspec
from msgspec import Struct

from ..errors import Unmappable
from ..expr import ExpressionError, Inbound, InboundDocument, Path, to_time
from ..expr.functions.patterns import compiled
from ..model import Action, DeadItem, Event, Webhook
from ..values import Keys
from .words import EXACT, ActionLookup, Lookup, SeverityLookup

LONGEST_KEY = 512  # characters; a longer dedup key is kept as its SHA-256
LONGEST_SUMMARY = 1024  # characters: what the narrowest common event format takes
MOST_ITEMS = 10_000  # of one webhook


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
        return Case(when=case.when, events=case.events or self.events, let=lets, map=fields)

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


def _needed(lets: Mapping[str, Let], names: Iterable[str]) -> dict[str, Let]:
    wanted, needed = set(names), {}
    for name, let in reversed(list(lets.items())):
        if name in wanted:
            needed[name] = let
            wanted |= let.names
    return dict(reversed(list(needed.items())))


class Mapped(Struct, frozen=True):
    """What became of a webhook's items."""

    events: tuple[Event, ...] = ()
    dead: tuple[DeadItem, ...] = ()
    ignored: int = 0


def read_events(
    reading: Reading,
    webhook: Webhook,
    scopes: Sequence[Mapping[str, Any]],
    *,
    project: str = "",
    only: Sequence[int] | None = None,
) -> Mapped:
    """
    The events of a webhook's payloads, each given as its `filled` scope; `only` names the items to map (a replay of dead ones).

    An item that cannot be mapped is in `dead`, by its index over all payloads; the others proceed. Where the items cannot even
    be told apart, the whole webhook is dead, with the index -1.
    """
    try:
        items = list(islice(_items(reading, scopes), MOST_ITEMS + 1))
    except ExpressionError as error:
        return Mapped(dead=(DeadItem(index=-1, stage="map", reason="cases", message=str(error)),))
    if len(items) > MOST_ITEMS:
        message = f"events: more than {MOST_ITEMS} items in one webhook; let the sender send fewer at a time"
        return Mapped(dead=(DeadItem(index=-1, stage="map", reason="events", message=message),))
    events: list[Event] = []
    dead: list[DeadItem] = []
    ignored = 0
    for index, (case, scope) in enumerate(items):
        if only is not None and index not in only:
            continue
        try:
            event = None if case is None else _event(case, scope, webhook, project, index)
        except (ExpressionError, Unmappable) as error:
            reason = error.reason if isinstance(error, Unmappable) else "expression"
            dead.append(DeadItem(index=index, stage="map", reason=reason, message=str(error)))
        else:
            events += [event] if event else []
            ignored += event is None
    return Mapped(tuple(events), tuple(dead), ignored)


def _items(reading: Reading, scopes: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Case | None, dict[str, Any]]]:
    for payload_scope in scopes:
        scope = dict(payload_scope)
        case = _speaking(reading, scope)
        if case is None:
            yield None, scope
            continue
        assert case.events is not None
        try:
            located = case.events.located(scope["payload"])
        except ExpressionError as error:
            raise ExpressionError(f"events: {error}") from None
        for path, item in located:
            yield case, scope | {"item": item, "path": path}


def _speaking(reading: Reading, scope: dict[str, Any]) -> Case | None:
    named, known = scope, set[str]()
    for index, (case, lets) in enumerate(zip(reading.spoken, reading.asked, strict=True)):
        if case.when is None:
            return case
        named = _named({name: let for name, let in lets.items() if name not in known}, named)
        known |= lets.keys()
        try:
            if case.when(named):
                return case
        except ExpressionError as error:
            raise ExpressionError(f"cases[{index}].when: {error}") from None
    return None


def _named(lets: Mapping[str, Let], scope: dict[str, Any]) -> dict[str, Any]:
    if not lets:
        return scope
    named = dict(scope)
    for name, let in lets.items():
        try:
            named[name] = let(named)
        except (ExpressionError, ValueError) as error:
            raise ExpressionError(f"let.{name}: {error}") from None
    return named


def _event(case: Case, item_scope: dict[str, Any], webhook: Webhook, project: str, index: int) -> Event | None:
    fields, scope = case.map, _named(case.let, item_scope)
    assert fields.action is not None
    assert fields.severity is not None
    action = _of("action", fields.action, scope)
    if action == "ignore":
        return None
    received_at = as_text(webhook.received_at)
    return Event(
        id=f"{webhook.id}-{index}",
        webhook_id=webhook.id,
        provider=webhook.provider,
        project=project,
        type=_text("type", fields.type, scope),
        action=action,
        dedup_key=_dedup_key(fields, scope, action),
        severity=_of("severity", fields.severity, scope),
        summary=_required("summary", fields.summary, scope)[:LONGEST_SUMMARY],
        source=_text("source", fields.source, scope),
        occurred_at=_occurred_at(fields, scope) or received_at,
        received_at=received_at,
        url=_text("url", fields.url, scope),
        labels=_labels(fields, scope),
        details=_of("details", fields.details, scope) if fields.details else None,
    )


def _of(name: str, expression: Any, scope: Mapping[str, Any]) -> Any:
    try:
        return expression(scope)
    except (ExpressionError, ValueError) as error:
        raise Unmappable(f"{name}: {error}", reason=name) from None


def _text(name: str, expression: Inbound | None, scope: Mapping[str, Any]) -> str:
    return "" if expression is None else " ".join(flat(_of(name, expression, scope)).split())


def _required(name: str, expression: Inbound | None, scope: Mapping[str, Any]) -> str:
    text = _text(name, expression, scope)
    if not text:
        wanted = f"{expression.text} finds nothing" if expression else "the file says nothing for it"
        raise Unmappable(f"{name}: {wanted}", reason=name)
    return text


def _dedup_key(fields: Fields, scope: Mapping[str, Any], action: Action) -> str:
    required = action != "notice"
    return short((_required if required else _text)("dedup_key", fields.dedup_key, scope))


def short(key: str) -> str:
    """A key that is no longer than 512 characters: itself, or its SHA-256 in hex."""
    return key if len(key) <= LONGEST_KEY else hashlib.sha256(key.encode()).hexdigest()


def _occurred_at(fields: Fields, scope: Mapping[str, Any]) -> str | None:
    """A time that cannot be read is no reason to lose the event: it counts as not said."""
    try:
        return None if fields.occurred_at is None else to_time(fields.occurred_at(scope))
    except (ExpressionError, ValueError):
        return None


def _labels(fields: Fields, scope: Mapping[str, Any]) -> dict[str, str]:
    found = _of("labels", fields.labels, scope) if fields.labels else None
    if not isinstance(found, dict | None):
        raise Unmappable(f"labels: a mapping is wanted, and {flat(found)[:80]!r} was found", reason="labels")
    texts = {str(name): flat(value) for name, value in (found or {}).items()}
    return {name: text for name, text in texts.items() if text}


def flat(value: Any) -> str:
    """A value as one text: nothing is "", a list is joined by commas, a mapping is compact JSON, 3.0 is "3"."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer() and abs(value) < EXACT:
            return str(int(value))
        case list():
            return ", ".join(filter(None, map(flat, value)))
        case dict():
            return msgspec.json.encode(value).decode()
    return str(value)


def as_text(moment: datetime) -> str:
    """A moment as the text that events carry: RFC 3339 in UTC, milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _without_blanks(node: Any, blanks: Sequence[Any]) -> Any:
    match node:
        case str():
            return None if any(blank.search(node) for blank in blanks) else node
        case dict():
            return {key: _without_blanks(value, blanks) for key, value in node.items()}
        case list():
            return [_without_blanks(value, blanks) for value in node]
    return node
