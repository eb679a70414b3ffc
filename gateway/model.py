"""The nouns. Frozen data, no behaviour. `docs/words.md` gives each word its one meaning."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct, field

Action = Literal["trigger", "acknowledge", "resolve", "notice"]
Severity = Literal["critical", "error", "warning", "info"]
Status = Literal["open", "acknowledged", "resolved"]
State = Literal["pending", "claimed", "delivered", "parked", "dead", "cancelled"]
Verdict = Literal["delivered", "retry", "wait", "dead", "park", "split"]
Outcome = Literal["told", "held", "stray", "unrouted"]

SEVERITIES: tuple[Severity, ...] = ("info", "warning", "error", "critical")  # from the mildest to the worst


class Webhook(Struct, frozen=True, kw_only=True):
    """One inbound HTTP call, as received. Header names are lower-case; `repeated` names those that came more than once."""

    id: str  # a UUIDv7
    provider: str
    received_at: datetime
    body: bytes = b""
    method: str = "POST"
    url: str = ""  # as the sender called it, query included
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    repeated: frozenset[str] = frozenset()
    client: str = ""  # the address it came from
    peer: str = ""  # the address of whoever called us: its own, or that of a proxy which speaks for it; not kept
    rest: str = ""  # what follows the provider's name in the path: where a token may stand


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    One thing a provider told us, in our words: the public document that sinks receive.

    version: The version of this document's shape. A new number means that a key was renamed or removed.
    id: Derived from the webhook's id and the item's index, so that the same webhook always gives the same ids.
    webhook_id: The webhook it came in with.
    provider: The file in `providers.d` that understood it.
    project: The project it belongs to, where the provider file names one.
    type: What kind of thing it tells, in the provider's word; sinks may match on it.
    action: `trigger`, `acknowledge`, `resolve`, or `notice` (worth telling, opens nothing).
    dedup_key: What makes two events the same incident, within one provider and project.
    severity: `critical`, `error`, `warning` or `info`.
    summary: One line that a person reads first.
    source: The host, service or thing that is affected.
    occurred_at: When it happened, RFC 3339 in UTC; when it was received, if the provider does not say.
    received_at: When the webhook was received, RFC 3339 in UTC.
    url: Where to look.
    labels: Short texts to match and search by.
    details: Whatever else the provider said, as it said it.
    resolve_after: Seconds of quiet after which its incident resolves by itself, where its kind of message never says so.
    """

    version: Literal[1] = field(default=1)
    id: str
    webhook_id: str = ""
    provider: str
    project: str = ""
    type: str = ""
    action: Action
    dedup_key: str = ""
    severity: Severity
    summary: str
    source: str = ""
    occurred_at: str
    received_at: str
    url: str = ""
    labels: dict[str, str] = {}
    details: Any = None
    resolve_after: float | None = None


class Incident(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    What a run of events with one dedup key is about.

    id: The id of the event that opened it.
    provider: The file in `providers.d` that understood it.
    project: Its events' project.
    dedup_key: What its events have in common.
    status: `open`, `acknowledged` or `resolved`.
    severity: The worst that was told: it rises, and never falls while the incident lives.
    summary: The summary of the event that triggered it last.
    opened_at: When it was opened, RFC 3339 in UTC, as the times below.
    updated_at: When an event of it was received last.
    acknowledged_at: When it was acknowledged.
    resolved_at: When it was resolved.
    triggers: How many triggers it has had.
    sinks: Every sink whose `match` ever held: they learn of trigger and end.
    resolve_at: When it resolves by itself if it stays quiet, in epoch seconds.
    """

    id: str
    provider: str
    project: str = ""
    dedup_key: str
    status: Status
    severity: Severity
    summary: str
    opened_at: str
    updated_at: str
    acknowledged_at: str = ""
    resolved_at: str = ""
    triggers: int = 1
    sinks: tuple[str, ...] = ()
    resolve_at: float | None = None


class Decision(Struct, frozen=True, kw_only=True):
    """What one event changes: the incident as it leaves it, and who is told."""

    outcome: Outcome
    incident: Incident | None = None  # None: nothing is opened or changed
    tell: tuple[str, ...] = ()  # a delivery to each of these sinks
    filtered: tuple[str, ...] = ()  # sinks that follow this incident and are not told: a repeat, or an action they do not want


class Told(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one event of a webhook."""

    id: str
    action: Action
    severity: Severity
    dedup_key: str = ""
    incident_id: str = ""
    outcome: Outcome
    sinks: tuple[str, ...] = ()


class DeadItem(Struct, frozen=True, kw_only=True):
    """One item of a verified webhook that could not be mapped. `index` counts the items from 0; -1: the whole webhook."""

    index: int
    stage: str
    reason: str
    message: str


class Receipt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    What was made of a webhook: the body of its 202.

    webhook_id: The id we gave it.
    events: What became of each event.
    ignored: How many items say nothing, on purpose.
    filtered: How many events the provider's own `match` did not keep.
    dead: The items that could not be mapped, and why.
    duplicate: This delivery id was accepted before; nothing was done again.
    """

    webhook_id: str
    events: tuple[Told, ...] = ()
    ignored: int = 0
    filtered: int = 0
    dead: tuple[DeadItem, ...] = ()
    duplicate: bool = False


class Delivery(Struct, frozen=True, kw_only=True):
    """One event owed to one sink. `seq` is the order of acceptance; `attempts` counts the tries that were begun."""

    id: str  # "{event.id}.{sink}": stable over retries and replays, so that sinks can deduplicate
    seq: int
    sink: str
    event: Event
    incident: Incident | None = None
    memory: dict[str, Any] = {}  # what earlier steps for this incident and sink remembered
    progress: dict[str, Any] = {}  # the steps of this delivery that are done
    state: State = "pending"
    attempts: int = 0
    due_at: float = 0.0  # epoch seconds
    verdict: str = ""  # why it is where it is, in a sentence
    again: bool = False  # it was delivered before, and is told again because its incident is still open


class Attempt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One try of a delivery, numbered from 1."""

    number: int
    at: float  # epoch seconds
    seconds: float
    verdict: Verdict
    status: int | None = None  # the HTTP status, if there was an answer
    excerpt: str = ""  # the beginning of the answer, secrets masked
    error: str = ""
    batch: int = 1  # how many deliveries went in the same request


class Request(Struct, frozen=True, kw_only=True):
    """One outbound HTTP call, ready to send."""

    method: str
    url: str
    headers: dict[str, str]
    content: bytes = b""


class Response(Struct, frozen=True, kw_only=True):
    """
    What a sink answered.

    status: The HTTP status.
    headers: Its headers, their names in small letters.
    text: The body.
    json: The body as data; nothing where it is not JSON.
    """

    status: int
    headers: dict[str, str] = {}
    text: str = ""
    json: Any = None
