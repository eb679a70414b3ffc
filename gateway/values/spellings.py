"""
How a secret may be written where it is repeated to us: in a URL, in a form, in JSON of several makes, and, of an address that is
secret, what its receiver sees of it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

SHORTEST_PART = 16  # characters of an address's path or of a parameter: shorter ones are words that others use, too
SHORTEST_MARK = 6  # letters and digits: of fewer many would stand in any text
RESERVED = "!#$%&'()*+,/:;=?@[]~"  # what an HTTP client leaves as it is in an address


def spellings(secret: str) -> set[str]:
    """Everything to look for in what is shown: the secret, and what is seen of an address."""
    return {spelling for text in (secret, *_seen(secret)) for spelling in written(text)}


def written(secret: str) -> set[str]:
    """The secret as a whole, however it is written."""
    return {*_in_addresses(secret), *_in_json(secret)}


def _in_addresses(text: str) -> tuple[str, ...]:
    return text, quote(text), quote(text, safe=""), quote(text, safe=RESERVED), quote_plus(text)


def _in_json(text: str) -> Iterator[str]:
    """As Python and most others write it, PHP (`\\/`), .NET (`\\u002B`), and Go (`\\u0026`)."""
    for only_ascii in (True, False):
        written = json.dumps(text, ensure_ascii=only_ascii)[1:-1]
        yield written
        yield written.replace("/", "\\/")
        yield re.sub("[&<>]", lambda sign: f"\\u{ord(sign[0]):04x}", written)
    yield re.sub(r"""\\u[0-9a-f]{4}|\\"|[&'+<>`]""", _as_net_does, json.dumps(text)[1:-1])


def _as_net_does(found: re.Match[str]) -> str:
    sign = found[0]
    return "\\u" + (sign[2:].upper() if len(sign) > 2 else f"{ord(sign[-1]):04X}")


def _seen(secret: str) -> list[str]:
    """Of an address its password, its path and its parameters, so far as they are long enough to be nobody else's words."""
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", secret):
        return []
    try:
        parts = urlsplit(secret)
    except ValueError:
        return []
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    found = [each for each in (target, parts.path, *dict(parse_qsl(parts.query)).values()) if len(each) >= SHORTEST_PART]
    if not parts.password:
        return found
    name, password = unquote(parts.username or ""), unquote(parts.password)
    return [*found, password, base64.b64encode(f"{name}:{password}".encode()).decode()]


def marks_of(spellings: Iterable[str]) -> tuple[str, ...]:
    """A few texts, one of which at least stands in each of these: letters and digits are the same however they are written."""
    marks: list[str] = []
    for spelling in sorted(spellings, key=len):
        if not any(mark in spelling for mark in marks):
            longest = max(_PLAIN.findall(spelling), key=len, default="")
            marks.append(longest if len(longest) >= SHORTEST_MARK else spelling)
    return tuple(marks)


_PLAIN = re.compile("[0-9A-Za-z]+")
