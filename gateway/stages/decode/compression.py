"""Bodies that come compressed."""

from __future__ import annotations

import zlib

from ...errors import Undecodable
from ...model import Webhook
from .body import too_large


def inflated(webhook: Webhook, limit: int) -> bytes:
    """The body as it was before it was compressed, of at most so many bytes in either form. Raises Undecodable."""
    if len(webhook.body) > limit:
        raise too_large(f"the body has more than {limit} bytes")
    return _gunzipped(webhook.body, limit) if _is_gzip(webhook) else webhook.body


def _is_gzip(webhook: Webhook) -> bool:
    encoding, several = webhook.headers.get("content-encoding", "").strip().lower(), "content-encoding" in webhook.repeated
    if several or encoding not in ("", "identity", "gzip", "x-gzip"):
        named = "several content encodings are" if several else f"the content encoding {encoding!r} is"
        raise Undecodable(f"{named[:80]} not understood; send gzip or none", reason="encoding", http_status=415)
    return encoding.endswith("gzip")


def _gunzipped(body: bytes, limit: int) -> bytes:
    """A bomb is given up as soon as it is larger than the limit."""
    inflater = zlib.decompressobj(wbits=31)
    try:
        plain = inflater.decompress(body, limit + 1)
    except zlib.error:
        raise Undecodable("the body says it is gzip, and is not", reason="encoding") from None
    if len(plain) > limit:
        raise too_large(f"the body has more than {limit} bytes once it is decompressed")
    if not inflater.eof or inflater.unused_data:
        raise Undecodable("the gzip body is cut off or has something behind its end", reason="encoding")
    return plain
