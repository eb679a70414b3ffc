"""
A case's fields as one generated Python function, several times faster than asking one expression after the other.

It is only for what goes well: where anything is out of the ordinary it raises something, and `fields.py` does the item, which
alone says what is wrong with it. A property test holds both to the same events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ...expr import Inbound, to_time
from ...expr.environment import Missing
from ...expr.quick import Unusual, Writing
from ...model import Event, Webhook
from ..words import Words
from .texts import LONGEST_SUMMARY, flat, short

if TYPE_CHECKING:
    from .vocabulary import Case, Fields, Let

LONGEST_LINE = 64 * 1024  # characters; longer ones are rare, and not for here

QuickEvent = Callable[[Mapping[str, Any], Webhook, str, int, str], Event | None]


def quick_event(case: Case) -> QuickEvent:
    """
    The event that an item is, made of its scope, its webhook, the project, its index and the time of receipt; None for `ignore`.
    What it raises says nothing but that `event_of` must do it.
    """
    writing = Writing()
    writing.names |= {"Event": Event, "Unusual": Unusual, "labelled": _labelled, "line": _line, "short": short, "time": to_time}
    lines = ["def read(scope, webhook, project, index, received_at):"]
    lines += [f"    {line}" for line in [*_names(case, writing), *_fields(case.map, writing)]]
    made: dict[str, Any] = {}
    exec("\n".join(lines), writing.names, made)  # noqa: S102 - as in expr.quick: nothing of a file stands in the source
    read: QuickEvent = made["read"]
    return read


def _names(case: Case, writing: Writing) -> Iterator[str]:
    """The names that are used, each in a variable; in the scope too, for what is asked there."""
    for name in sorted(case.names - set(case.let)):
        yield f"{_variable(name, writing)} = scope.get({writing.constant(name)})"
    if case.let:
        yield "scope = dict(scope)"
    for name, let in case.let.items():
        source = _let(let, writing)
        yield f"scope[{writing.constant(name)}] = {_variable(name, writing)} = {source}"


def _variable(name: str, writing: Writing) -> str:
    writing.variables[name] = variable = writing.variable()
    return variable


def _let(let: Let, writing: Writing) -> str:
    return _word(let.value, writing) if isinstance(let.value, Words) else let.value.source(writing)


def _word(words: Words, writing: Writing) -> str:
    """A look-up: what is in a row as it stands is found at once, whatever else there is to it the look-up itself says."""
    if words.from_ is None:
        return writing.call(words)
    found, nothing = writing.variable(), writing.constant(words.for_nothing)
    rows = writing.constant(words.rows.plain)
    key = f"isinstance({found} := {words.from_.source(writing)}, str)"
    return f"(({rows}.get({found}) if {key} else {nothing} if {found} is None else None) or {writing.call(words)})"


def _fields(fields: Fields, writing: Writing) -> Iterator[str]:
    assert fields.action is not None
    assert fields.severity is not None

    def text(expression: Inbound | None) -> str:
        return "''" if expression is None else f"line({expression.source(writing, bounded=True)})"

    yield f"action = {_word(fields.action, writing)}"
    yield "if action == 'ignore': return None"
    yield f"summary = {text(fields.summary)}"
    yield f"dedup_key = {text(fields.dedup_key)}"
    yield "if not summary or not (dedup_key or action == 'notice'): raise Unusual"
    at = "None" if fields.occurred_at is None else f"time({fields.occurred_at.source(writing)})"
    labels = "{}" if fields.labels is None else f"labelled({fields.labels.source(writing)})"
    yield f"severity = {_word(fields.severity, writing)}"
    yield "return Event("
    yield "    id=f'{webhook.id}-{index}', webhook_id=webhook.id, provider=webhook.provider, project=project,"
    yield "    action=action, severity=severity, received_at=received_at,"
    yield f"    summary=summary[:{LONGEST_SUMMARY}], dedup_key=short(dedup_key), occurred_at={at} or received_at,"
    yield f"    type={text(fields.type)}, source={text(fields.source)}, url={text(fields.url)}, labels={labels},"
    yield f"    details={'None' if fields.details is None else fields.details.source(writing)},"
    yield ")"


def _line(value: Any) -> str:
    if not isinstance(value, str):
        value = "" if isinstance(value, Missing) else flat(value)
    if len(value) > LONGEST_LINE:
        raise Unusual
    return " ".join(value.split())


def _labelled(found: Any) -> dict[str, str]:
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise Unusual
    texts = {str(name): value if isinstance(value, str) else flat(value) for name, value in found.items()}
    return texts if all(texts.values()) else {name: text for name, text in texts.items() if text}
