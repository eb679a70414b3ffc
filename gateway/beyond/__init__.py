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
from typing import Any, NamedTuple

from ..errors import Undelivered
from ..model import Request, Response


class Sender(NamedTuple):
    """The file here, the extra that its library comes with, and the port of an address that names none."""

    module: str
    extra: str
    port: int


SENDERS: Mapping[str, Sender] = {
    "smtp": Sender("mail", "mail", 587),
    "smtps": Sender("mail", "mail", 465),
    "syslog+udp": Sender("syslog", "", 514),
    "syslog+tcp": Sender("syslog", "", 601),
    "syslog+tls": Sender("syslog", "", 6514),
    "nats": Sender("nats", "nats", 4222),
    "nats+tls": Sender("nats", "nats", 4222),
    "kafka": Sender("kafka", "kafka", 9092),
    "kafka+tls": Sender("kafka", "kafka", 9092),
}
Send = Callable[[Request, ssl.SSLContext], Coroutine[Any, Any, Response]]


def sender(url: str) -> Send | None:
    """What sends to this address; None for HTTP. Raises Undelivered where its library is not installed."""
    scheme, separator, _ = url.partition("://")
    if not separator or scheme.lower() not in SENDERS:
        return None
    found = SENDERS[scheme.lower()]
    try:
        module = import_module(f".{found.module}", __name__)
    except ImportError:
        message = f"{scheme} needs a library that is not installed: pip install 'webhook-gateway[{found.extra}]'"
        raise Undelivered(message, reason="library", retryable=False) from None
    send: Send = module.send
    return send
