"""An item's fields, from the provider's words to ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import Unmappable
from ...expr import ExpressionError, FindsNothing, Inbound, to_time
from ...model import Action, Event, Webhook
from .items import with_lets
from .texts import LONGEST_SUMMARY, flat, seconds_of, short
from .vocabulary import Case, Fields


def event_of(
    case: Case, item_scope: dict[str, Any], webhook: Webhook, project: str, index: int, received_at: str
) -> Event | None:
    """The event that an item is; None for `ignore`. Raises Unmappable, or ExpressionError where a `let` cannot be had."""
    fields, scope = case.map, with_lets(case.deciding, item_scope)
    assert fields.action is not None
    assert fields.severity is not None
    action = _of("action", fields.action, scope)
    if action == "ignore":  # whatever else it does not say
        return None
    scope = with_lets(case.describing, scope)
    return Event(
        id=f"{webhook.id}-{index}",
        webhook_id=webhook.id,
        provider=webhook.provider,
        project=project,
        type=_optional("type", fields.type, scope),
        action=action,
        dedup_key=_dedup_key(fields, scope, action),
        severity=_of("severity", fields.severity, scope),
        summary=_required("summary", fields.summary, scope)[:LONGEST_SUMMARY],
        source=_optional("source", fields.source, scope),
        occurred_at=_occurred_at(fields, scope) or received_at,
        received_at=received_at,
        url=_optional("url", fields.url, scope),
        labels=_labels(fields, scope),
        details=_of("details", fields.details, scope) if fields.details else None,
        resolve_after=_resolve_after(fields, scope),
    )


def _of(name: str, expression: Any, scope: Mapping[str, Any]) -> Any:
    try:
        return expression(scope)
    except (ExpressionError, ValueError) as error:
        raise Unmappable(f"{name}: {error}", reason=name) from None


def _text(name: str, expression: Inbound | None, scope: Mapping[str, Any]) -> str:
    return "" if expression is None else " ".join(flat(_of(name, expression, scope)).split())


def _optional(name: str, expression: Inbound | None, scope: Mapping[str, Any]) -> str:
    """The same where nothing depends on it: what prints a part that is not there is left out, and the event is told."""
    try:
        return "" if expression is None else " ".join(flat(expression(scope)).split())
    except FindsNothing:
        return ""
    except (ExpressionError, ValueError) as error:
        raise Unmappable(f"{name}: {error}", reason=name) from None


def _required(name: str, expression: Inbound | None, scope: Mapping[str, Any]) -> str:
    text = _text(name, expression, scope)
    if not text:
        wanted = f"{expression.text} finds nothing" if expression else "the file says nothing for it"
        raise Unmappable(f"{name}: {wanted}", reason=name)
    return text


def _dedup_key(fields: Fields, scope: Mapping[str, Any], action: Action) -> str:
    read = _text if action == "notice" else _required
    return short(read("dedup_key", fields.dedup_key, scope))


def _occurred_at(fields: Fields, scope: Mapping[str, Any]) -> str | None:
    """A time that cannot be read is no reason to lose the event: it counts as not said."""
    try:
        return None if fields.occurred_at is None else to_time(fields.occurred_at(scope))
    except (ExpressionError, ValueError):
        return None


def _resolve_after(fields: Fields, scope: Mapping[str, Any]) -> float | None:
    found = _of("resolve_after", fields.resolve_after, scope) if fields.resolve_after else None
    try:
        return seconds_of(found)
    except ValueError as error:
        raise Unmappable(f"resolve_after: {error}", reason="resolve_after") from None


def _labels(fields: Fields, scope: Mapping[str, Any]) -> dict[str, str]:
    found = _of("labels", fields.labels, scope) if fields.labels else None
    if not isinstance(found, dict | None):
        raise Unmappable(f"labels: a mapping is wanted, and {flat(found)[:80]!r} was found", reason="labels")
    texts = {str(name): flat(value) for name, value in (found or {}).items()}
    return {name: text for name, text in texts.items() if text}
