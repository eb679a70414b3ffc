"""A provider's words to ours: one payload in, its events out. No vendor is known here: the YAML's `map`, `let` and `cases` do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Self

import msgspec
import re2
from msgspec import Struct

from ..errors import Unmappable
from ..expr import ExpressionError, Inbound, InboundDocument, Path, to_time
from ..model import Action, DeadItem, Event, Webhook
from ..values import Keys
from .words import ActionLookup, Lookup, SeverityLookup

LONGEST_KEY = 512  # characters; a longer dedup key is kept as its SHA-256
LONGEST_SUMMARY = 1024  # characters: what the narrowest common event format takes


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
        for pattern in self.missing:
            try:
                re2.compile(pattern)
            except re2.error as error:
                raise ValueError(f"missing: {pattern!r} is not a regular expression (RE2): {error}") from None

    @cached_property
    def spoken(self) -> tuple[Case, ...]:
        """The cases with all that is shared worked in; one that always holds where the file has none."""
        own = self.cases or [Case()]
        return tuple(
            Case(when=case.when, events=case.events or self.events, let=self.let | case.let, map=case.map.over(self.map))
            for case in own
        )

    @cached_property
    def blanks(self) -> tuple[Any, ...]:
        """`missing`, compiled."""
        return tuple(re2.compile(pattern) for pattern in self.missing)


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
    The events of a webhook's payloads, each payload given as its scope; `only` names the items to map (a replay of dead ones).

    An item that cannot be mapped is in `dead`, by its index over all payloads; the others proceed. Where the items cannot even
    be told apart, the whole webhook is dead, with the index -1.
    """
    try:
        items = list(_items(reading, scopes))
    except ExpressionError as error:
        return Mapped(dead=(DeadItem(index=-1, stage="map", reason="cases", message=str(error)),))
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
        if reading.blanks:
            scope["payload"] = scope["item"] = _without_blanks(scope["payload"], reading.blanks)
        case = _speaking(reading, scope)
        if case is None:
            yield None, scope
            continue
        assert case.events is not None
        for path, item in case.events.located(scope["payload"]):
            yield case, scope | {"item": item, "path": path}


def _speaking(reading: Reading, scope: dict[str, Any]) -> Case | None:
    for case in reading.spoken:
        if case.when is None or case.when(_named(reading.let, scope)):
            return case
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
    key = (_required if required else _text)("dedup_key", fields.dedup_key, scope)
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
        case float() if value.is_integer():
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
