"""Where a request goes: the file says it, and what comes from an event fills one segment or one value and no more."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from ...beyond import SENDERS
from ...errors import Unrenderable
from ...expr import Outbound

SCHEMES = frozenset({"http", "https", *SENDERS})
_ORIGIN = re.compile(  # up to the first slash that is no part of an expression
    r"\s*(?:[a-z][a-z+]*://|(?=\{\{))(?:\{\{(?:(?!\}\}).)*\}\}|\{%(?:(?!%\}).)*%\}|[^/?#{]|\{(?![{%]))*", re.DOTALL
)
_PRINTED = re.compile(r"""\{\{-?((?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|(?!-?\}\}).)*)-?\}\}""", re.DOTALL)
_COMPUTED = re.compile(r"""\{[{%](?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|(?![%}]\}).)*""", re.DOTALL)
_ENCODED = re.compile(r"\|\s*urlencode\s*$")
OURS = frozenset({"vars", "secrets"})  # names that hold nothing of an event
_ATTACKERS = frozenset({"event", "incident", "memory", "items", "by"})


def check_url(url: Outbound) -> None:
    """Raise ValueError where the host is not ours, or comes from what an attacker may write."""
    if url.text.startswith("$") or not (found := _ORIGIN.match(url.text)):
        raise ValueError(f"url: {url.text!r} does not begin with https://, http:// or a variable such as {{{{ vars.url }}}}")
    computed = " ".join(_COMPUTED.findall(found[0]))
    names = {name for name in _ATTACKERS if re.search(rf"(?<![\w.]){name}\b", computed)}
    if names:
        raise ValueError(
            f"url: the host cannot come from `{min(names)}`; keep it in `vars`, and put a slash before what comes from an event"
        )


def quoted(url: Outbound) -> Outbound:
    """The same with all that it prints percent-encoded, unless that is wholly ours or is encoded already."""
    safe = Outbound(_PRINTED.sub(_percent_encoded, url.text))
    safe.text = url.text  # what messages quote
    return safe


def _percent_encoded(printed: re.Match[str]) -> str:
    expression = printed[1]
    ours = Outbound(printed[0]).names <= OURS
    return printed[0] if ours or _ENCODED.search(expression) else f"{{{{ ({expression}) | urlencode }}}}"


@lru_cache(maxsize=256)  # most sinks have one address for all they send
def checked(url: str) -> str:
    """The URL itself. Raises Unrenderable for one that leads nowhere, or elsewhere."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in SCHEMES or not parts.hostname or re.search(r"[\x00-\x20\x7f]", url):
        raise Unrenderable("request.url: this is no address that anything can be sent to", reason="url")
    if not {".", ".."}.isdisjoint(unquote(segment) for segment in parts.path.split("/")):
        raise Unrenderable("request.url: a segment of its path is `.` or `..`, which leads elsewhere", reason="url")
    return url
