"""The items of a webhook, and which case speaks for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...expr import ExpressionError, FindsNothing
from .vocabulary import Case, Let, Reading


def items_of(reading: Reading, scopes: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Case | None, dict[str, Any]]]:
    """
    Each item's scope with the case that speaks for it; None where none does. Raises ExpressionError where a `when` or `events`
    cannot be asked, so that the items cannot be told apart.
    """
    for payload_scope in scopes:
        scope = dict(payload_scope)
        case = _speaking(reading, scope)
        if case is None:
            yield None, scope
            continue
        try:
            found = _items(case, scope["payload"])
        except ExpressionError as error:
            raise ExpressionError(f"events: {error}") from None
        yield from ((case, scope | each) for each in found)


def _items(case: Case, payload: Any) -> list[dict[str, Any]]:
    """The items of a payload, by the names that they have in a scope. Without the list it is another kind of message."""
    assert case.events is not None
    if "path" in case.names:
        found = [{"item": item, "path": path} for path, item in case.events.located(payload)]
    else:
        found = [{"item": item} for item in case.events.entries(payload)]
    if not found and not case.events.is_there(payload):
        raise ExpressionError(f"there is no {case.events.text.removesuffix('[*]')} in this payload")
    return found


def _speaking(reading: Reading, scope: dict[str, Any]) -> Case | None:
    for index, (case, lets) in enumerate(zip(reading.spoken, reading.asked, strict=True)):
        if case.when is None:
            return case
        scope = with_lets({name: let for name, let in lets.items() if name not in scope}, scope)
        try:
            if case.when(scope):
                return case
        except ExpressionError as error:
            raise ExpressionError(f"cases[{index}].when: {error}") from None
    return None


def with_lets(lets: Mapping[str, Let], scope: dict[str, Any]) -> dict[str, Any]:
    """
    The scope with these names in it, each of which may stand on those before it; one that prints what is missing is nothing.
    Raises ExpressionError.
    """
    if not lets:
        return scope
    named = dict(scope)
    for name, let in lets.items():
        try:
            named[name] = let(named)
        except FindsNothing:
            named[name] = None
        except (ExpressionError, ValueError) as error:
            raise ExpressionError(f"let.{name}: {error}") from None
    return named
