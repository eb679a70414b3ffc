"""
Bytes to plain data: what the provider file's `body` says. And back, with what its `redact` names taken out.

To add a format: its two functions in `formats.py`, and its name in `Decoding.format`.
"""

from __future__ import annotations

from typing import Any

from ...errors import Unmappable
from ...expr import ExpressionError, Inbound, rfc3339
from ...model import Webhook
from .body import Decoding, is_in_query
from .formats import payloads_of
from .forms import MOST_FIELDS
from .json import DEEPEST, MOST_PAYLOADS, is_too_deep
from .redact import redacted

Scope = dict[str, Any]


def decode(how: Decoding, webhook: Webhook) -> list[Scope]:
    """
    The payloads of a webhook, each as the scope that its expressions start from: one, unless `many` says otherwise.

    Raises Undecodable when the sender's bytes are at fault, Unmappable when our `unwrap` is.
    """
    scopes = [scope_of(webhook, payload) for payload in payloads_of(how, webhook)]
    return scopes if how.unwrap is None else [_unwrapped(how.unwrap, scope) for scope in scopes]


def scope_of(webhook: Webhook, payload: Any) -> Scope:
    """The names that an expression about a payload has."""
    return {
        "payload": payload,
        "envelope": payload,
        "item": payload,
        "headers": webhook.headers,
        "query": webhook.query,
        "method": webhook.method,
        "path": "$",
        "received_at": rfc3339(webhook.received_at),
        "segments": [segment for segment in webhook.rest.split("/") if segment],
    }


def _unwrapped(unwrap: Inbound, scope: Scope) -> Scope:
    """The scope of the payload inside the payload; where none is found, it stays as it is."""
    try:
        inner = unwrap(scope)
    except ExpressionError as error:
        raise Unmappable(f"body.unwrap: {error}", reason="unwrap") from None
    if is_too_deep(inner):
        raise Unmappable(f"body.unwrap: what it finds is nested deeper than {DEEPEST} levels", reason="unwrap")
    return scope if inner is None else scope | {"payload": inner, "item": inner}


__all__ = ["DEEPEST", "MOST_FIELDS", "MOST_PAYLOADS", "Decoding", "decode", "is_in_query", "redacted", "scope_of"]
