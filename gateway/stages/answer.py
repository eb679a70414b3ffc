"""What the sender hears: the answer to what was accepted, and to messages that only set the door up."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from ..errors import Undecodable, Undelivered
from ..expr import ExpressionError, Inbound, ReplyDocument, Replying, as_json
from ..model import Receipt, Webhook
from ..values import Keys, Pattern

LONGEST_TEXT = 1024  # characters of an answer: an echo is short, and nobody gets to print a page
JSON, TEXT = "application/json", "text/plain; charset=utf-8"
OURS = frozenset({"content-type", "content-length", "transfer-encoding", "connection", "set-cookie", "x-content-type-options"})


class Reply(Keys, frozen=True):
    """
    An answer to the sender.

    status: The HTTP status.
    headers: Headers of the answer. Its content type is that of its body.
    text: The body as text, no longer than 1024 characters. Give this or `json`.
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
        for name in self.headers:
            if name.lower() in OURS:
                raise ValueError(f"headers: {name} is set by the gateway; take it away")
            if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
                raise ValueError(f"headers: {name!r} is no name of a header (RFC 9110)")


class Host(Pattern):
    """The name of a host; `*` stands for one or more characters between two dots, so `sns.*.amazonaws.com` is no bucket of S3."""

    def __init__(self, text: str) -> None:
        super().__init__(text.lower())

    def matches(self, text: str) -> bool:
        """Whether the host is of this name."""
        same = self.text.count(".") == text.count(".")
        return same and all(
            Pattern(own).matches(each) and each for own, each in zip(self.text.split("."), text.split("."), strict=True)
        )


class Visit(Keys, frozen=True):
    """
    A page that is fetched once, to confirm a subscription.

    url: Its address, from the payload.
    hosts: The hosts it may be on; `*` stands for one or more characters between two dots. Only https, on its own port.
    """

    url: Inbound
    hosts: list[Host]

    def address(self, scope: Mapping[str, Any]) -> str:
        """The page's address. Raises Undelivered where it is not on an allowed host, whatever it is written like."""
        try:
            url = str(self.url(scope) or "")
            parts = urlsplit(url)
            plain = parts.scheme == "https" and parts.netloc.lower() in (parts.hostname, f"{parts.hostname}:443")
        except (ExpressionError, ValueError):
            url, plain = "", False
        if not plain or not _URL.fullmatch(url) or not any(host.matches(parts.hostname or "") for host in self.hosts):
            raise Undelivered("the page to visit is not on an allowed host", reason="host", retryable=False)
        return url


_URL = re.compile(r"[!-\[\]-~]{1,2048}")  # printable ASCII without blanks and backslashes, which two parsers read in two ways


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
    """
    The handshake that this message is, if it is one. Before the sender is verified only those for GET and OPTIONS count, and
    one that cannot be told is none; afterwards ExpressionError says which.
    """
    for index, handshake in enumerate(handshakes):
        early = handshake.before_auth and webhook.method in ("GET", "OPTIONS")
        try:
            if (verified or early) and handshake.when(scope):
                return handshake
        except ExpressionError as error:
            if verified:
                raise ExpressionError(f"handshake[{index}].when: {error}") from None
    return None


def accepted(reply: Reply | None, scope: Mapping[str, Any], receipt: Receipt) -> Answer:
    """
    The answer to an accepted webhook: 202 with what was made of it, unless the provider file has its own.

    The webhook is on disk by now: a reply that cannot be filled in is no reason to have it sent again.
    """
    document = msgspec.json.encode(receipt)
    if reply is None:
        return Answer(202, {"content-type": JSON}, document)
    try:
        answer = fill(reply, {**scope, "receipt": msgspec.to_builtins(receipt)})
    except Undecodable:
        return _answer(reply.status, {}, JSON, document)
    said = reply.json is not None or reply.text is not None
    return answer if said else _answer(reply.status, answer.headers, JSON, document)


def fill(reply: Reply, scope: Mapping[str, Any]) -> Answer:
    """A reply with its expressions filled in. Raises Undecodable where what it says is not in the message."""
    try:
        headers = {name.lower(): _one_line(value(scope)) for name, value in reply.headers.items()}
        json = None if reply.json is None else as_json(reply.json(scope)).encode()
        text = "" if reply.text is None else _said(reply.text(scope))[:LONGEST_TEXT]
    except ExpressionError as error:
        raise Undecodable(f"this message lacks what its answer needs: {error}", reason="reply") from None
    return _answer(reply.status, headers, TEXT if json is None else JSON, text.encode() if json is None else json)


def _answer(status: int, headers: dict[str, str], type: str, body: bytes) -> Answer:
    return Answer(status, headers, b"") if status in (204, 205) else Answer(status, headers | {"content-type": type}, body)


def _said(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else as_json(value)


def _one_line(value: Any) -> str:
    """A header's value: one line of printable ASCII (RFC 9110), cut where an answer's text would be."""
    return " ".join(re.sub(r"[^ -~]+", " ", _said(value)).split())[:LONGEST_TEXT]
