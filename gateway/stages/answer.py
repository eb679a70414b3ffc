"""What the sender hears: the answer to what was accepted, and to messages that only set the door up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from ..expr import Inbound, ReplyDocument, Replying
from ..model import Receipt, Webhook
from ..values import Keys, Pattern


class Reply(Keys, frozen=True):
    """
    An answer to the sender.

    status: The HTTP status.
    headers: Headers of the answer.
    text: The body as text. Give this or `json`.
    json: The body as a JSON document.
    """

    status: int = 200
    headers: dict[str, Replying] = {}
    text: Replying | None = None
    json: ReplyDocument | None = None

    def __post_init__(self) -> None:
        if self.text is not None and self.json is not None:
            raise ValueError("give either text or json")
        if not 200 <= self.status <= 299:
            raise ValueError(f"status: {self.status} is not a success; a reply answers what was accepted, with 200 to 299")


class Visit(Keys, frozen=True):
    """
    A page that is fetched once, to confirm a subscription.

    url: Its address, from the payload.
    hosts: The hosts it may be on; `*` stands for any run of characters. Only https.
    """

    url: Inbound
    hosts: list[Pattern]


class Handshake(Keys, frozen=True):
    """
    A message that sets the door up and tells of nothing: answered, never stored.

    when: Holds if this message is one.
    reply: The answer; 200 where nothing is said.
    visit: The page to fetch to confirm a subscription.
    before_auth: Answers before the sender has proved who it is; only for GET and OPTIONS.
    """

    when: Inbound
    reply: Reply | None = None
    visit: Visit | None = None
    before_auth: bool = False

    def __post_init__(self) -> None:
        if self.before_auth and self.visit is not None:
            raise ValueError("a visit needs a verified sender; take before_auth away")


class Answer(Struct, frozen=True):
    """An HTTP answer, ready to send."""

    status: int
    headers: dict[str, str]
    body: bytes


def greet(handshakes: Sequence[Handshake], webhook: Webhook, scope: Mapping[str, Any], *, verified: bool) -> Handshake | None:
    """The handshake that this message is, if it is one. Before the sender is verified only those for GET and OPTIONS count."""
    for handshake in handshakes:
        early = handshake.before_auth and webhook.method in ("GET", "OPTIONS")
        if (verified or early) and handshake.when(scope):
            return handshake
    return None


def accepted(reply: Reply | None, scope: Mapping[str, Any], receipt: Receipt) -> Answer:
    """The answer to an accepted webhook: 202 with what was made of it, unless the provider file has its own."""
    if reply is None or (reply.json is None and reply.text is None):
        return Answer(reply.status if reply else 202, {"content-type": "application/json"}, msgspec.json.encode(receipt))
    return fill(reply, {**scope, "receipt": msgspec.to_builtins(receipt)})


def fill(reply: Reply, scope: Mapping[str, Any]) -> Answer:
    """A reply with its expressions filled in. Raises ExpressionError."""
    headers = {name.lower(): _one_line(value(scope)) for name, value in reply.headers.items()}
    if reply.json is not None:
        return Answer(reply.status, {"content-type": "application/json"} | headers, msgspec.json.encode(reply.json(scope)))
    text = "" if reply.text is None else str(reply.text(scope) or "")[:1024]  # an echo is short; nobody gets to print a page
    return Answer(reply.status, {"content-type": "text/plain; charset=utf-8"} | headers, text.encode())


def _one_line(value: Any) -> str:
    return " ".join(str(value or "").split())
