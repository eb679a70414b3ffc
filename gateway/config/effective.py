"""A file as it counts: what it says and inherits, in its own order, and after that every default, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from ..errors import ConfigError
from ..values import Duration, Size
from .decode import decode
from .files import KINDS, Source, read_document
from .shapes import Keyed, ListOf, MapOf, Tagged, shape_of

HIDDEN = ("tests", "like", "optional")  # what says nothing while it is not said


def effective(source: Source, siblings: Mapping[tuple[str, str], Source]) -> dict[str, Any]:
    """The whole document, tests left out. Raises ConfigError when the file is wrong."""
    document = read_document(source, siblings)
    if decode(document, KINDS[source.kind]) is None:
        raise ConfigError(sorted(document.problems))
    data = {key: value for key, value in document.data.items() if key not in HIDDEN}
    whole: dict[str, Any] = _whole(KINDS[source.kind], data)
    return whole


def _whole(annotation: Any, given: Any) -> Any:
    """What is given, with the defaults of every mapping in it."""
    match shape_of(annotation):
        case Keyed() as shape if isinstance(given, dict):
            said = {name: _whole(shape.keys[name].type, value) if name in shape.keys else value for name, value in given.items()}
            rest = {name: plain(key.default) for name, key in shape.keys.items() if name not in given and name not in HIDDEN}
            return said | {name: value for name, value in rest.items() if value not in (None, "", [], {})}
        case Tagged() as shape if isinstance(given, dict):
            return _whole(shape.members[given[shape.key]], given)
        case ListOf() as shape if isinstance(given, list):
            return [_whole(shape.item, each) for each in given]
        case MapOf() as shape if isinstance(given, dict):
            return {name: _whole(shape.value, each) for name, each in given.items()}
    return given


def plain(default: Any) -> Any:
    """A default as it would be written; None for what is made in code and has no word of its own."""
    match default:
        case Duration():
            return _with_unit(default, Duration.UNITS)
        case Size():
            return _with_unit(default, Size.UNITS)
        case Struct():
            shape = shape_of(type(default))
            keys = shape.keys.values() if isinstance(shape, Keyed) else ()
            inner = {key.name: plain(getattr(default, key.field)) for key in keys}
            return {name: value for name, value in inner.items() if value not in (None, "", [], {})}
        case str() | bool() | int() | float():
            return default
        case list() if all(isinstance(each, str) for each in default):
            return list(default)
    return getattr(default, "text", None)


def _with_unit(number: float, units: Mapping[str, float]) -> str:
    """The number in the largest unit in which it is whole."""
    whole = [unit for unit, size in units.items() if number and (number / size).is_integer()]
    unit = max(whole, key=units.__getitem__, default=min(units, key=units.__getitem__))
    return f"{number / units[unit]:g}{unit}"
