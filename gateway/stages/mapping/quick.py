"""
A case's fields as one generated Python function, several times faster than asking one expression after the other.

It is only for what goes well: where anything is out of the ordinary it raises something, and `fields.py` does the item, which
alone says what is wrong with it. A property test holds both to the same events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ...expr import Inbound, InboundDocument, to_time
from ...expr.environment import Missing
from ...expr.quick import Unusual, Writing
from ...model import Event, Webhook
from ..words import Words
from .texts import LONGEST_SUMMARY, flat, seconds_of, short

if TYPE_CHECKING:
    from .vocabulary import Case, Fields

LONGEST_LINE = 64 * 1024  # characters; longer ones are rare, and not for here

QuickEvent = Callable[[Mapping[str, Any], Webhook, str, int, str], Event | None]


def quick_event(case: Case) -> QuickEvent:
    """
    The event that an item is, made of its scope, its webhook, the project, its index and the time of receipt; None for `ignore`.
    What it raises says nothing but that `event_of` must do it.
    """
    writing = Writing(statements=[])
    writing.names |= {
        "Event": Event,
        "Unusual": Unusual,
        "labelled": _labelled,
        "line": _line,
        "short": short,
        "seconds": seconds_of,
        "time": to_time,
    }
    named = _names(case, writing)
    _fields(case.map, writing)
    body = [line for line in writing.statements if writing.asks or line not in named]
    lines = ["def read(scope, webhook, project, index, received_at):", *(f"    {line}" for line in body)]
    made: dict[str, Any] = {}
    exec("\n".join(lines), writing.names, made)  # noqa: S102 - as in expr.quick: nothing of a file stands in the source
    read: QuickEvent = made["read"]
    return read


def _names(case: Case, writing: Writing) -> set[str]:
    """Each name in a variable. And the lines that put them into the scope as well, if anybody is asked there."""
    for name in sorted(case.names - set(case.let)):
        writing.variables[name] = writing.let(f"scope.get({writing.constant(name)})")
    named = {"scope = dict(scope)"} if case.let else set()
    writing.statements.extend(named)
    for name, let in case.let.items():
        source = _word(let.value, writing) if isinstance(let.value, Words) else let.value.source(writing)
        writing.variables[name] = variable = writing.let(source)
        writing.statements.append(f"scope[{writing.constant(name)}] = {variable}")
        named.add(writing.statements[-1])
    return named


def _word(words: Words, writing: Writing) -> str:
    """A look-up: what is in a row as it stands is found at once, and the look-up itself says whatever else there is to it."""
    found, word_of = writing.variable(), writing.constant(words.word_of)
    if words.from_ is None:
        return f"{word_of}(None)"
    rows, nothing = writing.constant(words.rows.plain), writing.constant(words.for_nothing)
    key = f"isinstance({found} := {words.from_.source(writing)}, str)"
    return f"(({rows}.get({found}) if {key} else {nothing} if {found} is None else None) or {word_of}({found}))"


def _fields(fields: Fields, writing: Writing) -> None:
    assert fields.action is not None
    assert fields.severity is not None

    def text(expression: Inbound | None) -> str:
        return "''" if expression is None else f"line({expression.source(writing, bounded=True)})"

    def value(document: InboundDocument | None) -> str:
        return "None" if document is None else document.source(writing)

    write = writing.statements.append
    action = writing.let(_word(fields.action, writing))
    write(f"if {action} == 'ignore': return None")
    summary, dedup_key = writing.let(text(fields.summary)), writing.let(text(fields.dedup_key))
    write(f"if not {summary} or not ({dedup_key} or {action} == 'notice'): raise Unusual")
    at = "received_at" if fields.occurred_at is None else f"time({fields.occurred_at.source(writing)}) or received_at"
    given = {
        "id": "f'{webhook.id}-{index}'",
        "webhook_id": "webhook.id",
        "provider": "webhook.provider",
        "project": "project",
        "type": text(fields.type),
        "action": action,
        "dedup_key": f"short({dedup_key})",
        "severity": _word(fields.severity, writing),
        "summary": f"{summary}[:{LONGEST_SUMMARY}]",
        "source": text(fields.source),
        "occurred_at": at,
        "received_at": "received_at",
        "url": text(fields.url),
        "labels": f"labelled({value(fields.labels)})",
        "details": value(fields.details),
        "resolve_after": "None" if fields.resolve_after is None else f"seconds({fields.resolve_after.source(writing)})",
    }
    write(f"return Event({', '.join(f'{name}={source}' for name, source in given.items())})")


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
