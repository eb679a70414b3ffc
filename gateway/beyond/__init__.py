"""
Destinations that are not HTTP, told apart by the scheme of their address. To add one: a file here with a `send`, and its
schemes in SENDERS.

Each takes the request that the YAML rendered, whose body is JSON that says what the message is made of, and gives an answer
that `response.rules` can judge; what went wrong on the way is Undelivered, as for HTTP.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Coroutine, Mapping
from importlib import import_module
from typing import Any

from ..errors import Undelivered
from ..model import Request, Response

SENDERS: Mapping[str, tuple[str, str]] = {  # scheme: the file here, and the extra that its library comes with
    "smtp": ("mail", "mail"),
    "smtps": ("mail", "mail"),
    "syslog+udp": ("syslog", ""),
    "syslog+tcp": ("syslog", ""),
    "syslog+tls": ("syslog", ""),
    "nats": ("nats", "nats"),
    "nats+tls": ("nats", "nats"),
}
Send = Callable[[Request, ssl.SSLContext], Coroutine[Any, Any, Response]]


def sender(url: str) -> Send | None:
    """What sends to this address; None for HTTP. Raises Undelivered where its library is not installed."""
    scheme, found, _ = url.partition("://")
    if not found or scheme.lower() not in SENDERS:
        return None
    name, extra = SENDERS[scheme.lower()]
    try:
        module = import_module(f".{name}", __name__)
    except ImportError:
        message = f"{scheme} needs a library that is not installed: pip install 'webhook-gateway[{extra}]'"
        raise Undelivered(message, reason="library", retryable=False) from None
    send: Send = module.send
    return send
