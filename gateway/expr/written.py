"""How values are written as text, and what counts as nothing."""

from __future__ import annotations

from typing import Any

import jinja2
import msgspec

from .errors import ExpressionError


class Sealed:
    """A secret that an expression may hand on to a function, and not say."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """What it is."""
        return self._value


_HALF = "a text holds half a character (a lone surrogate) and cannot be written"


def is_missing(value: Any) -> bool:
    """Whether a value is nothing."""
    return value is None or isinstance(value, jinja2.Undefined)


def as_text(value: Any) -> str:
    """A value as text: numbers as they are written, mappings and lists as JSON."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
    return as_json(value)


def as_json(value: Any, *, ordered: bool = False) -> str:
    """A value as one line of JSON; what is missing inside is null. `ordered`: mappings in the order of their keys."""
    try:
        return msgspec.json.encode(value, enc_hook=_inner, order="sorted" if ordered else None).decode()
    except RecursionError:
        raise ExpressionError("a value is nested too deeply to be written as JSON") from None
    except UnicodeEncodeError:
        raise ExpressionError(_HALF) from None


def _inner(value: Any) -> Any:
    if isinstance(value, str):
        return str.__str__(value)
    if is_missing(value):
        return None
    if isinstance(value, Sealed):
        raise ExpressionError("a secret is not said; give it to a function that takes one, as in `hmac(secrets.key)`")
    raise ExpressionError(f"{type(value).__name__} is no value")


def shown(value: Any) -> str:
    """The beginning of a value, for a message."""
    return "nothing" if is_missing(value) else repr(as_text(value)[:80])


def as_bytes(value: Any) -> bytes:
    """A value as text in UTF-8."""
    try:
        return as_text(value).encode()
    except UnicodeEncodeError:
        raise ExpressionError(_HALF) from None
