"""
Putting things through again: a delivery as delivered (the same event), a dead letter or a stored webhook remapped (today's YAML).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import uuid_utils
from msgspec.structs import replace

from .errors import GatewayError
from .model import Receipt, Webhook
from .reading import decider, understand
from .store import Intake

if TYPE_CHECKING:
    from .pipeline import Pipeline


class Unknown(GatewayError):
    """There is no such thing."""


class Unwise(GatewayError):
    """It cannot be done, or needs `force`; the message says why."""


class Replays:
    """Each method raises Unknown where there is no such thing, and Unwise where it cannot be done or needs `force`."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline

    async def deliveries(self, ids: Sequence[str], *, force: bool = False) -> int:
        """Make deliveries pending again, with the same event. Returns how many."""
        for id in ids:
            await self._refuse_stale(id, force)
        count = await self.pipeline.store.release(
            ids=ids, states=("parked", "dead", "cancelled", "delivered"), now=self.pipeline.clock()
        )
        self.pipeline.wake({id.rpartition(".")[2] for id in ids})
        return count

    async def _refuse_stale(self, id: str, force: bool) -> None:
        delivery = await self.pipeline.store.delivery(id)
        if delivery is None:
            raise Unknown(f"there is no delivery {id!r}")
        if delivery["sink"] not in self.pipeline.config.sinks:
            raise Unwise(f"the sink {delivery['sink']!r} is gone or off; bring its file back first")
        incident = await self.pipeline.store.incident(delivery["incident_id"]) if delivery["incident_id"] else None
        if not force and incident and delivery["action"] == "trigger" and incident["status"] == "resolved":
            raise Unwise("this would trigger an incident that is resolved by now; say force to do it all the same")

    async def webhook(self, id: str, *, force: bool = False) -> Receipt:
        """Put a stored webhook through today's YAML, as a new webhook with new events."""
        webhook = await self._stored(id)
        again = replace(webhook, id=str(uuid_utils.uuid7()))
        return await self._accept(again, only=None, replayed=None, force=force)

    async def dead_letter(self, id: str, *, remap: bool = True, force: bool = False) -> dict[str, Any]:
        """Replay a dead letter: a delivery as delivered, an item of a webhook through today's YAML (the other items stay)."""
        letter = await self.pipeline.store.dead_letter(id)
        if letter is None:
            raise Unknown(f"there is no dead letter {id!r}")
        if letter["kind"] == "delivery" and not remap:
            return {"deliveries": await self.deliveries([id], force=force)}
        if letter["kind"] == "delivery":
            event = await self.pipeline.store.event(letter["event_id"])
            return {"receipt": await self.webhook(event["webhook_id"] if event else "", force=force)}
        if not remap:
            raise Unwise("this webhook was never mapped, so there is nothing to deliver as it was; replay it remapped")
        webhook = await self._stored(letter["webhook_id"])
        items = [letter["item_index"]]
        receipt = await self._accept(webhook, only=None if items == [-1] else items, replayed=items, force=True)
        return {"receipt": receipt}

    async def _stored(self, id: str) -> Webhook:
        webhook = await self.pipeline.store.webhook(id)
        if webhook is None:
            raise Unknown(f"there is no webhook {id!r}; it may have been kept no longer than `retention.webhooks` says")
        if webhook.provider not in self.pipeline.config.providers:
            raise Unwise(f"the provider {webhook.provider!r} is gone; bring its file back first")
        return webhook

    async def _accept(
        self, webhook: Webhook, *, only: Sequence[int] | None, replayed: Sequence[int] | None, force: bool
    ) -> Receipt:
        config, provider = self.pipeline.config, self.pipeline.config.providers[webhook.provider]
        understood = understand(provider, webhook, only)
        if understood.dead and replayed is not None:
            raise Unwise(f"it still cannot be mapped: {understood.dead[0].message}")
        receipt = await self.pipeline.store.accept(
            Intake(
                webhook=webhook,
                decide=decider(config, provider),
                events=understood.events,
                dead=understood.dead,
                ignored=understood.ignored,
                filtered=understood.filtered,
                replayed=replayed,
            )
        )
        self.pipeline.wake({sink for told in receipt.events for sink in told.sinks})
        return receipt
