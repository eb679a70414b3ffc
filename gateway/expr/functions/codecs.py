"""Functions that write a notation or read one."""

from __future__ import annotations

import base64 as _base64
import hashlib
import hmac as _hmac
import html
import re
from typing import Any
from urllib.parse import quote, unquote

import msgspec

from ..errors import ExpressionError
from ..written import Sealed, as_bytes, as_json, as_text, shown
from .registry import Encoding, Hash, check_size, function

_NUMBER = re.compile(r"[+-]?(?:(\d{1,4300})|\d{0,300}\.?\d{1,300}(?:[eE][+-]?\d{1,3})?)", re.ASCII)
_MARKDOWN = str.maketrans({sign: f"\\{sign}" for sign in r"\`*_{}[]()<>#+-.!|~"})


@function
def number(value: Any) -> int | float:
    """
    A number from a text.

    >>> number("42"), number("1.5")
    (42, 1.5)
    """
    text = as_text(value).strip()
    found = _NUMBER.fullmatch(text)
    read: int | float = float("nan") if found is None else int(text) if found[1] else float(text)
    if read - read != 0:  # infinite, or not a number
        raise ExpressionError(f"{text[:80]!r} is no number")
    return read


@function
def hmac(value: Any, key: Any, algorithm: Hash = "sha256", encoding: Encoding = "hex") -> str:
    """
    The HMAC of a text, as some senders want their challenge answered; `key` is a secret: `secrets.challenge`.

    >>> hmac("what do ya want for nothing?", "Jefe")
    '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'
    """
    secret = key.reveal() if isinstance(key, Sealed) else as_text(key)
    digest = _hmac.digest(secret.encode(), as_bytes(value), algorithm)
    return digest.hex() if encoding == "hex" else _base64.b64encode(digest).decode()


@function
def json(value: Any, indent: int = 0) -> str:
    """
    A value as one line of JSON; with `indent`, as people read it, each level so many blanks further in.

    >>> json({"a": [1, None]})
    '{"a":[1,null]}'
    >>> json({"a": 1, "b": []}, indent=2)
    '{\\n  "a": 1,\\n  "b": []\\n}'
    """
    return msgspec.json.format(as_json(value), indent=indent) if 0 < indent <= 8 else as_json(value)


@function
def json_text(value: Any) -> str:
    """
    A value as it stands between the quotes of a JSON text.

    >>> json_text('say "no"')
    'say \\\\"no\\\\"'
    """
    return as_json(as_text(value))[1:-1]


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
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
        if otherwise is None:
            wrong = "is nested too deeply" if isinstance(error, RecursionError) else "is not JSON"
            raise ExpressionError(f"{value[:80]!r} {wrong}") from None
        return otherwise


@function
def base64(value: Any) -> str:
    """
    In base64.

    >>> base64("id:key")
    'aWQ6a2V5'
    """
    return _base64.b64encode(as_bytes(value)).decode()


@function
def from_base64(value: Any, otherwise: Any = None) -> Any:
    """
    The text that base64 holds, with or without its padding; `otherwise`, if it is given, for what is no text in base64.

    >>> from_base64("aWQ6a2V5"), from_base64("YQ"), from_base64("/w==", otherwise="bytes")
    ('id:key', 'a', 'bytes')
    """
    text = "".join(as_text(value).split()).rstrip("=")
    try:
        return _base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode()
    except ValueError:
        if otherwise is None:
            raise ExpressionError(f"{shown(value)} is not text in base64") from None
        return otherwise


@function
def urlencode(value: Any) -> str:
    """
    Percent-encoded, as one path segment or query value.

    >>> urlencode("a b/c")
    'a%20b%2Fc'
    """
    data = as_bytes(value)
    check_size("urlencode", len(data))
    return quote(data, safe="")


@function
def urldecode(value: Any) -> str:
    """
    With what is percent-encoded decoded. A `+` stays one: CloudEvents writes its headers so.

    >>> urldecode("Euro%20%E2%82%AC")
    'Euro €'
    """
    return unquote(as_text(value))


@function
def hash(value: Any) -> str:
    """
    The SHA-256 of a value, in hex; of a mapping whatever the order of its keys.

    >>> hash({"b": 1, "a": 2}) == hash({"a": 2, "b": 1})
    True
    """
    text = value if isinstance(value, str) else as_json(value, ordered=True)
    return hashlib.sha256(as_bytes(text)).hexdigest()


@function
def escape_html(value: Any) -> str:
    """
    With what HTML would read escaped.

    >>> escape_html("<b>")
    '&lt;b&gt;'
    """
    return html.escape(as_text(value))


@function
def unescape_html(value: Any) -> str:
    """
    With HTML's names for characters read, as some template engines write them.

    >>> unescape_html("say &quot;no&quot; &amp; go")
    'say "no" & go'
    """
    return html.unescape(as_text(value))


@function
def escape_mrkdwn(value: Any) -> str:
    """
    With `&`, `<` and `>` escaped, as Slack wants it; so `<!channel>` and `<@U1>` call nobody.

    >>> escape_mrkdwn("<!channel> a & b")
    '&lt;!channel&gt; a &amp; b'
    """
    return as_text(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@function
def escape_markdown(value: Any) -> str:
    r"""
    With a backslash before each sign that Markdown would read, for Discord and Teams.

    Discord's `@everyone` is no Markdown: it is switched off by `allowed_mentions` in the request.

    >>> print(escape_markdown("*disk* <@1>"))
    \*disk\* \<@1\>
    """
    return as_text(value).translate(_MARKDOWN)
