"""
Functions that templates may call, as filters. To add one, write it here: its docstring is its documentation, and its test.

What finds nothing stays nothing: a function gives a missing value back, unless it is there to handle one.
"""

from __future__ import annotations

import base64 as _base64
import hashlib
import html
import json as _json
from collections.abc import Callable, Mapping
from functools import lru_cache, wraps
from typing import Any, TypeVar
from urllib.parse import quote

import jinja2
import msgspec
import re2

from .errors import ExpressionError
from .times import to_epoch, to_time

FUNCTIONS: dict[str, Callable[..., Any]] = {}
LARGEST = 1024 * 1024  # characters of a result

SIZES: dict[str, Callable[[str], int]] = {
    "characters": len,
    "bytes": lambda text: len(text.encode()),
    "utf16": lambda text: len(text.encode("utf-16-le")) // 2,
}

F = TypeVar("F", bound=Callable[..., Any])


def function(f: F) -> F:
    """Make a Python function one that templates may call."""

    @wraps(f)
    def call(value: Any, *args: Any, **named: Any) -> Any:
        return value if _is_missing(value) else f(value, *args, **named)

    FUNCTIONS[f.__name__.rstrip("_")] = call
    return f


def _is_missing(value: Any) -> bool:
    return value is None or isinstance(value, jinja2.Undefined)


def _text(value: Any) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case dict() | list():
            return json(value)
    raise ExpressionError(f"a text is wanted, and {type(value).__name__} was given")


@lru_cache(maxsize=1024)
def _pattern(text: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        return re2.compile(text, options)
    except re2.error as error:
        raise ExpressionError(f"{text!r} is not a regular expression (RE2): {error}") from None


@function
def split(value: str, separator: str = ",") -> list[str]:
    """
    The parts of a text, without the blanks around them and without empty ones.

    >>> split("env:prod, team:a,", ",")
    ['env:prod', 'team:a']
    """
    return [part.strip() for part in _text(value).split(separator) if part.strip()]


@function
def join(value: list[Any], separator: str = ", ") -> str | None:
    """
    The entries of a list as one text; what is missing is left out, and nothing is left of nothing.

    >>> join(["a", None, 3], "/")
    'a/3'
    """
    if not isinstance(value, list | tuple):
        return _text(value)
    return separator.join(_text(entry) for entry in value if not _is_missing(entry) and entry != "") or None


@function
def first(value: Any) -> Any:
    """
    The first entry of a list, or the first value of a mapping.

    >>> first([3, 4])
    3
    """
    entries = list(value.values()) if isinstance(value, dict) else value
    return entries[0] if isinstance(entries, list) and entries else None if isinstance(entries, list) else value


@function
def last(value: Any) -> Any:
    """
    The last entry of a list.

    >>> last([3, 4])
    4
    """
    return (value[-1] if value else None) if isinstance(value, list) else value


@function
def lower(value: Any) -> str:
    """
    In small letters.

    >>> lower("OK")
    'ok'
    """
    return _text(value).lower()


@function
def upper(value: Any) -> str:
    """
    In capital letters.

    >>> upper("ok")
    'OK'
    """
    return _text(value).upper()


@function
def trim(value: Any, characters: str | None = None) -> str:
    """
    Without the blanks (or the given characters) at both ends.

    >>> trim("%%% x %%%", "% ")
    'x'
    """
    return _text(value).strip(characters)


@function
def truncate(value: Any, length: int, mark: str = "\u2026", unit: str = "characters") -> str:
    """
    At most so many characters (or `bytes` of UTF-8, or `utf16` units), ending with a mark where something was cut.

    >>> truncate("abcdef", 4)
    'abc\u2026'
    """
    if unit not in SIZES:
        raise ExpressionError(f"truncate: {unit!r} is no unit; use characters, bytes or utf16")
    text, size = _text(value), SIZES[unit]
    if size(text) <= length:
        return text
    kept = text[: max(0, length)]
    while kept and size(kept + mark) > length:
        kept = kept[: -max(1, (size(kept + mark) - length) // 4)]
    return kept + mark if size(kept + mark) <= length else ""


@function
def replace(value: Any, old: str, new: str) -> str:
    """
    With each `old` replaced by `new`.

    >>> replace("a-b-c", "-", ".")
    'a.b.c'
    """
    text = _text(value)
    if len(text) + text.count(old) * len(new) > LARGEST:
        raise ExpressionError("replace: the result is too large")
    return text.replace(old, new)


@function
def capture(value: Any, pattern: str, group: int | str | None = None) -> str | None:
    """
    What a regular expression (RE2) finds: its first group that took part, or the whole match if it has none.

    >>> capture("[Triggered on {host:a}] CPU", r"host:([^}]*)")
    'a'
    """
    found = _pattern(pattern).search(_text(value)[:65536])
    if found is None:
        return None
    if group is not None:
        return _optional(found.group(group))
    return _optional(next((each for each in found.groups() if each is not None), None) if found.groups() else found.group(0))


def _optional(text: Any) -> str | None:
    return None if text is None else str(text)


@function
def matches(value: Any, pattern: str) -> bool:
    """
    Whether a regular expression (RE2) is found in the text.

    >>> matches("disk full", "^disk")
    True
    """
    return _pattern(pattern).search(_text(value)[:65536]) is not None


@function
def pairs(value: list[Any], separator: str = ":") -> dict[str, Any]:
    """
    A mapping from a list of `key:value` texts, of two-element lists, or of mappings with key or name and value.

    >>> pairs(["env:prod", "monitor"])
    {'env': 'prod', 'monitor': ''}
    >>> pairs([["level", "error"]])
    {'level': 'error'}
    >>> pairs([{"name": "InstanceId", "value": "i-1"}])
    {'InstanceId': 'i-1'}
    """
    found: dict[str, Any] = {}
    for entry in value if isinstance(value, list) else [value]:
        match entry:
            case [key, each]:
                found[_text(key)] = each
            case {"value": each}:
                found[_text(entry.get("key", entry.get("name", entry.get("tag", ""))))] = each
            case str():
                key, _, each = entry.partition(separator)
                found[key.strip()] = each.strip()
    return found


@function
def urlencode(value: Any) -> str:
    """
    Percent-encoded, as one path segment or query value.

    >>> urlencode("a b/c")
    'a%20b%2Fc'
    """
    return quote(_text(value), safe="")


@function
def hash(value: Any) -> str:
    """
    The SHA-256 of a value, in hex; of a mapping whatever the order of its keys.

    >>> hash({"b": 1, "a": 2}) == hash({"a": 2, "b": 1})
    True
    """
    text = value if isinstance(value, str) else _json.dumps(_plain(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return None if _is_missing(value) else value


@function
def time(value: Any, format: str | None = None, zone: str | None = None) -> str | None:
    """
    A time in any of the usual forms as RFC 3339 in UTC; nothing for a time that says "not set".

    >>> time("2019-02-15T23:53:45.093+0000")
    '2019-02-15T23:53:45.093Z'
    """
    return to_time(value, format=format, zone=zone)


@function
def epoch(value: Any) -> float:
    """
    A time as seconds since 1970.

    >>> epoch("2023-06-12T08:24:38.326Z")
    1686558278.326
    """
    return to_epoch(value)


@function
def epoch_s(value: Any) -> int:
    """
    A time as whole seconds since 1970.

    >>> epoch_s("2023-06-12T08:24:38.326Z")
    1686558278
    """
    return epoch_ns(value) // 1_000_000_000


@function
def epoch_ms(value: Any) -> int:
    """
    A time as milliseconds since 1970.

    >>> epoch_ms("2023-06-12T08:24:38.326Z")
    1686558278326
    """
    return epoch_ns(value) // 1_000_000


@function
def epoch_ns(value: Any) -> int:
    """
    A time as nanoseconds since 1970, exact.

    >>> epoch_ns("2023-06-12T08:24:38.326000001Z")
    1686558278326000001
    """
    text = to_time(value)
    if text is None:
        raise ExpressionError(f"{_text(value)[:80]!r} is no time")
    whole, _, fraction = text[:-1].partition(".")
    return int(to_epoch(whole + "Z")) * 1_000_000_000 + int((fraction + "000000000")[:9])


@function
def json(value: Any) -> str:
    """
    A value as one line of JSON.

    >>> json({"a": [1, None]})
    '{"a":[1,null]}'
    """
    return msgspec.json.encode(_plain(value)).decode()


@function
def json_text(value: Any) -> str:
    """
    A value as it stands between the quotes of a JSON text.

    >>> json_text('say "no"')
    'say \\\\"no\\\\"'
    """
    return msgspec.json.encode(_text(value)).decode()[1:-1]


@function
def from_json(value: Any, otherwise: Any = None) -> Any:
    """
    The value that a JSON text holds; `otherwise`, if it is given, for a text that is no JSON.

    >>> from_json('{"a": 1}')
    {'a': 1}
    >>> from_json("plain", otherwise="plain")
    'plain'
    """
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError, ValueError):
        if otherwise is None:
            raise ExpressionError(f"{value[:80]!r} is not JSON") from None
        return otherwise


@function
def base64(value: Any) -> str:
    """
    In base64.

    >>> base64("id:key")
    'aWQ6a2V5'
    """
    return _base64.b64encode(_text(value).encode()).decode()


@function
def from_base64(value: Any) -> str:
    """
    The text that base64 holds.

    >>> from_base64("aWQ6a2V5")
    'id:key'
    """
    try:
        return _base64.b64decode(_text(value) + "==", validate=False).decode()
    except ValueError:
        raise ExpressionError(f"{_text(value)[:80]!r} is not text in base64") from None


@function
def merge(value: dict[str, Any], other: Any) -> dict[str, Any]:
    """
    A mapping with the keys of another one over its own; what is missing there changes nothing.

    >>> merge({"a": 1}, {"a": 2, "b": None})
    {'a': 2}
    """
    _want_mapping("merge", value)
    return value | {key: each for key, each in (other.items() if isinstance(other, dict) else ()) if not _is_missing(each)}


@function
def prefixed(value: dict[str, Any], prefix: str) -> dict[str, Any]:
    """
    The keys that begin so, without their beginning.

    >>> prefixed({"ALERT.id": 1, "STATE.host": 2}, "STATE.")
    {'host': 2}
    """
    _want_mapping("prefixed", value)
    return {key.removeprefix(prefix): each for key, each in value.items() if key.startswith(prefix)}


def _want_mapping(name: str, value: Any) -> None:
    if not isinstance(value, dict):
        raise ExpressionError(f"{name}: a mapping is wanted, and {_text(value)[:80]!r} was given")


@jinja2.pass_context
def table(context: Any, value: Any, name: str, default: Any = None) -> Any:
    """
    The row of one of the file's `tables` for a word; `default` where there is no such row.

    With `tables: { priority: { critical: P1 } }`, `{{ event.severity | table('priority') }}` is P1 for a critical event.
    """
    tables: Mapping[str, Mapping[str, Any]] = context.get("tables") or {}
    if name not in tables:
        raise ExpressionError(f"table: there is no table {name!r}; there are {', '.join(tables) or 'none'}")
    rows = {str(key).lower(): each for key, each in tables[name].items()}
    word = default if _is_missing(value) else rows.get(_text(value).lower(), default)
    if word is None:
        raise ExpressionError(f"table {name!r} has no row for {'nothing' if _is_missing(value) else _text(value)[:80]!r}")
    return word


FUNCTIONS["table"] = table


@function
def keys(value: dict[str, Any]) -> list[str]:
    """
    The keys of a mapping.

    >>> keys({"a": 1})
    ['a']
    """
    _want_mapping("keys", value)
    return list(value)


@function
def values(value: dict[str, Any]) -> list[Any]:
    """
    The values of a mapping.

    >>> values({"a": 1})
    [1]
    """
    _want_mapping("values", value)
    return list(value.values())


@function
def where(value: list[Any], key: str, wanted: Any) -> list[Any]:
    """
    The mappings of a list whose key has this value.

    >>> where([{"type": "HOST", "name": "a"}, {"type": "SERVICE", "name": "b"}], "type", "SERVICE")
    [{'type': 'SERVICE', 'name': 'b'}]
    """
    return [entry for entry in value if isinstance(entry, dict) and entry.get(key) == wanted] if isinstance(value, list) else []


@function
def without(value: dict[str, Any], *names: str) -> dict[str, Any]:
    """
    A mapping without these keys.

    >>> without({"a": 1, "b": 2}, "a")
    {'b': 2}
    """
    _want_mapping("without", value)
    return {key: each for key, each in value.items() if key not in names}


@function
def number(value: Any) -> int | float:
    """
    A number from a text.

    >>> number("42"), number("1.5")
    (42, 1.5)
    """
    text = _text(value).strip()
    try:
        return int(text) if text.lstrip("+-").isdigit() else float(text)
    except ValueError:
        raise ExpressionError(f"{text[:80]!r} is no number") from None


@function
def text(value: Any) -> str:
    """
    A value as text: numbers as they are written, mappings and lists as JSON.

    >>> text(1686558278326000001)
    '1686558278326000001'
    """
    return _text(value)


@function
def escape_html(value: Any) -> str:
    """
    With what HTML would read escaped.

    >>> escape_html("<b>")
    '&lt;b&gt;'
    """
    return html.escape(_text(value))


@function
def escape_mrkdwn(value: Any) -> str:
    """
    With `&`, `<` and `>` escaped, as Slack wants it; so `<!channel>` and `<@U1>` call nobody.

    >>> escape_mrkdwn("<!channel> a & b")
    '&lt;!channel&gt; a &amp; b'
    """
    return _text(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@function
def strip_markup(value: Any) -> str:
    """
    Without HTML tags and without the marks around a Markdown block.

    >>> strip_markup("%%%\\n<b>CPU</b> high\\n%%%")
    'CPU high'
    """
    return str(_pattern(r"<[^>]*>|%%%").sub("", _text(value))).strip()


def length(value: Any) -> int:
    """
    How many characters, entries or keys; 0 of nothing.

    >>> length("abc")
    3
    """
    return 0 if _is_missing(value) else len(value) if isinstance(value, str | list | dict) else len(_text(value))


def default(value: Any, otherwise: Any) -> Any:
    """
    The value, or something else where it is missing or empty.

    >>> default(None, "unknown")
    'unknown'
    """
    return otherwise if _is_missing(value) or value == "" else value


FUNCTIONS["length"] = length
FUNCTIONS["default"] = default
