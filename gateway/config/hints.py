"""How to mend what the decoder finds: what was expected, in words, and what the author may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from .problems import legible
from .shapes import Choice, Custom, Either, Keyed, ListOf, MapOf, Scalar, Shape, Tagged, homes, shape_of

REFERENCE = "write `{ env: NAME }` or `{ file: NAME }`; a secret itself never stands in a file"

# What other tools call our keys, and our own words of other places.
SYNONYMS = {
    "description": "details",
    "endpoint": "url",
    "filter": "match",
    "fingerprint": "dedup_key",
    "host": "source",
    "level": "severity",
    "link": "url",
    "mapping": "map",
    "message": "summary",
    "name": "title",
    "password": "secret",
    "priority": "severity",
    "status": "action",
    "tags": "labels",
    "template": "text",
    "timestamp": "occurred_at",
    "type": "scheme",
}

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
_TRUTHS = {"yes": "true", "on": "true", "true": "true", "no": "false", "off": "false", "false": "false"}
_SCALARS = {str: "text", int: "a whole number", float: "a number", bool: "`true` or `false`"}


def kind(value: Any) -> str:
    """What a YAML value is, in words."""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    kinds = {str: "text", int: "a number", float: "a number", list: "a list", dict: "a mapping"}
    return kinds.get(type(value), "nothing")


def expected(shape: Shape) -> str:
    """What a shape asks for, in words."""
    words = "a mapping"
    match shape:
        case Scalar(type=type_):
            words = _SCALARS[type_]
        case Choice(values=values):
            words = f"one of {listed(values)}"
        case ListOf():
            words = "a list"
        case Either(members=members):
            words = " or ".join(dict.fromkeys(expected(shape_of(member)) for member in members))
        case Custom(type=type_):
            types = type_.schema().get("type", "value")
            words = " or ".join(_JSON_TYPES[name] for name in ([types] if isinstance(types, str) else types))
    return words


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


def listed(words: Iterable[Any]) -> str:
    """Words as code, with commas."""
    return ", ".join(f"`{word}`" for word in words)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was meant, if one is near enough."""
    lower = {other.lower().replace("-", "_"): other for other in known}
    found = difflib.get_close_matches(word[:80].lower().replace("-", "_"), lower, 1)
    return lower[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The suggestion as a hint; empty where nothing is near."""
    meant = nearest(word, known)
    return f"did you mean `{meant}`?" if meant else ""


def meaning(key: str, known: Iterable[str]) -> str | None:
    """The known key that an unknown one stands for: another name of it, or nearly its own."""
    known = list(known)
    return SYNONYMS[key] if SYNONYMS.get(key) in known else nearest(key, known)


def for_key(key: str, known: list[str], root: Any, *, at_top: bool) -> str:
    """What was meant by an unknown key: one like it, one by another name, the same elsewhere; else the keys there are."""
    if at_top and key in ("name", "id"):
        return "the name of the file is the name; take this away"
    if meant := meaning(key, known):
        return f"did you mean `{meant}`?"
    ways = [way for type_, way in homes(root).items() if isinstance(shape := shape_of(type_), Keyed) and key in shape.keys]
    if len(ways) == 1:
        return f"`{key}` belongs under `{ways[0]}`" if ways[0] else f"`{key}` belongs at the top of the file"
    return f"the keys here are {listed(known)}"


def for_type(value: Any, shape: Shape) -> str:
    """How to turn a value of the wrong kind into the right one."""
    hint = ""
    match shape:
        case Scalar(type=type_):
            hint = _for_scalar(value, type_)
        case ListOf():
            hint = "begin each entry with `- `" if isinstance(value, dict) else f"write a list: `[{_written(value)}]`"
        case Keyed(keys=keys):
            dashed = isinstance(value, list) and any(isinstance(entry, dict) for entry in value)
            hint = "take the dashes away" if dashed else f"its keys are {listed(keys)}"
        case Tagged(key=key, members=members):
            known = isinstance(value, str) and value in members
            hint = f"write `{{ {key}: {value}, … }}`" if known else f"write `{{ {key}: … }}`; it is one of {listed(members)}"
        case MapOf():
            hint = "write `name: value` for each entry"
    return hint


def _for_scalar(value: Any, wanted: type) -> str:
    if wanted is str and isinstance(value, bool | int | float):
        return "put it in quotes"
    if wanted is bool and isinstance(value, str) and value.lower() in _TRUTHS:
        return f"write `{_TRUTHS[value.lower()]}`"
    if wanted in (int, float) and isinstance(value, str) and value.replace(".", "", 1).isdecimal():
        return "take the quotes away"
    return ""


def _written(value: Any) -> str:
    if isinstance(value, str):
        return legible(value, 40) if value.replace("_", "").replace("-", "").isalnum() else f'"{legible(value, 40)}"'
    return str(value).lower() if isinstance(value, bool) else legible(str(value), 40)
