"""How to mend a key, a value of the wrong kind, a text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..problems import Place, legible
from ..shapes import Choice, Custom, Key, Keyed, ListOf, MapOf, Scalar, Shape, Tagged, homes, shape_of
from .kinds import listed
from .synonyms import did_you_mean

MOST_WAYS = 3  # places that a key is said to belong to
REFERENCE = "write `{ env: NAME }` or `{ file: NAME }`; a secret itself never stands in a file"
VARIABLE = "write `{ env: NAME }`, and `default: …` beside it if the value may stand in a file"
_TRUTHS = {"yes": "true", "on": "true", "true": "true", "no": "false", "off": "false", "false": "false"}


def for_key(key: str, known: list[str], root: Any, path: Place) -> str:
    """What was meant by an unknown key: one like it, one by another name, the same elsewhere; else the keys there are."""
    if not path and key in ("name", "id"):
        return "the name of the file is the name; take this away"
    if meant := did_you_mean(key, known):
        return meant
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
    alone = isinstance(value, list) and len(value) == 1
    return _for_shape(value, shape) or ("take the brackets away" if alone else "")


def _for_shape(value: Any, shape: Shape) -> str:
    match shape:
        case Scalar(type=type_):
            return _for_scalar(value, type_)
        case ListOf():
            return _for_list(value)
        case Keyed() | MapOf() if isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
            return "take the dashes away"
        case Keyed(keys=keys) if isinstance(value, str) and {"from", "default"} <= keys.keys():
            return _for_look_up(value)
        case Keyed(keys=keys):
            return _for_mapping(value, keys)
        case Tagged(key=key, members=members):
            known = isinstance(value, str) and value in members
            return f"write `{{ {key}: {value}, … }}`" if known else f"write `{{ {key}: … }}`; it is one of {listed(members)}"
        case MapOf():
            return "write `name: value` for each entry"
        case Custom(type=type_):
            return _for_custom(value, type_)
    return ""


def _for_look_up(text: str) -> str:
    if text.startswith("$") or "{{" in text:
        return f"write `{{ from: {_written(text)}, table: {{ … }} }}`"
    return f"write `{{ default: {_written(text)} }}`"


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
