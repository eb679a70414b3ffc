"""Functions on texts. A value that is no text is taken as it would be printed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ..written import as_text
from .patterns import LONGEST_SEARCHED, compiled, search
from .registry import Length, Pattern, Piece, Signs, Unit, check_size, function

SIZES: dict[str, Callable[[str], int]] = {
    "characters": len,
    "bytes": lambda text: len(text.encode(errors="surrogatepass")),
    "utf16": lambda text: len(text.encode("utf-16-le", errors="surrogatepass")) // 2,
}

_MARKUP = re.compile(r"<[^>]*>|%%%")


@function
def text(value: Any) -> str:
    """
    A value as text: numbers as they are written, mappings and lists as JSON.

    >>> text(1686558278326000001)
    '1686558278326000001'
    """
    return as_text(value)


@function
def lower(value: Any) -> str:
    """
    In small letters.

    >>> lower("OK")
    'ok'
    """
    return as_text(value).lower()


@function
def upper(value: Any) -> str:
    """
    In capital letters.

    >>> upper("ok")
    'OK'
    """
    return as_text(value).upper()


@function
def trim(value: Any, characters: Signs = None) -> str:
    """
    Without the blanks (or the given characters) at both ends.

    >>> trim("%%% x %%%", "% ")
    'x'
    """
    return as_text(value).strip(characters)


@function
def one_line(value: Any) -> str:
    """
    On one line: each run of blanks, line ends and control characters is one blank. For titles and headers.

    >>> one_line("disk full\\r\\n  on db-1")
    'disk full on db-1'
    """
    text = as_text(value)
    if not text.isprintable():
        text = text.translate({ord(letter): " " for letter in set(text) if not letter.isprintable()})
    return " ".join(text.split())


@function
def truncate(value: Any, length: Length, mark: str = "\u2026", unit: Unit = "characters") -> str:
    """
    At most so many characters (or `bytes` of UTF-8, or `utf16` units), ending with a mark where something was cut.

    >>> truncate("abcdef", 4)
    'abc\u2026'
    """
    text, size = as_text(value), SIZES[unit]
    if size(text) <= length:
        return text
    room = length - size(mark)
    if room < 0:
        room, mark = length, ""
    kept = text[:room]
    while size(kept) > room:
        kept = kept[: -max(1, (size(kept) - room) // 4)]  # a character is 4 bytes at most, so this never cuts too much
    return kept + mark


@function
def split(value: Any, separator: Piece = ",") -> list[Any]:
    """
    The parts of a text, without the blanks around them and without empty ones. A list stays as it is.

    >>> split("env:prod, team:a,", ",")
    ['env:prod', 'team:a']
    """
    if isinstance(value, list | tuple):
        return list(value)
    return [part.strip() for part in as_text(value).split(separator) if part.strip()]


@function
def replace(value: Any, old: Piece, new: str) -> str:
    """
    With each `old` replaced by `new`.

    >>> replace("a-b-c", "-", ".")
    'a.b.c'
    """
    text = as_text(value)
    check_size("replace", len(text) + text.count(old) * (len(new) - len(old)))
    return text.replace(old, new)


@function
def replace_all(value: Any, pattern: Pattern, new: str) -> str:
    """
    With everything that a regular expression (RE2) finds replaced by `new`, as it is written.

    >>> replace_all("host-12.eu-3", "[0-9]+", "N")
    'host-N.eu-N'
    """
    text = as_text(value)
    found = [match.span() for match in compiled(pattern).finditer(text[:LONGEST_SEARCHED])]
    check_size("replace_all", len(text) + len(found) * len(new))
    pieces, at = [], 0
    for begin, end in found:
        pieces += [text[at:begin], new]
        at = end
    return "".join([*pieces, text[at:]])


@function
def capture(value: Any, pattern: Pattern) -> str | None:
    """
    What a regular expression (RE2) finds: its first group that took part, or the whole match if it has none.

    >>> capture("[Triggered on {host:a}] CPU", r"host:([^}]*)")
    'a'
    >>> capture("arn:aws:sns:eu-west-1:1:topic", r"[^:]*$")
    'topic'
    """
    found = search(pattern, as_text(value))
    if found is None:
        return None
    return next((each for each in found.groups() if each is not None), None) if found.groups() else str(found.group(0))


@function
def matches(value: Any, pattern: Pattern) -> bool:
    """
    Whether a regular expression (RE2) is found in the text.

    >>> matches("disk full", "^disk")
    True
    """
    return search(pattern, as_text(value)) is not None


@function
def select(value: Any, pattern: Pattern) -> list[Any]:
    """
    The entries of a list in which a regular expression (RE2) is found.

    >>> select(["team:db", "nightly", "env:prod"], ":")
    ['team:db', 'env:prod']
    """
    entries = value if isinstance(value, list | tuple) else [value]
    return [entry for entry in entries if search(pattern, as_text(entry)) is not None]


@function
def reject(value: Any, pattern: Pattern) -> list[Any]:
    """
    The entries of a list in which a regular expression (RE2) is not found.

    >>> reject(["team:db", "nightly", "env:prod"], ":")
    ['nightly']
    """
    entries = value if isinstance(value, list | tuple) else [value]
    return [entry for entry in entries if search(pattern, as_text(entry)) is None]


@function
def strip_markup(value: Any) -> str:
    """
    Without HTML tags and without the marks around a Markdown block.

    >>> strip_markup("%%%\\n<b>CPU</b> high\\n%%%")
    'CPU high'
    """
    text = as_text(value)
    end = text.rfind(">") + 1  # before it each `<` has its `>`, so that none is looked for in vain, over and over
    return (_MARKUP.sub("", text[:end]) + text[end:].replace("%%%", "")).strip()
