"""The grammar of the YAML files: each stage's vocabulary, put in order. A key is added in its stage, never here."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import field

from ..expr import Body, Inbound, Outbound, Path, Remembered
from ..model import Action, Severity, Verdict
from ..outbound import Tls
from ..signature import Signature
from ..stages.answer import Handshake, Reply
from ..stages.authorize import Auth
from ..stages.decode import Decoding
from ..stages.deliver import Answers, Breaker, Limits, Retry
from ..stages.lifecycle import Lifecycle
from ..stages.mapping import Reading
from ..stages.render import Batch, RequestTemplate, is_rendered_whole
from ..stages.route import Match
from ..stages.verify import Scheme
from ..values import Duration, Keys, Network, Rate, Reference

Method = Literal["POST", "GET", "PUT", "PATCH", "OPTIONS"]


class SampleWebhook(Keys, frozen=True):
    """
    A webhook to try.

    method: The HTTP method.
    headers: Its headers.
    query: Its query parameters.
    payload: The body as data; sent as JSON.
    text: The body as text, where the bytes matter.
    """

    method: Method = "POST"
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    payload: Any = None
    text: str | None = None


class ExpectedEvent(Keys, frozen=True):
    """
    What an event must have; what is not named may be anything.

    action: Its action.
    dedup_key: Its dedup key.
    severity: Its severity.
    summary: Its summary.
    type: Its type.
    source: Its source.
    occurred_at: When it happened.
    url: Where to look.
    project: Its project.
    labels: Labels it must have.
    details: Details it must have.
    """

    action: Action | None = None
    dedup_key: str | None = None
    severity: Severity | None = None
    summary: str | None = None
    type: str | None = None
    source: str | None = None
    occurred_at: str | None = None
    url: str | None = None
    project: str | None = None
    labels: dict[str, str] | None = None
    details: Any = None


class ProviderTest(Keys, frozen=True):
    """
    A test that travels with the file.

    name: What it shows, in a sentence.
    webhook: What comes in.
    now: The clock, RFC 3339, where a signature's age matters.
    secrets: Values for the variables and files that `auth` names. With them the webhook is verified; without them it is not.
    expect: The events that must come out, in order; a list of none says that nothing is said.
    dead: How many items must become dead letters.
    reply: The answer, where it is a handshake.
    refused: The webhook must be refused: it is not signed as it should be.
    """

    name: str
    webhook: SampleWebhook
    now: str | None = None
    secrets: dict[str, str] = {}
    expect: list[ExpectedEvent] = []
    dead: int = 0
    reply: dict[str, Any] | None = None
    refused: bool = False


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
    secrets: Secrets for `poll`.
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


class Step(Keys, frozen=True):
    """
    One request of several.

    name: What it is called, in attempts and in a delivery's progress.
    when: Holds if it is to be done. Without it, it always is.
    request: What is sent.
    response: What the answer means.
    remember: Values from the answer, kept for this incident and sink; `memory` in later requests.
    """

    name: str
    request: RequestTemplate
    when: Outbound | None = None
    response: Answers = field(default_factory=Answers)
    remember: dict[str, Remembered] = {}


class SampleResponse(Keys, frozen=True):
    """
    What a sink answers in a test.

    status: The HTTP status.
    headers: Its headers.
    json: The body as data.
    text: The body as text.
    """

    status: int = 200
    headers: dict[str, str] = {}
    json: Any = None
    text: str | None = None


class ExpectedRequest(Keys, frozen=True):
    """
    What a request must have; what is not named may be anything.

    method: The HTTP method.
    url: The whole URL.
    headers: Headers it must have.
    json: The body as data: what is named must be there.
    text: The body, to the letter.
    form: Fields it must have.
    """

    method: str | None = None
    url: str | None = None
    headers: dict[str, str] = {}
    json: Any = None
    text: str | None = None
    form: dict[str, str] | None = None


class ExpectedDelivery(Keys, frozen=True):
    """
    What must come of it.

    requests: The requests, in order; their number must be right.
    printed: What a printing sink prints.
    verdict: What the answer means for the delivery.
    verdicts: The same for each event of a batch.
    after: The seconds to wait that the answer asks for.
    memory: What must be remembered for the incident and this sink by then.
    cancelled: Nothing is sent: no step applies.
    """

    requests: list[ExpectedRequest] | None = None
    printed: str | None = None
    verdict: Verdict | None = None
    verdicts: list[Verdict] | None = None
    after: float | None = None
    memory: dict[str, Any] | None = None
    cancelled: bool = False


class SinkTest(Keys, frozen=True):
    """
    A test that travels with the file.

    name: What it shows, in a sentence.
    event: The event to deliver; keys that are not given are filled in.
    events: Several events, for a batch.
    incident: The incident it belongs to.
    memory: What earlier deliveries remembered.
    vars: Values for `vars`; the others are made up.
    responses: What the sink answers, in order; 200 where nothing is said.
    now: The clock, RFC 3339.
    expect: What must come of it.
    """

    name: str
    expect: ExpectedDelivery
    event: dict[str, Any] | None = None
    events: list[dict[str, Any]] | None = None
    incident: dict[str, Any] | None = None
    memory: dict[str, Any] = {}
    vars: dict[str, str] = {}
    responses: list[SampleResponse] = []
    now: str | None = None

    def __post_init__(self) -> None:
        if (self.event is None) == (self.events is None):
            raise ValueError("give either event or events")


class Sink(Keys, frozen=True):
    """
    One file in sinks.d: which events it wants, and how it wants them said.

    title: The destination's name.
    docs: The page that describes what it takes.
    like: The sink this one is made from; what stands here replaces or joins what stands there.
    match: Which events it wants. Without it, all.
    vars: Values that are not secret. While one is not set, the sink is off, and says so.
    secrets: Its secrets. While one is not set, the sink is off, and says so.
    tables: Tables for the `table` function.
    auth: How we prove who we are.
    sign: How we sign what we send, over its exact bytes, at the time of the attempt.
    request: What is sent.
    print: Prints one line for each event instead of sending anything.
    batch: Sends several events in one request.
    response: What an answer means.
    steps: More than one request, in order; progress is kept with the delivery.
    escalate_after: Delivered only if the incident is still open by then; else cancelled.
    retry: When to try again, and how often.
    limits: How much it takes at once.
    breaker: When to leave it alone for a while.
    tls: How its certificate is checked, and ours shown.
    tests: Tests that travel with the file.
    """

    title: str
    docs: str = ""
    like: str = ""
    match: Match = field(default_factory=Match)
    vars: dict[str, Reference] = {}
    secrets: dict[str, Reference] = {}
    tables: dict[str, dict[str, Any]] = {}
    auth: Auth | None = None
    sign: Signature | None = None
    request: RequestTemplate | None = None
    print: Body | None = None
    batch: Batch | None = None
    response: Answers = field(default_factory=Answers)
    steps: list[Step] = []
    escalate_after: Duration | None = None
    retry: Retry = field(default_factory=Retry)
    limits: Limits = field(default_factory=Limits)
    breaker: Breaker = field(default_factory=Breaker)
    tls: Tls | None = None
    tests: list[SinkTest] = []

    def __post_init__(self) -> None:
        if sum(map(bool, (self.request, self.print, self.steps))) != 1:
            raise ValueError("give one of request, steps and print")
        if self.batch is not None and self.request is None:
            raise ValueError("batch goes with request; steps and print take one event at a time")
        if self.batch is not None and self.request is not None and self._has_idle_body(self.request, self.batch):
            raise ValueError("request: with `batch.item` the items are its body: say `{{ items }}` in it, or take the body away")

    def _has_idle_body(self, request: RequestTemplate, batch: Batch) -> bool:
        said = any(body is not None for body in (request.json, request.form, request.text))
        return batch.item is not None and said and not is_rendered_whole(request, batch)


class Retention(Keys, frozen=True):
    """
    How long finished things are kept.

    webhooks: Webhooks as received; while they are kept, they can be replayed with today's YAML.
    events: Events, resolved incidents and finished deliveries with their attempts.
    dead: Dead letters.
    delivery_ids: The senders' ids of their deliveries, against taking one twice.
    """

    webhooks: Duration = Duration.read("7d")
    events: Duration = Duration.read("30d")
    dead: Duration = Duration.read("90d")
    delivery_ids: Duration = Duration.read("7d")


class Settings(Keys, frozen=True):
    """
    gateway.yaml: how this gateway runs. Every key may also be an environment variable, `GATEWAY_` and its name in capitals.

    host: The address to listen on.
    port: The port to listen on.
    store: Where everything is kept: `sqlite:///path` (relative) or `sqlite:////path` (absolute).
    admin_token: The token that opens the API.
    trusted_proxies: Networks of the proxies before us, as CIDR: the address and scheme that they say a sender has, in
      X-Forwarded-For and X-Forwarded-Proto, are believed. From anybody else those headers mean nothing.
    aliases: Other paths for a provider's door: path to provider.
    catalogue: Whether the shipped providers and sinks are there, each once its secrets and variables are set.
    secrets_dir: The directory that `file:` references are relative to.
    functions: Whether a sink may call a Python function.
    retention: How long finished things are kept.
    drain: How long a stop waits for what is under way.
    line: How long a delivery that fails may hold the later ones of its incident back.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    store: str = "sqlite:///gateway.db"
    admin_token: Reference = Reference(env="GATEWAY_ADMIN_TOKEN")
    trusted_proxies: list[Network] = []
    aliases: dict[str, str] = {}
    catalogue: bool = True
    secrets_dir: str = ""
    functions: bool = False
    retention: Retention = field(default_factory=Retention)
    drain: Duration = Duration.read("20s")
    line: Duration = Duration.read("15m")
