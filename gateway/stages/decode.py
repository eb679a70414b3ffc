"""
Bytes to plain data: what the provider file's `body` says.

To add a format: one function in FORMATS, and its name in `Decoding.format`.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Literal
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from ..errors import Undecodable, Unmappable
from ..expr import ExpressionError, Inbound
from ..model import Webhook
from ..values import Keys, Size

DEEPEST = 100  # levels of nesting; the field's payloads have fewer than 20
MOST_FIELDS = 1_000  # of a form


class Decoding(Keys, frozen=True):
    """
    How a body becomes a payload.

    format: `json`, `form`, `text`, or `auto`, which goes by the Content-Type.
    many: The body holds several payloads: JSON objects glued together, one on each line, or a list at the root.
    lenient: Takes JSON that has raw line breaks and tabs inside its texts.
    unwrap: The payload inside the payload, such as a text that is itself JSON. Finding nothing leaves the payload as it is.
    limit: The most bytes a body may have, before and after it is decompressed.
    """

    format: Literal["json", "form", "text", "auto"] = "json"
    many: bool = False
    lenient: bool = False
    unwrap: Inbound | None = None
    limit: Size = Size(1024 * 1024)


class Payload(Struct, frozen=True):
    """One decoded body, and the scope that its expressions start from."""

    data: Any
    scope: dict[str, Any]


def decode(how: Decoding, webhook: Webhook) -> list[Payload]:
    """
    The payloads of a webhook: one, unless `many` says otherwise.

    Raises Undecodable when the sender's bytes are at fault, Unmappable when our `unwrap` is.
    """
    if webhook.method == "GET":
        return [_payload(how, webhook, dict(webhook.query))]
    body = _inflate(webhook, how.limit)
    if len(body) > how.limit:
        raise Undecodable(f"the body has more than {how.limit} bytes", reason="too_large", http_status=413)
    found = FORMATS[_format(how, webhook)](body, how, webhook)
    payloads = [each for data in found for each in data] if how.many and _is_list(found) else found
    return [_payload(how, webhook, data) for data in payloads]


def _is_list(found: list[Any]) -> bool:
    return len(found) == 1 and isinstance(found[0], list)


def _payload(how: Decoding, webhook: Webhook, data: Any) -> Payload:
    scope = {
        "payload": data,
        "envelope": data,
        "item": data,
        "headers": webhook.headers,
        "query": webhook.query,
        "method": webhook.method,
        "path": "$",
    }
    if how.unwrap is not None:
        try:
            inner = how.unwrap(scope)
        except ExpressionError as error:
            raise Unmappable(f"body.unwrap: {error}", reason="unwrap") from None
        if inner is not None:
            scope["payload"] = scope["item"] = inner
    return Payload(scope["payload"], scope)


def _media_type(webhook: Webhook) -> str:
    return webhook.headers.get("content-type", "").partition(";")[0].strip().lower()


def _format(how: Decoding, webhook: Webhook) -> str:
    if how.format != "auto":
        return how.format
    media_type = _media_type(webhook)
    if media_type == "application/x-www-form-urlencoded":
        return "form"
    if media_type in ("", "application/json", "text/plain") or media_type.endswith("+json"):
        return "json"
    raise Undecodable(f"a body of the type {media_type!r} is not understood here", reason="media_type", http_status=415)


def _inflate(webhook: Webhook, limit: int) -> bytes:
    encoding = webhook.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("identity", ""):
        return webhook.body
    if encoding != "gzip":
        raise Undecodable(
            f"the content encoding {encoding!r} is not understood; send gzip or none", reason="encoding", http_status=415
        )
    inflater = zlib.decompressobj(wbits=31)
    try:
        body = inflater.decompress(webhook.body, limit + 1)
    except zlib.error:
        raise Undecodable("the body says it is gzip, and is not", reason="encoding") from None
    if len(body) > limit:
        raise Undecodable(f"the body has more than {limit} bytes once it is decompressed", reason="too_large", http_status=413)
    if not inflater.eof or inflater.unused_data:
        raise Undecodable("the gzip body is cut off or has something behind its end", reason="encoding")
    return body


def _json(body: bytes, how: Decoding, webhook: Webhook) -> list[Any]:
    found = list(_glued(body, how)) if how.many and not _is_one(body) else [_one(body, how, webhook)]
    for data in found:
        _refuse_depth(body, data)
    return found


def _is_one(body: bytes) -> bool:
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _one(body: bytes, how: Decoding, webhook: Webhook) -> Any:
    try:
        return msgspec.json.decode(body)
    except RecursionError:
        raise _too_deep() from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        mended = _LONE_SURROGATE.sub(_keep_pairs, body)
        if not how.lenient and mended == body:
            raise _not_json(str(error), webhook) from None
    try:
        return _loads(mended.decode(), how)
    except ValueError as error:
        raise _not_json(str(error), webhook) from None


def _loads(text: str, how: Decoding) -> Any:
    return json.loads(text, strict=not how.lenient, parse_constant=_refuse_constant)


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def _glued(body: bytes, how: Decoding) -> Iterator[Any]:
    decoder = json.JSONDecoder(strict=not how.lenient, parse_constant=_refuse_constant)
    try:
        text, at = body.decode().strip(), 0
        while at < len(text):
            data, at = decoder.raw_decode(text, at)
            yield data
            at = len(text) - len(text[at:].lstrip(" \t\r\n,"))
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise Undecodable(f"the body is not JSON objects one after the other: {error}", reason="json") from None


# A lone surrogate (`"\ud800"`) is legal to JSON's grammar, is sent by real senders, and is no text: it becomes U+FFFD.
_LONE_SURROGATE = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\\.")


def _keep_pairs(found: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if len(found[0]) == 6 else found[0]


def _refuse_depth(body: bytes, data: Any) -> None:
    if body.count(b"{") + body.count(b"[") <= DEEPEST:
        return
    level, depth = [data], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise _too_deep()
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]


def _too_deep() -> Undecodable:
    return Undecodable(f"the body is nested deeper than {DEEPEST} levels", reason="too_deep")


def _not_json(detail: str, webhook: Webhook) -> Undecodable:
    media_type = _media_type(webhook)
    if media_type in ("", "application/json", "text/plain") or media_type.endswith("+json"):
        return Undecodable(f"the body is not JSON: {detail}", reason="json")
    return Undecodable(
        f"a JSON body is expected here, and a body of the type {media_type!r} came", reason="media_type", http_status=415
    )


def _form(body: bytes, how: Decoding, webhook: Webhook) -> list[Any]:
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError as error:
        raise Undecodable(f"the body is not a form: {error}", reason="form") from None
    return [dict(reversed(pairs))]  # of a field that comes twice, the first counts


def _text(body: bytes, how: Decoding, webhook: Webhook) -> list[Any]:
    try:
        return [body.decode()]
    except UnicodeDecodeError:
        raise Undecodable("the body is not UTF-8 text", reason="text") from None


FORMATS: dict[str, Callable[[bytes, Decoding, Webhook], list[Any]]] = {"json": _json, "form": _form, "text": _text}
