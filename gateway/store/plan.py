"""
What a group of webhooks writes, worked out in memory by the same rules for every database: look up what is known, add the
intakes in order, write the rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ..model import DeadItem, Decision, Event, Incident, Receipt, Told, Webhook
from . import Intake

Key = tuple[str, str, str]  # provider, project, dedup key
Row = tuple[Any, ...]

encode = msgspec.json.Encoder().encode


def key_of(noun: Event | Incident) -> Key:
    """What makes two events the same incident."""
    return noun.provider, noun.project, noun.dedup_key


def epoch(text: str) -> float:
    """Epoch seconds of an RFC 3339 time."""
    return datetime.fromisoformat(text).timestamp()


class Known(Struct):
    """What the store holds already of what these intakes bring."""

    incidents: dict[Key, Incident]  # the latest of each key
    told: dict[str, Told]  # by event id
    receipts: dict[tuple[str, str], Receipt]  # by provider and delivery id


class Plan:
    """The rows to write, their columns as in `sql/<scheme>/accept.sql`. Later intakes see what earlier ones changed."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self.webhooks: list[Row] = []
        self.delivery_ids: list[Row] = []
        self.events: list[Row] = []
        self.deliveries: list[Row] = []
        self.replayed: list[Row] = []
        self.dead_items: list[Row] = []
        self.tallies: Counter[tuple[str, str]] = Counter()  # by sink and counter
        self._incidents: dict[str, tuple[Incident, str | None]] = {}

    def add(self, intake: Intake) -> Receipt:
        """What one webhook changes. Whatever `decide` raises passes through, and the plan is then worthless."""
        once = self._once(intake)
        if once and (first := self.known.receipts.get(once)):
            return replace(first, duplicate=True)
        receipt = Receipt(
            webhook_id=webhook_id(intake),
            events=tuple([self._tell(intake, event) for event in intake.events]),
            ignored=intake.ignored,
            filtered=intake.filtered,
            dead=tuple(intake.dead),
        )
        if intake.webhook:
            self._keep(intake, intake.webhook, receipt)
        if once:
            self.known.receipts[once] = receipt
        return receipt

    def incidents(self) -> Iterable[Row]:
        """Each changed incident once, as the group leaves it."""
        for incident, trigger in self._incidents.values():
            yield (
                incident.id,
                *key_of(incident),
                incident.status,
                incident.severity,
                incident.resolve_at,
                trigger,
                encode(incident),
            )

    def _once(self, intake: Intake) -> tuple[str, str] | None:
        if intake.webhook and intake.delivery_id and intake.replayed is None:
            return intake.webhook.provider, intake.delivery_id
        return None

    def _tell(self, intake: Intake, event: Event) -> Told:
        if known := self.known.told.get(event.id):
            return known
        incident = None if event.action == "notice" else self.known.incidents.get(key_of(event))
        decision = intake.decide(incident, event)
        if decision.incident:
            self._change(event, decision.incident)
        told = Told(
            id=event.id,
            action=event.action,
            severity=event.severity,
            dedup_key=event.dedup_key,
            incident_id=_belongs_to(incident, decision),
            outcome=decision.outcome,
            sinks=decision.tell,
        )
        self.known.told[event.id] = told
        self._owe(intake, event, told, decision)
        return told

    def _change(self, event: Event, incident: Incident) -> None:
        self.known.incidents[key_of(incident)] = incident
        _, trigger = self._incidents.get(incident.id, (None, None))
        self._incidents[incident.id] = incident, event.id if event.action == "trigger" else trigger

    def _owe(self, intake: Intake, event: Event, told: Told, decision: Decision) -> None:
        at = intake.webhook.received_at.timestamp() if intake.webhook else epoch(event.received_at)
        incident_id = told.incident_id or None
        line = "\x1f".join(key_of(event)) if incident_id else None  # what must arrive in the order it came
        self.events.append(
            (
                event.id,
                event.webhook_id,
                event.provider,
                event.project,
                event.type,
                event.action,
                event.severity,
                event.dedup_key,
                incident_id,
                told.outcome,
                at,
                encode(event),
            )
        )
        for sink in decision.tell:
            self.deliveries.append((f"{event.id}.{sink}", event.id, incident_id, line, sink, at))
            self.tallies[sink, "accepted"] += 1
        for sink in decision.filtered:
            self.tallies[sink, "accepted"] += 1
            self.tallies[sink, "filtered"] += 1

    def _keep(self, intake: Intake, webhook: Webhook, receipt: Receipt) -> None:
        at = webhook.received_at.timestamp()
        if intake.replayed is None:
            self.webhooks.append(_webhook_row(webhook, at, receipt))
        for index in intake.replayed or ():
            self.replayed.append((f"{webhook.id}.{index}",))
        for item in intake.dead:
            self.dead_items.append(_dead_row(webhook, at, item))
        if intake.delivery_id and intake.replayed is None:
            self.delivery_ids.append((webhook.provider, intake.delivery_id, at, encode(receipt)))


def webhook_id(intake: Intake) -> str:
    """The webhook an intake came with; for an event of our own making, whatever the event says."""
    if intake.webhook:
        return intake.webhook.id
    if intake.dead or intake.replayed is not None:
        raise ValueError("dead items and replays name their webhook")
    return intake.events[0].webhook_id if intake.events else ""


def wanted(intakes: Sequence[Intake]) -> tuple[set[Key], set[str], set[tuple[str, str]]]:
    """What to look up for a group: incident keys, event ids, delivery ids."""
    events = [event for intake in intakes for event in intake.events]
    return (
        {key_of(event) for event in events if event.action != "notice"},
        {event.id for event in events},
        {(intake.webhook.provider, intake.delivery_id) for intake in intakes if intake.webhook and intake.delivery_id},
    )


def _belongs_to(incident: Incident | None, decision: Decision) -> str:
    if decision.incident:
        return decision.incident.id
    if incident and incident.status != "resolved":
        return incident.id
    return ""


def _webhook_row(webhook: Webhook, at: float, receipt: Receipt) -> Row:
    return (
        webhook.id,
        webhook.provider,
        at,
        webhook.method,
        webhook.url,
        encode(webhook.headers),
        encode(webhook.query),
        encode(sorted(webhook.repeated)),
        webhook.client,
        webhook.rest,
        webhook.body,
        receipt.ignored,
        receipt.filtered,
    )


def _dead_row(webhook: Webhook, at: float, item: DeadItem) -> Row:
    return (
        f"{webhook.id}.{item.index}",
        webhook.id,
        item.index,
        webhook.provider,
        item.stage,
        item.reason,
        item.message,
        at,
        "dead",
    )
