"""How to mend what the decoder finds: what was expected, in words, and what the author may have meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from .problems import Place, legible
from .shapes import Choice, Custom, Either, Key, Keyed, ListOf, MapOf, Scalar, Shape, Tagged, homes, shape_of

MOST_WAYS = 3  # places that a key is said to belong to
REFERENCE = "write `{ env: NAME }` or `{ file: NAME }`; a secret itself never stands in a file"
VARIABLE = "write `{ env: NAME }`, and `default: …` beside it if the value may stand in a file"

# What other tools call our keys, our words and our names, and our own words of other places: the first that is known here counts.
SYNONYMS: dict[str, tuple[str, ...]] = {
    # keys
    "body": ("payload", "json"),
    "condition": ("when",),
    "description": ("details",),
    "endpoint": ("url",),
    "filter": ("match",),
    "fingerprint": ("dedup_key",),
    "host": ("source",),
    "if": ("when",),
    "level": ("severity",),
    "link": ("url",),
    "mapping": ("map",),
    "message": ("summary",),
    "name": ("title",),
    "password": ("secret",),
    "priority": ("severity",),
    "status": ("action",),
    "tags": ("labels",),
    "template": ("text",),
    "timestamp": ("occurred_at",),
    "type": ("scheme",),
    # schemes
    "api_key": ("token",),
    "apikey": ("api_key", "token"),
    "token": ("api_key",),
    # severities
    "emergency": ("critical",),
    "fatal": ("critical",),
    "high": ("error",),
    "major": ("error",),
    "low": ("info",),
    "medium": ("warning",),
    "minor": ("warning",),
    # actions and verdicts
    "ack": ("acknowledge",),
    "alert": ("trigger", "item", "event"),
    "close": ("resolve",),
    "closed": ("resolve",),
    "fire": ("trigger",),
    "firing": ("trigger",),
    "open": ("trigger",),
    "drop": ("ignore", "dead"),
    "suppress": ("ignore",),
    "fail": ("dead",),
    "failed": ("dead",),
    "ok": ("resolve", "delivered"),
    "success": ("delivered",),
    # names in expressions
    "answer": ("response",),
    "env": ("vars",),
    "event": ("item",),
    "item": ("event",),
    "items": ("item", "event"),
    "labels": ("item", "event"),
    "payload": ("event",),
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


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was meant, if one is near enough, or a word that goes on after it, as `hmac-sha256` does."""
    lower = {other.lower().replace("-", "_"): other for other in known}
    word = word[:80].lower().replace("-", "_")
    found = difflib.get_close_matches(word, lower, 1) or [other for other in lower if word.startswith(f"{other}_")]
    return lower[found[0]] if found else None


def meaning(word: str, known: Iterable[str]) -> str | None:
    """The known word that an unknown one stands for: another name of it, or nearly its own."""
    known = list(known)
    same = (other for other in SYNONYMS.get(word.lower(), ()) if other in known)
    return next(same, None) or nearest(word, known)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The suggestion as a hint; empty where nothing is near."""
    meant = meaning(word, known)
    return f"did you mean `{meant}`?" if meant else ""


def for_key(key: str, known: list[str], root: Any, path: Place) -> str:
    """What was meant by an unknown key: one like it, one by another name, the same elsewhere; else the keys there are."""
    if not path and key in ("name", "id"):
        return "the name of the file is the name; take this away"
    if meant := meaning(key, known):
        return f"did you mean `{meant}`?"
    ways = [way for way in _ways(key, root) if not way.startswith("tests")]
    if path[:1] != ("tests",) and 0 < len(ways) <= MOST_WAYS:
        return f"`{key}` belongs " + (
            f"under {' or '.join(f'`{way}`' for way in ways)}" if all(ways) else "at the top of the file"
        )
    return f"the keys here are {listed(known)}"


def _ways(key: str, root: Any) -> list[str]:
    return [way for type_, way in homes(root).items() if isinstance(shape := shape_of(type_), Keyed) and key in shape.keys]


def for_type(value: Any, shape: Shape) -> str:
    """How to turn a value of the wrong kind into the right one."""
    hint = ""
    match shape:
        case Scalar(type=type_):
            hint = _for_scalar(value, type_)
        case ListOf():
            hint = _for_list(value)
        case Keyed() | MapOf() if isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
            hint = "take the dashes away"
        case Keyed(keys=keys) if isinstance(value, str) and {"from", "default"} <= keys.keys():
            found = value.startswith("$") or "{{" in value
            hint = (
                f"write `{{ from: {_written(value)}, table: {{ … }} }}`" if found else f"write `{{ default: {_written(value)} }}`"
            )
        case Keyed(keys=keys):
            hint = _for_mapping(value, keys)
        case Tagged(key=key, members=members):
            known = isinstance(value, str) and value in members
            hint = f"write `{{ {key}: {value}, … }}`" if known else f"write `{{ {key}: … }}`; it is one of {listed(members)}"
        case MapOf():
            hint = "write `name: value` for each entry"
        case Custom(type=type_):
            hint = _for_custom(value, type_)
    return "take the brackets away" if not hint and isinstance(value, list) and len(value) == 1 else hint


def _for_mapping(value: Any, keys: Mapping[str, Key]) -> str:
    """A text that belongs under one of the keys: the one that takes just this word, else the only one that must be there."""
    if isinstance(value, str):
        choices = [
            name for name, key in keys.items() if isinstance(shape := shape_of(key.type), Choice) and value in shape.values
        ]
        required = [name for name, key in keys.items() if key.required]
        if len(choices) == 1 or len(required) == 1:
            return f"write `{{ {(choices or required)[0]}: {_written(value)} }}`"
    return f"its keys are {listed(keys)}"


def _for_custom(value: Any, type_: Any) -> str:
    if isinstance(value, bool):
        examples = type_.schema().get("examples", [])
        return f"write it like {listed(examples)}" if examples else "put it in quotes"
    if isinstance(value, dict) and "from" in value:
        return "give the look-up a name in `let`, and write the name here: `{{ name }}`"
    if isinstance(value, dict) and isinstance(name := value.get("header"), str):
        return f"write `{{{{ headers['{legible(name.lower(), 40)}'] }}}}`"
    return ""


def for_text(value: Any) -> str:
    """How to mend a text that its own type refuses, where it is written as other tools write it."""
    found = re.search(r"\$\{([A-Z][A-Z0-9_]+)\}|^\$([A-Z][A-Z0-9_]+)\b", value) if isinstance(value, str) else None
    if found is None:
        return ""
    variable = found[1] or found[2]
    name = variable.lower()
    return f"a variable stands in `vars: {{ {name}: {{ env: {variable} }} }}`, and is written `{{{{ vars.{name} }}}}`"


def _for_list(value: Any) -> str:
    if isinstance(value, dict):
        return "begin each entry with `- `"
    if isinstance(value, str) and value.startswith("-"):
        return "put a space after each dash"
    return f"write a list: `[{_written(value)}]`"


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
        plain = re.fullmatch(r"[\w.-]+|\$[\w.]+", value)
        return legible(value, 40) if plain else f'"{legible(value, 40)}"'
    return str(value).lower() if isinstance(value, bool) else legible(str(value), 40)
