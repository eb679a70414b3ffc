"""A file in providers.d."""

from __future__ import annotations

from typing import Any

from msgspec import field

from ...expr import Inbound, Path
from ...stages.answer import Handshake, Reply
from ...stages.decode import Decoding
from ...stages.lifecycle import Lifecycle
from ...stages.mapping import Reading
from ...stages.render import RequestTemplate
from ...stages.route import Match
from ...stages.verify import Scheme
from ...values import Duration, Keys, Network, Rate, Reference
from .tests import Method, ProviderTest


class NextPage(Keys, frozen=True):
    """
    The following page of a poll.

    when: Holds if there is one.
    request: How to ask for it; on the same origin only.
    """

    when: Inbound
    request: RequestTemplate


class Cursor(Keys, frozen=True):
    """
    Where a poll goes on.

    start: Where it begins: `now`, or a literal.
    from: Where an item says its place; the last one is kept with the events.
    """

    start: str
    from_: Inbound


class Poll(Keys, frozen=True):
    """
    A source that is asked instead of sending. Not in this version: refused when the file loads.

    every: How often.
    request: What is asked.
    next: How to ask for the following page.
    cursor: Where to go on.
    """

    every: Duration
    request: RequestTemplate
    next: NextPage | None = None
    cursor: Cursor | None = None


class Provider(Reading, frozen=True, kw_only=True):
    """
    One file in providers.d: who may send, and what their words mean.

    title: The product's name.
    docs: The page that describes its webhooks.
    like: The provider this one is made from; what stands here replaces or joins what stands there.
    project: The project its events belong to.
    auth: How a sender proves who it is.
    allow_from: The networks it may come from, as CIDR.
    methods: The HTTP methods it may use.
    body: How a body becomes a payload.
    delivery_id: The sender's id of this delivery. One seen before is answered as a success and not taken twice.
    redact: What is taken out of the payload before anything is stored or shown.
    handshake: Messages that set the door up, answered and not stored.
    reply: The answer to what was accepted. Default: 202 with what was made of it.
    rate_limit: Beyond it the sender gets 429 with Retry-After.
    match: Keep only these events; the rest is counted.
    lifecycle: How its incidents live.
    tables: Tables for the `table` function.
    vars: Values that are not secret.
    secrets: Secrets for computed answers, as in `reply: { text: "{{ query.challenge | hmac(secrets.key) }}" }`.
    poll: For a source that is asked instead of sending.
    tests: Tests that travel with the file.
    """

    title: str
    auth: Scheme
    docs: str = ""
    like: str = ""
    project: str = ""
    allow_from: list[Network] = []
    methods: list[Method] = field(default_factory=lambda: ["POST"])
    body: Decoding = field(default_factory=Decoding)
    delivery_id: Inbound | None = None
    redact: list[Path] = []
    handshake: list[Handshake] = []
    reply: Reply | None = None
    rate_limit: Rate | None = None
    match: Match = field(default_factory=Match)
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    tables: dict[str, dict[str, Any]] = {}
    vars: dict[str, Reference] = {}
    secrets: dict[str, Reference] = {}
    poll: Poll | None = None
    tests: list[ProviderTest] = []
