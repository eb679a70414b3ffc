"""Which kind a value is of, and which kind is wanted, in words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..shapes import Choice, Custom, Either, Keyed, ListOf, MapOf, Scalar, Shape, Tagged, shape_of

_JSON_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "`true` or `false`",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
    "value": "a value",
}
_SCALARS = {str: "text", int: "a whole number", float: "a number", bool: "`true` or `false`"}


def kind(value: Any) -> str:
    """What a YAML value is, in words."""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    kinds = {str: "text", int: "a number", float: "a number", list: "a list", dict: "a mapping"}
    return kinds.get(type(value), "nothing")


def expected(shape: Shape) -> str:
    """What a shape asks for, in words."""
    match shape:
        case Scalar(type=type_):
            return _SCALARS[type_]
        case Choice(values=values):
            return f"one of {listed(values)}"
        case ListOf():
            return "a list"
        case Either(members=members):
            return " or ".join(dict.fromkeys(expected(shape_of(member)) for member in members))
        case Custom(type=type_):
            types = type_.schema().get("type", "value")
            return " or ".join(_JSON_TYPES[name] for name in ([types] if isinstance(types, str) else types))
    return "a mapping"


def fits(value: Any, shape: Shape) -> bool:
    """Whether a value is of the kind a shape asks for. Of a custom type only itself can tell."""
    match shape:
        case Scalar(type=type_):
            return type(value) is type_ or (type_ is float and type(value) is int)
        case Choice(values=values):
            return any(type(value) is type(choice) and value == choice for choice in values)
        case ListOf():
            return isinstance(value, list)
        case Keyed() | Tagged() | MapOf():
            return isinstance(value, dict)
        case Custom():
            return False
    return True


def is_foreign(value: Any, shape: Custom) -> bool:
    """Whether a value is of a kind that a type which reads itself never takes, so that the type need not be asked."""
    types = shape.type.schema().get("type")
    if types is None or (isinstance(value, str | int | float) and not isinstance(value, bool)):
        return False
    wanted = {"boolean"} if isinstance(value, bool) else {"array"} if isinstance(value, list) else {"object"}
    return not wanted & ({types} if isinstance(types, str) else set(types))


def listed(words: Iterable[Any]) -> str:
    """Words as code, with commas."""
    return ", ".join(f"`{word}`" for word in words)
