"""JSON as it is sent: one value or many, with raw line breaks where the file is lenient, never too deep."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from ...errors import Undecodable
from ...model import Webhook
from ...values import harmless
from .body import Decoding, may_be_json, wrong_type

DEEPEST = 100  # levels of nesting; the field's payloads have fewer than 20
MOST_PAYLOADS = 10_000  # of one body, with `many`


def read_json(body: bytes, how: Decoding, webhook: Webhook) -> list[Any]:
    """The values in a body. Raises Undecodable."""
    try:
        found = _values(body, how)
    except RecursionError:
        raise _too_deep() from None
    except UnicodeDecodeError:
        raise _not_json("it is not UTF-8", webhook) from None
    except ValueError as error:
        raise _not_json(_where(str(error).removeprefix("JSON is malformed: "), body), webhook) from None
    if body.count(b"{") + body.count(b"[") > DEEPEST and any(map(is_too_deep, found)):
        raise _too_deep()
    return found


AROUND = 20  # bytes that are shown on each side of what is wrong


def _where(said: str, body: bytes) -> str:
    """What is wrong with a body, and where: the parser counts bytes, which nobody else does."""
    found = re.search(r"\((?:byte|char) (\d+)\)$", said)
    if found is None:
        return said
    at = int(found[1])
    before, behind = (part.decode(errors="replace") for part in (body[max(0, at - AROUND) : at], body[at : at + AROUND]))
    return f"{said}, at {harmless(before + '>>>' + behind)!r}"


def _too_deep() -> Undecodable:
    return Undecodable(f"the body is nested deeper than {DEEPEST} levels", reason="too_deep")


def _not_json(detail: str, webhook: Webhook) -> Undecodable:
    return Undecodable(f"the body is not JSON: {detail}", reason="json") if may_be_json(webhook) else wrong_type("JSON", webhook)


def _values(body: bytes, how: Decoding) -> list[Any]:
    """The JSON values in a body. Raises ValueError (msgspec's and json's own errors are of it) or RecursionError."""
    try:
        return [msgspec.json.decode(body)]
    except msgspec.DecodeError:
        if not body.strip():
            raise ValueError("it is empty") from None
        if body.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise ValueError("it is UTF-16; JSON is sent in UTF-8") from None
        mended = _LONE_SURROGATE.sub(_keep_pairs, body)
        if mended == body and not how.many and not how.lenient:
            raise
    if how.lenient:
        mended = _LEFT_EMPTY.sub(_with_null, mended)
    if how.many:
        return list(_one_after_another(mended.decode(), _LENIENT if how.lenient else _STRICT))
    return [_LENIENT.decode(mended.decode()) if how.lenient else msgspec.json.decode(mended)]


def _one_after_another(text: str, decoder: json.JSONDecoder) -> Iterator[Any]:
    """The values in a text, and one more than may be in it at the most."""
    at = _next(text, 0)
    for _ in range(MOST_PAYLOADS + 1):
        if at == len(text):
            return
        value, end = decoder.raw_decode(text, at)
        yield value
        at = _next(text, end)


_BETWEEN = re.compile(r"[ \t\r\n,]*")


def _next(text: str, at: int) -> int:
    found = _BETWEEN.match(text, at)
    assert found is not None  # it matches nothing at all, too
    return found.end()


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError("Number out of range")
    return number


_STRICT = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
_LENIENT = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, strict=False)

# A lone surrogate (`"\ud800"`) is legal to JSON's grammar, is sent by real senders, and is no text: it becomes U+FFFD.
_LONE_SURROGATE = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\\.")


def _keep_pairs(found: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if len(found[0]) == 6 else found[0]


# A value that the sender's template left empty: a colon with nothing behind it. Texts are passed over whole.
_LEFT_EMPTY = re.compile(rb'"(?:[^"\\]|\\.)*"|:(?=[ \t\r\n]*[,}])', re.DOTALL)


def _with_null(found: re.Match[bytes]) -> bytes:
    return b":null" if found[0] == b":" else found[0]


_NESTED = {dict, list}  # exactly these: to ask for their kinds costs four times as much


def is_too_deep(value: Any) -> bool:
    """Whether it has more levels than anything that we look into may have."""
    level = [value]
    for _ in range(DEEPEST):
        level = [
            each
            for node in level
            if node and type(node) in _NESTED
            for each in (node.values() if type(node) is dict else node)
            if type(each) in _NESTED
        ]
        if not level:
            return False
    return True
