"""The shapes of the API's answers, from which the OpenAPI document is made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from litestar.openapi.datastructures import ResponseSpec
from msgspec import Struct

from ..model import Action, Event, Incident, Outcome, Severity, State, Verdict


class AttemptShown(Struct, frozen=True, kw_only=True):
    """One try of a delivery. `status` is null where no answer came; `batch` says how many deliveries went together."""

    number: int
    at: datetime
    seconds: float
    verdict: Verdict
    status: int | None
    excerpt: str
    error: str
    batch: int


class DeliveryShown(Struct, frozen=True, kw_only=True):
    """One event owed to one sink. `verdict` says in a sentence why it is where it is; `due_at` is when it is tried next."""

    id: str
    sink: str
    state: State
    tries: int
    due_at: datetime
    held_since: datetime | None
    ended_at: datetime | None
    verdict: str
    event_id: str
    incident_id: str
    provider: str
    action: Action
    severity: Severity
    summary: str


class DeliveryPage(Struct, frozen=True, kw_only=True):
    """A page of deliveries, newest first. `next` is the `cursor` of the page after it, "" at the end."""

    items: list[DeliveryShown]
    next: str


class DeliveryWhole(DeliveryShown, frozen=True, kw_only=True):
    """A delivery with every try that was made of it, and the steps of it that are done."""

    progress: dict[str, Any]
    attempts: list[AttemptShown]


class EventShown(Event, frozen=True, kw_only=True, omit_defaults=False):
    """An event as sinks receive it, the incident it belongs to ("" for none), and whether anyone was told."""

    incident_id: str
    outcome: Outcome


class EventPage(Struct, frozen=True, kw_only=True):
    """A page of events, newest first. `next` is the `cursor` of the page after it, "" at the end."""

    items: list[EventShown]
    next: str


class EventWhole(EventShown, frozen=True, kw_only=True):
    """An event with its deliveries."""

    deliveries: list[DeliveryShown]


class IncidentShown(Incident, frozen=True, kw_only=True, omit_defaults=False):
    """An incident as it stands. `sinks` are those that learn of it; `resolve_at` is when it resolves by itself."""

    resolve_at: datetime | None = None  # type: ignore[assignment]  # the same moment, as the API says moments


class IncidentPage(Struct, frozen=True, kw_only=True):
    """A page of incidents, newest first. `next` is the `cursor` of the page after it, "" at the end."""

    items: list[IncidentShown]
    next: str


class IncidentWhole(IncidentShown, frozen=True, kw_only=True):
    """An incident with its newest events and their deliveries."""

    events: list[EventShown]
    deliveries: list[DeliveryShown]


class DeadLetter(Struct, frozen=True, kw_only=True):
    """
    A delivery out of tries (`kind` delivery), or an item of a webhook that could not be mapped (`kind` webhook). `item_index`
    counts the items of the webhook from 0; -1 is the whole of it, null a delivery.
    """

    kind: Literal["delivery", "webhook"]
    id: str
    provider: str
    sink: str
    stage: str
    reason: str
    message: str
    at: datetime
    webhook_id: str
    event_id: str
    item_index: int | None


class DeadLetterPage(Struct, frozen=True, kw_only=True):
    """A page of dead letters, newest first. `next` is the `cursor` of the page after it, "" at the end."""

    items: list[DeadLetter]
    next: str


class DeadItemWhole(Struct, frozen=True, kw_only=True, tag_field="kind", tag="webhook"):
    """An item that could not be mapped. Its `state` is `dead` until it is replayed."""

    id: str
    provider: str
    sink: str
    stage: str
    reason: str
    message: str
    at: datetime
    webhook_id: str
    event_id: str
    item_index: int
    state: Literal["dead", "replayed"]


class DeadDeliveryWhole(DeliveryWhole, frozen=True, kw_only=True, tag_field="kind", tag="delivery"):
    """A delivery that is dead, with every try that was made of it."""


class Counts(Struct, frozen=True, kw_only=True):
    """What a sink was owed and what became of it: `accepted` is the sum of the others."""

    accepted: int = 0
    delivered: int = 0
    filtered: int = 0
    cancelled: int = 0
    dead: int = 0
    pending: int = 0
    claimed: int = 0
    parked: int = 0


class SinkShown(Struct, frozen=True, kw_only=True):
    """A sink. `reason` names what is not set where it is `off`; `gone`: its file is no longer there."""

    name: str
    state: Literal["on", "off", "gone"]
    reason: str
    counts: Counts


class ProviderShown(Struct, frozen=True, kw_only=True):
    """A provider's door: `locked` is as it should be, `closed` answers 503 for want of what is `unset`, `open` is dev mode."""

    name: str
    title: str
    door: Literal["open", "locked", "closed"]
    unset: str


class Sinks(Struct, frozen=True):
    """Every sink there is or was, by name."""

    items: list[SinkShown]


class Providers(Struct, frozen=True):
    """Every provider, by name."""

    items: list[ProviderShown]


class ProblemShown(Struct, frozen=True, kw_only=True):
    """One thing wrong with one file."""

    file: str
    line: int
    column: int
    rule: str
    message: str
    hint: str
    path: str


class Configuration(Struct, frozen=True, kw_only=True):
    """
    What runs was loaded at this time. With `problems` the files have changed since and are broken; `restart` names settings that
    changed and wait for a restart.
    """

    loaded_at: str
    problems: list[ProblemShown]
    restart: list[str]


class Fault(Struct, frozen=True, kw_only=True):
    """What was refused, in which stage, why (one bounded word), and how to mend it."""

    stage: str
    reason: str
    message: str
    docs: str


class Refused(Struct, frozen=True):
    """The one shape of every refusal."""

    error: Fault


def refusals(described: Mapping[int, str]) -> dict[int, ResponseSpec]:
    """For the OpenAPI document: what each of these statuses means."""
    return {
        status: ResponseSpec(Refused, description=description, generate_examples=False)
        for status, description in described.items()
    }
