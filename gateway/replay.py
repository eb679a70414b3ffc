"""
Putting things through again: **as delivered**, the same event to the same sink, or **remapped**, by today's YAML. Without a mode
a delivery goes as it was delivered, and a webhook, or an item of it, is remapped.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal, NoReturn

import uuid_utils
from msgspec import Struct
from msgspec.structs import replace

from . import telemetry
from .errors import GatewayError, Undecodable
from .model import Decision, Event, Incident, Receipt, State, Webhook
from .reading import Understood, decider, understand
from .store import Decide, Intake

if TYPE_CHECKING:
    from .pipeline import Pipeline

Mode = Literal["as_delivered", "remapped"] | None
STALE = "this would trigger an incident that is resolved by now; say force to do it all the same"
UNDER_WAY = ("pending", "claimed")


class Unknown(GatewayError):
    """There is no such thing."""


class Unwise(GatewayError):
    """It cannot be done, or needs `force`; the message says why."""


class Replayed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of a replay: how many deliveries wait to be sent again, or what was made of a webhook."""

    deliveries: int = 0
    receipt: Receipt | None = None


class Replays:
    """Each method raises Unknown where there is no such thing, and Unwise where it cannot be done or needs `force`."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline

    async def delivery(self, id: str, *, mode: Mode = None, force: bool = False) -> Replayed:
        """Make a delivery pending again, with the same event and a fresh count of attempts."""
        if mode == "remapped":
            raise Unwise("a delivery is replayed as it was delivered; remap its dead letter or its webhook instead")
        delivery = await self.pipeline.store.delivery(id)
        if delivery is None:
            raise Unknown(f"there is no delivery {id[:80]!r}")
        self._refuse_gone(delivery["sink"])
        if delivery["state"] in UNDER_WAY:
            raise Unwise(f"this delivery is {delivery['state']} already: it is on its way, and there is nothing to replay")
        incident = await self.pipeline.store.incident(delivery["incident_id"]) if delivery["incident_id"] else None
        if not force and incident and delivery["action"] == "trigger" and incident["status"] == "resolved":
            raise Unwise(STALE)
        states: tuple[State, ...] = ("parked", "dead", "cancelled", "delivered")
        count = await self.pipeline.store.release(ids=[id], states=states, now=self.pipeline.clock())
        self.pipeline.wake({delivery["sink"]})
        telemetry.replayed("delivery", id, deliveries=count, events=0)
        return Replayed(deliveries=count)

    async def webhook(self, id: str, *, mode: Mode = None, force: bool = False) -> Replayed:
        """Put a stored webhook through today's YAML, as a new webhook with new events."""
        if mode == "as_delivered":
            raise Unwise("a webhook is replayed remapped; replay its deliveries to send the same events again")
        webhook = await self._stored(id)
        understood = await self._understood(webhook, force)
        again = replace(webhook, id=str(uuid_utils.uuid7()))
        return await self._accept(again, _renamed(understood, again), self._decider(webhook))

    async def dead_letter(self, id: str, *, mode: Mode = None, force: bool = False) -> Replayed:
        """Replay a dead letter: a delivery, to its sink alone, or an item of a webhook; its other items stay as they are."""
        letter = await self.pipeline.store.dead_letter(id)
        if letter is None:
            raise Unknown(f"there is no dead letter {id[:80]!r}")
        if letter["kind"] == "delivery":
            return await (self._remapped(letter, force) if mode == "remapped" else self.delivery(id, force=force))
        if mode == "as_delivered":
            raise Unwise("this webhook was never mapped, so there is nothing to deliver as it was; replay it remapped")
        if letter["state"] != "dead":
            raise Unwise("this dead letter has been replayed already")
        webhook, index = await self._stored(letter["webhook_id"]), letter["item_index"]
        understood = await self._understood(webhook, force, None if index == -1 else [index])
        for dead in understood.dead:
            if dead.index == index:
                raise Unwise(f"it still cannot be mapped: {dead.message}")
        return await self._accept(webhook, understood, self._decider(webhook), replayed=[index])

    async def _remapped(self, letter: dict[str, str], force: bool) -> Replayed:
        """A dead delivery's item through today's YAML, told to that sink alone; its incident stays as it is."""
        self._refuse_gone(letter["sink"])
        event = await self.pipeline.store.event(letter["event_id"])
        if event is None or not event["webhook_id"]:
            raise Unwise("no webhook is behind this event, so there is nothing to remap; replay it as it was delivered")
        webhook, index = await self._stored(event["webhook_id"]), int(event["id"].rpartition("-")[2])
        understood = await self._understood(webhook, force, [index])
        if understood.dead:
            raise Unwise(f"it cannot be mapped: {understood.dead[0].message}")
        if not understood.events:
            raise Unwise("today's YAML makes no event of it, so there is nothing to deliver")
        again = replace(webhook, id=str(uuid_utils.uuid7()))
        return await self._accept(again, _renamed(understood, again), _telling(letter["sink"]))

    def _refuse_gone(self, sink: str) -> None:
        if sink not in self.pipeline.config.sinks:
            raise Unwise(f"the sink {sink!r} is gone or off; bring its file and secrets back first")

    async def _stored(self, id: str) -> Webhook:
        webhook = await self.pipeline.store.webhook(id)
        if webhook is None:
            raise Unknown(f"there is no webhook {id[:80]!r}; it may have been kept no longer than `retention.webhooks` says")
        if webhook.provider not in self.pipeline.config.providers:
            raise Unwise(f"the provider {webhook.provider!r} is gone; bring its file back first")
        return webhook

    async def _understood(self, webhook: Webhook, force: bool, only: Sequence[int] | None = None) -> Understood:
        config = self.pipeline.config
        try:
            understood = understand(config.providers[webhook.provider], webhook, only, config.secrets.remove)
        except Undecodable as error:
            _refuse_undecodable(error)
        for event in understood.events if not force else ():
            await self._refuse_stale(event, webhook.received_at)
        return understood

    async def _refuse_stale(self, event: Event, received_at: datetime) -> None:
        """A trigger is stale when its incident was resolved after the webhook had come in."""
        if event.action != "trigger":
            return
        key = {"provider": event.provider, "project": event.project, "dedup_key": event.dedup_key}
        for incident in (await self.pipeline.store.incidents(key, limit=1)).items:
            if incident["status"] == "resolved" and datetime.fromisoformat(incident["resolved_at"]) >= received_at:
                raise Unwise(STALE)

    def _decider(self, webhook: Webhook) -> Decide:
        return decider(self.pipeline.config, self.pipeline.config.providers[webhook.provider])

    async def _accept(
        self, webhook: Webhook, understood: Understood, decide: Decide, *, replayed: Sequence[int] | None = None
    ) -> Replayed:
        intake = Intake(
            webhook=webhook,
            decide=decide,
            events=understood.events,
            dead=understood.dead,
            ignored=understood.ignored,
            filtered=understood.filtered,
            replayed=replayed,
        )
        receipt = await self.pipeline.store.accept(intake)
        told_sinks = [sink for told in receipt.events for sink in told.sinks]
        self.pipeline.wake(set(told_sinks))
        telemetry.replayed("webhook", webhook.id, deliveries=len(told_sinks), events=len(receipt.events))
        return Replayed(receipt=receipt)


def _renamed(understood: Understood, webhook: Webhook) -> Understood:
    """The same events as those of another webhook: their ids derive from its id."""
    named = [
        replace(event, id=f"{webhook.id}-{event.id.rpartition('-')[2]}", webhook_id=webhook.id) for event in understood.events
    ]
    return replace(understood, events=named)


def _telling(sink: str) -> Decide:
    def decide(incident: Incident | None, event: Event) -> Decision:
        return Decision(outcome="told", tell=(sink,))

    return decide


def _refuse_undecodable(error: Undecodable) -> NoReturn:
    raise Unwise(f"today's YAML cannot read its body: {error}") from None
