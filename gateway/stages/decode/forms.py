"""Forms: fields by their names, in either of their encodings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, urlencode

from multipart import (  # type: ignore[import-untyped]
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
    parse_options_header,
)

from ...errors import Undecodable
from ...model import Webhook
from .body import FORM, MULTIPART, Decoding, media_type, too_large, wrong_type

MOST_FIELDS = 1_000  # of a form


def read_form(body: bytes, how: Decoding, webhook: Webhook) -> list[Any]:
    if media_type(webhook) not in ("", FORM, "text/plain"):
        raise wrong_type("a form", webhook)
    if body.count(b"&") >= MOST_FIELDS:
        raise too_large(f"the form has more than {MOST_FIELDS} fields")
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


def read_multipart(body: bytes, how: Decoding, webhook: Webhook) -> list[Any]:
    if media_type(webhook) == FORM:
        return read_form(body, how, webhook)  # a form's other encoding, in which it is stored once something is redacted
    _, options = parse_options_header(webhook.headers.get("content-type", ""))
    if media_type(webhook) != MULTIPART or not options.get("boundary"):
        raise wrong_type("multipart/form-data with a boundary", webhook)
    try:
        return [_fields(body, options["boundary"])]
    except ParserLimitReached:
        raise too_large(f"the form has more than {MOST_FIELDS} fields, or one with a long head") from None
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


def write_form(payload: Any) -> bytes:
    return urlencode(payload).encode() if isinstance(payload, dict) else b""
