"""The formats of bodies, each read and written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from ...errors import Undecodable
from ...model import Webhook
from .body import FORM, Decoding, format_of, is_in_query, media_type, too_large
from .compression import inflated
from .forms import read_form, read_multipart, write_form
from .json import MOST_PAYLOADS, read_json


class Format(NamedTuple):
    """How a body of bytes is read, which gives a list of values; and how a value is written again once something is redacted."""

    read: Callable[[bytes, Decoding, Webhook], list[Any]]
    write: Callable[[Any], bytes]


def _read_text(body: bytes, how: Decoding, webhook: Webhook) -> list[Any]:
    try:
        return [body.decode()]
    except UnicodeDecodeError:
        raise Undecodable("the body is not UTF-8 text", reason="text") from None


FORMATS = {
    "json": Format(read_json, msgspec.json.encode),
    "form": Format(read_form, write_form),
    "multipart": Format(read_multipart, write_form),
    "text": Format(_read_text, lambda payload: str(payload).encode()),
}


def _read(format: str, body: bytes, how: Decoding, webhook: Webhook) -> list[Any]:
    """What a body holds, as the first of the formats that it may be in."""
    try:
        return FORMATS[format].read(body, how, webhook)
    except Undecodable:
        if how.format in ("auto", "any") and format == "json" and media_type(webhook) == FORM:
            return _read("form", body, how, webhook)
        if how.format != "any" or format == "text":
            raise
        return _read_text(body, how, webhook)


def payloads_of(how: Decoding, webhook: Webhook) -> list[Any]:
    """The payloads of a webhook: one, unless `many` says otherwise. Raises Undecodable."""
    if is_in_query(how, webhook):
        return [dict(webhook.query)]
    body = inflated(webhook, how.limit).removeprefix(b"\xef\xbb\xbf")  # RFC 8259, 8.1: a byte order mark may be ignored
    found = _read(format_of(how, webhook), body, how, webhook)
    payloads: list[Any] = found[0] if how.many and len(found) == 1 and isinstance(found[0], list) else found
    if len(payloads) > MOST_PAYLOADS:
        raise too_large(f"the body holds more than {MOST_PAYLOADS} payloads")
    return payloads
