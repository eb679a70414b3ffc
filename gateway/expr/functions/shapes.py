"""Functions on lists and mappings, and on what may be missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ExpressionError
from ..written import as_text, is_missing, shown
from .registry import Piece, Table, check_size, function


def _mapping(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ExpressionError(f"{name}: a mapping is wanted, and {shown(value)} was given")
    return value


@function(missing=True)
def default(value: Any, otherwise: Any) -> Any:
    """
    The value, or something else where it is missing or empty.

    >>> default(None, "unknown")
    'unknown'
    """
    return otherwise if is_missing(value) or value == "" else value


@function(missing=True)
def length(value: Any) -> int:
    """
    How many characters, entries or keys; 0 of nothing.

    >>> length("abc"), length([]), length(None)
    (3, 0, 0)
    """
    if is_missing(value):
        return 0
    return len(value if isinstance(value, list | dict | tuple) else as_text(value))


@function
def first(value: Any) -> Any:
    """
    The first entry of a list, or the first value of a mapping; anything else is its own first.

    >>> first([3, 4]), first({"A": 5}), first("one")
    (3, 5, 'one')
    """
    return _entry(list(value.values()) if isinstance(value, dict) else value, 0)


@function
def last(value: Any) -> Any:
    """
    The last entry of a list, or the last value of a mapping; anything else is its own last.

    >>> last([3, 4])
    4
    """
    return _entry(list(value.values()) if isinstance(value, dict) else value, -1)


def _entry(value: Any, index: int) -> Any:
    if not isinstance(value, list | tuple):
        return value
    return value[index] if value else None


@function
def join(value: Any, separator: str = ", ") -> str | None:
    """
    The entries of a list as one text; what is missing is left out, and nothing is left of nothing.

    >>> join(["a", None, 3], "/")
    'a/3'
    """
    if not isinstance(value, list | tuple):
        return as_text(value)
    texts = [as_text(entry) for entry in value if not is_missing(entry) and entry != ""]
    check_size("join", sum(map(len, texts)) + len(separator) * (len(texts) - 1))
    return separator.join(texts) or None


@function
def pairs(value: Any, separator: Piece = ":") -> dict[str, Any]:
    """
    A mapping from a list of `key:value` texts, of two-element lists, or of mappings with key, name or tag and value.

    >>> pairs(["env:prod", "monitor"])
    {'env': 'prod', 'monitor': ''}
    >>> pairs([["level", "error"]])
    {'level': 'error'}
    >>> pairs([{"name": "InstanceId", "value": "i-1"}])
    {'InstanceId': 'i-1'}
    """
    found: dict[str, Any] = {}
    for entry in value if isinstance(value, list | tuple) else [value]:
        match entry:
            case dict():
                key = next((entry[word] for word in ("key", "name", "tag") if not is_missing(entry.get(word))), None)
                if key is not None:
                    found[as_text(key)] = entry.get("value")
            case [key, each]:
                found[as_text(key)] = each
            case str():
                name, _, text = entry.partition(separator)
                found[name.strip()] = text.strip()
    return found


@function
def where(value: Any, key: str, wanted: Any) -> list[Any]:
    """
    The mappings of a list whose key has this value.

    >>> where([{"type": "HOST", "name": "a"}, {"type": "SERVICE", "name": "b"}], "type", "SERVICE")
    [{'type': 'SERVICE', 'name': 'b'}]
    """
    entries = value if isinstance(value, list | tuple) else [value]
    return [entry for entry in entries if isinstance(entry, dict) and entry.get(key) == wanted]


@function
def pluck(value: Any, key: str) -> list[Any]:
    """
    What stands under one key in each mapping of a list; those without it are passed over.

    >>> pluck([{"name": "lint"}, {"name": "test", "id": 2}, {"id": 3}], "name")
    ['lint', 'test']
    """
    entries = value if isinstance(value, list | tuple) else [value]
    return [entry[key] for entry in entries if isinstance(entry, dict) and entry.get(key) is not None]


@function
def keys(value: Any) -> list[str]:
    """
    The keys of a mapping.

    >>> keys({"a": 1})
    ['a']
    """
    return list(_mapping("keys", value))


@function
def values(value: Any) -> list[Any]:
    """
    The values of a mapping.

    >>> values({"a": 1})
    [1]
    """
    return list(_mapping("values", value).values())


@function(missing=True)
def merge(value: Any, other: Any) -> dict[str, Any]:
    """
    A mapping with the keys of another one over its own; what is missing, there or as a whole, changes nothing.

    >>> merge({"a": 1}, {"a": 2, "b": None}), merge(None, {"a": 2})
    ({'a': 2}, {'a': 2})
    """
    own, more = ({} if is_missing(each) else _mapping("merge", each) for each in (value, other))
    return own | {key: each for key, each in more.items() if not is_missing(each)}


@function
def prefixed(value: Any, prefix: str) -> dict[str, Any]:
    """
    The keys that begin so, without their beginning.

    >>> prefixed({"ALERT.id": 1, "STATE.host": 2}, "STATE.")
    {'host': 2}
    """
    return {key.removeprefix(prefix): each for key, each in _mapping("prefixed", value).items() if key.startswith(prefix)}


@function
def without(value: Any, *names: str) -> dict[str, Any]:
    """
    A mapping without these keys.

    >>> without({"a": 1, "b": 2}, "a")
    {'b': 2}
    """
    gone = frozenset(names)
    return {key: each for key, each in _mapping("without", value).items() if key not in gone}


@function(missing=True)
def table(context: Mapping[str, Any], value: Any, name: Table, default: Any = None) -> Any:
    """
    The row of one of the file's `tables` for a word, whatever its case; `default` where there is no such row.

    With `tables: { priority: { critical: P1 } }`, `{{ event.severity | table('priority') }}` is P1 for a critical event.

    >>> table({"tables": {"priority": {"critical": "P1"}}}, "Critical", "priority")
    'P1'
    """
    tables: Mapping[str, Mapping[str, Any]] = context.get("tables") or {}
    if name not in tables:
        raise ExpressionError(f"table: there is no table {name!r}; there are {', '.join(tables) or 'none'}")
    rows = {str(key).lower(): each for key, each in tables[name].items()}
    word = default if is_missing(value) else rows.get(as_text(value).lower(), default)
    if is_missing(word):
        raise ExpressionError(f"table {name!r} has no row for {shown(value)}")
    return word
