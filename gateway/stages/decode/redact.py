"""A body without what its file's `redact` names."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from msgspec.structs import replace

from ...expr import ExpressionError, Path
from ...expr.paths import Key, Place, compile_path
from ...model import Webhook
from .body import FORM, Decoding, format_of, is_in_query, too_large
from .formats import FORMATS, payloads_of

REDACTED = "[redacted]"


def redacted(how: Decoding, paths: Sequence[Path], fields: Collection[str], webhook: Webhook) -> Webhook:
    """
    The webhook with what is secret in its payloads replaced by `[redacted]`: all that `paths` find in a payload (before
    `unwrap`), and `fields` at its root. Its body is written anew, so that nothing else of the sender's bytes is left; redacting
    it again changes nothing, and it decodes to the same payloads with the same indices.

    Raises Undecodable as `decode` does, and where a path visits too many values.
    """
    if not paths and not fields:
        return webhook
    payloads = [_black_out(payload, paths, fields) for payload in payloads_of(how, webhook)]
    if is_in_query(how, webhook):
        return replace(webhook, query=payloads[0] if isinstance(payloads[0], dict) else {}, body=b"")
    format = format_of(how, webhook)
    headers = {name: value for name, value in webhook.headers.items() if name not in ("content-encoding", "content-length")}
    if format == "multipart":
        headers["content-type"] = FORM
    body = FORMATS[format].write(payloads if how.many and format == "json" else payloads[0])
    return replace(webhook, headers=headers, body=body)


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
        raise too_large(f"this body is too large to be redacted: {error}") from None
    return sorted(found, key=len, reverse=True)


def _way(place: Place) -> list[Key]:
    return [0] if place is None else [*_way(place[0]), place[1]]
