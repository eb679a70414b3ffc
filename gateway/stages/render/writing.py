"""Expressions filled in, and what they give written as JSON or as a text. Raises Unrenderable, which names the key at fault."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ...errors import Unrenderable
from ...expr import ExpressionError


def fill(key: str, expression: Any, scope: Mapping[str, Any]) -> Any:
    try:
        return expression(scope)
    except ExpressionError as error:
        raise Unrenderable(f"{key}: {error}", reason="expression") from None


WRITERS: Mapping[str, Callable[[Any], bytes]] = {
    "compact": msgspec.json.encode,
    "sorted": lambda value: json.dumps(value, sort_keys=True, allow_nan=False).encode(),
}


def encode(key: str, value: Any, form: str = "compact") -> bytes:
    try:
        return WRITERS[form](value)
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
        raise Unrenderable(f"{key}: this cannot be written as JSON: {error}", reason="json") from None


def require_json(text: str, what: str) -> None:
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Unrenderable(f"{what} is not JSON: {error}", reason="json") from None


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is no number there")


def flat(key: str, value: Any) -> str:
    """A value as a text for where only texts go: nothing is "", what is no text is JSON."""
    return "" if value is None else value if isinstance(value, str) else encode(key, value).decode()
