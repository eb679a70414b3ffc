"""
Bytes to plain data: what the provider file's `body` says. And back, with what its `redact` names taken out.

To add a format: one function in FORMATS, its name in `Decoding.format`, and in ENCODERS how it is written again.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode

import msgspec
from msgspec.structs import replace
from multipart import (  # type: ignore[import-untyped]
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
    parse_options_header,
)

from ..errors import Undecodable, Unmappable
from ..expr import ExpressionError, Inbound, Path
from ..expr.paths import Key, Place, compile_path
from ..model import Webhook
from ..values import Keys, Size

DEEPEST = 100  # levels of nesting; the field's payloads have fewer than 20
MOST_FIELDS = 1_000  # of a form
MOST_PAYLOADS = 10_000  # of one body, with `many`
REDACTED = "[redacted]"

Scope = dict[str, Any]
FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"


class Decoding(Keys, frozen=True):
    """
    How a body becomes a payload.

    format: `json`, `form`, `multipart`, `text`, or `auto`, which goes by the Content-Type; without a body it takes the query.
    many: The body holds several payloads: JSON objects glued together, one on each line, or a list at the root.
    lenient: Takes JSON that has raw line breaks and tabs inside its texts.
    unwrap: The payload inside the payload, such as a text that is itself JSON. Finding nothing leaves the payload as it is.
    limit: The most bytes a body may have, before and after it is decompressed.
    """

    format: Literal["json", "form", "multipart", "text", "auto"] = "json"
    many: bool = False
    lenient: bool = False
    unwrap: Inbound | None = None
    limit: Size = Size(1024 * 1024)


def decode(how: Decoding, webhook: Webhook) -> list[Scope]:
    """
    The payloads of a webhook, each as the scope that its expressions start from: one, unless `many` says otherwise.

    Raises Undecodable when the sender's bytes are at fault, Unmappable when our `unwrap` is.
    """
    return [_scope(how, webhook, payload) for payload in _payloads(how, webhook)]


def redacted(how: Decoding, paths: Sequence[Path], fields: Collection[str], webhook: Webhook) -> Webhook:
    """
    The webhook with what is secret in its payloads replaced by `[redacted]`: all that `paths` find in a payload (before
    `unwrap`), and `fields` at its root. Its body is written anew, so that nothing else of the sender's bytes is left; redacting
    it again changes nothing, and it decodes to the same payloads with the same indices.

    Raises Undecodable as `decode` does, and where a path visits too many values.
    """
    if not paths and not fields:
        return webhook
    payloads = [_black_out(payload, paths, fields) for payload in _payloads(how, webhook)]
    if _asks(how, webhook):
        return replace(webhook, query=payloads[0] if isinstance(payloads[0], dict) else {}, body=b"")
    format = _format(how, webhook)
    headers = {name: value for name, value in webhook.headers.items() if name not in ("content-encoding", "content-length")}
    if format == "multipart":
        headers["content-type"] = FORM
    return replace(webhook, headers=headers, body=ENCODERS[format](payloads if how.many and format == "json" else payloads[0]))


def _scope(how: Decoding, webhook: Webhook, payload: Any) -> Scope:
    scope = {
        "payload": payload,
        "envelope": payload,
        "item": payload,
        "headers": webhook.headers,
        "query": webhook.query,
        "method": webhook.method,
        "path": "$",
    }
    if how.unwrap is not None:
        inner = _unwrapped(how.unwrap, scope)
        if inner is not None:
            scope["payload"] = scope["item"] = inner
    return scope


def _unwrapped(unwrap: Inbound, scope: Scope) -> Any:
    try:
        inner = unwrap(scope)
    except ExpressionError as error:
        raise Unmappable(f"body.unwrap: {error}", reason="unwrap") from None
    if _is_too_deep(inner):
        raise Unmappable(f"body.unwrap: what it finds is nested deeper than {DEEPEST} levels", reason="unwrap")
    return inner


def _payloads(how: Decoding, webhook: Webhook) -> list[Any]:
    if _asks(how, webhook):
        return [dict(webhook.query)]
    body = _inflated(webhook, how.limit).removeprefix(b"\xef\xbb\xbf")  # RFC 8259, 8.1: a byte order mark may be ignored
    found = FORMATS[_format(how, webhook)](body, how, webhook)
    payloads: list[Any] = found[0] if how.many and len(found) == 1 and isinstance(found[0], list) else found
    if len(payloads) > MOST_PAYLOADS:
        raise _too_large(f"the body holds more than {MOST_PAYLOADS} payloads")
    return payloads


def _asks(how: Decoding, webhook: Webhook) -> bool:
    """Whether all that is said stands in the query: by GET and OPTIONS, and by an empty body where the file takes what comes."""
    return webhook.method in ("GET", "OPTIONS") or (how.format == "auto" and not webhook.body)


def _media_type(webhook: Webhook) -> str:
    return webhook.headers.get("content-type", "").partition(";")[0].strip().lower()


def _may_be_json(media_type: str) -> bool:
    return media_type in ("", "application/json", "text/plain") or media_type.endswith("+json")


def _format(how: Decoding, webhook: Webhook) -> str:
    if how.format != "auto":
        return how.format
    media_type = _media_type(webhook)
    if media_type in _BY_MEDIA_TYPE:
        return _BY_MEDIA_TYPE[media_type]
    if _may_be_json(media_type):
        return "json"
    raise _wrong_type("JSON or a form", webhook)


_BY_MEDIA_TYPE = {FORM: "form", MULTIPART: "multipart"}


def _inflated(webhook: Webhook, limit: int) -> bytes:
    """The body as it was before it was compressed. A bomb is given up as soon as it is larger than the limit."""
    body, encoding = webhook.body, webhook.headers.get("content-encoding", "").strip().lower()
    if len(body) > limit:
        raise _too_large(f"the body has more than {limit} bytes")
    if "content-encoding" in webhook.repeated or encoding not in ("", "identity", "gzip", "x-gzip"):
        named = (
            "several content encodings are" if "content-encoding" in webhook.repeated else f"the content encoding {encoding!r} is"
        )
        raise Undecodable(f"{named[:80]} not understood; send gzip or none", reason="encoding", http_status=415)
    if encoding in ("", "identity"):
        return body
    inflater = zlib.decompressobj(wbits=31)
    try:
        plain = inflater.decompress(body, limit + 1)
    except zlib.error:
        raise Undecodable("the body says it is gzip, and is not", reason="encoding") from None
    if len(plain) > limit:
        raise _too_large(f"the body has more than {limit} bytes once it is decompressed")
    if not inflater.eof or inflater.unused_data:
        raise Undecodable("the gzip body is cut off or has something behind its end", reason="encoding")
    return plain


def _json(body: bytes, how: Decoding, webhook: Webhook) -> list[Any]:
    try:
        found = _values(body, how)
    except RecursionError:
        raise _too_deep() from None
    except UnicodeDecodeError:
        raise _not_json("it is not UTF-8", webhook) from None
    except ValueError as error:
        raise _not_json(str(error).removeprefix("JSON is malformed: "), webhook) from None
    if body.count(b"{") + body.count(b"[") > DEEPEST and _is_too_deep(found, DEEPEST + 1):
        raise _too_deep()
    return found


def _values(body: bytes, how: Decoding) -> list[Any]:
    """The JSON values in a body. Raises ValueError (msgspec's and json's own errors are of it) or RecursionError."""
    if not body.strip():
        raise ValueError("it is empty")
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError("it is UTF-16; JSON is sent in UTF-8")
    try:
        return [msgspec.json.decode(body)]
    except msgspec.DecodeError:
        mended = _LONE_SURROGATE.sub(_keep_pairs, body)
        if mended == body and not how.many and not how.lenient:
            raise
    if how.many:
        return list(_one_after_another(mended.decode(), _LENIENT if how.lenient else _STRICT))
    return [_LENIENT.decode(mended.decode()) if how.lenient else msgspec.json.decode(mended)]


def _one_after_another(text: str, decoder: json.JSONDecoder) -> Iterator[Any]:
    at, count = _BETWEEN.match(text).end(), 0  # type: ignore[union-attr]  # it matches nothing at all, too
    while at < len(text):
        value, end = decoder.raw_decode(text, at)
        yield value
        at, count = _BETWEEN.match(text, end).end(), count + 1  # type: ignore[union-attr]
        if count > MOST_PAYLOADS:
            return


_BETWEEN = re.compile(r"[ \t\r\n,]*")


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


def _is_too_deep(value: Any, deepest: int = DEEPEST) -> bool:
    level, depth = _nested([value]), 0
    while level:
        depth += 1
        if depth > deepest:
            return True
        level = [each for node in level for each in _nested(node.values() if isinstance(node, dict) else node)]
    return False


def _nested(values: Iterable[Any]) -> list[Any]:
    return [value for value in values if isinstance(value, dict | list)]


def _too_deep() -> Undecodable:
    return Undecodable(f"the body is nested deeper than {DEEPEST} levels", reason="too_deep")


def _too_large(message: str) -> Undecodable:
    return Undecodable(message, reason="too_large", http_status=413)


def _wrong_type(wanted: str, webhook: Webhook) -> Undecodable:
    came = f"a body of the type {_media_type(webhook)[:80]!r} came" if _media_type(webhook) else "the Content-Type is missing"
    return Undecodable(f"{wanted} is expected here, and {came}", reason="media_type", http_status=415)


def _not_json(detail: str, webhook: Webhook) -> Undecodable:
    if _may_be_json(_media_type(webhook)):
        return Undecodable(f"the body is not JSON: {detail}", reason="json")
    return _wrong_type("JSON", webhook)


def _form(body: bytes, how: Decoding, webhook: Webhook) -> list[Any]:
    if _media_type(webhook) not in ("", FORM, "text/plain"):
        raise _wrong_type("a form", webhook)
    if body.count(b"&") >= MOST_FIELDS:
        raise _too_large(f"the form has more than {MOST_FIELDS} fields")
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise Undecodable("the body is not a form: it is not UTF-8", reason="form") from None
    return [_by_name(pairs)]


def _by_name(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Fields by their names; of one that comes twice, the first counts."""
    fields: dict[str, str] = {}
    for name, value in pairs:
        fields.setdefault(name, value)
    return fields


def _multipart(body: bytes, how: Decoding, webhook: Webhook) -> list[Any]:
    if _media_type(webhook) == FORM:
        return _form(body, how, webhook)  # a form's other encoding, in which it is stored once something is redacted
    _, options = parse_options_header(webhook.headers.get("content-type", ""))
    if _media_type(webhook) != MULTIPART or not options.get("boundary"):
        raise _wrong_type("multipart/form-data with a boundary", webhook)
    try:
        return [_fields(body, options["boundary"])]
    except ParserLimitReached:
        raise _too_large(f"the form has more than {MOST_FIELDS} fields, or one with a long head") from None
    except (MultipartError, ValueError):
        raise Undecodable("the body is not multipart/form-data, or a field of it is not UTF-8", reason="form") from None


def _fields(body: bytes, boundary: str) -> dict[str, str]:
    found: list[tuple[MultipartSegment, bytearray]] = []
    with PushMultipartParser(boundary, max_segment_count=MOST_FIELDS) as parser:
        for part in parser.parse(body):
            if isinstance(part, MultipartSegment):
                found.append((part, bytearray()))
            elif part:
                found[-1][1].extend(part)
    return _by_name((head.name, content.decode()) for head, content in found if head.filename is None)  # files are left out


def _text(body: bytes, how: Decoding, webhook: Webhook) -> list[Any]:
    try:
        return [body.decode()]
    except UnicodeDecodeError:
        raise Undecodable("the body is not UTF-8 text", reason="text") from None


FORMATS: dict[str, Callable[[bytes, Decoding, Webhook], list[Any]]] = {
    "json": _json,
    "form": _form,
    "multipart": _multipart,
    "text": _text,
}


def _black_out(payload: Any, paths: Sequence[Path], fields: Collection[str]) -> Any:
    root = [payload]
    for path in paths:
        for *way, last in _ways(path, root[0]):
            node: Any = root
            for key in way:
                node = node[key]
            node[last] = REDACTED
    if isinstance(root[0], dict):
        root[0].update((field, REDACTED) for field in fields if field in root[0])
    return root[0]


def _ways(path: Path, payload: Any) -> list[list[Key]]:
    """The keys to all that the path finds, the deepest first: what stands inside another is still there when its turn comes."""
    try:
        found = [_way(place) for place, _ in compile_path(path.text)(payload, [])]
    except ExpressionError as error:
        raise _too_large(f"this body is too large to be redacted: {error}") from None
    return sorted(found, key=len, reverse=True)


def _way(place: Place) -> list[Key]:
    return [0] if place is None else [*_way(place[0]), place[1]]


def _written_form(payload: Any) -> bytes:
    return urlencode(payload).encode() if isinstance(payload, dict) else b""


ENCODERS: dict[str, Callable[[Any], bytes]] = {
    "json": msgspec.json.encode,
    "form": _written_form,
    "multipart": _written_form,
    "text": lambda payload: str(payload).encode(),
}
