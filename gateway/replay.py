"""
Putting things through again: a delivery as delivered (the same event), a dead letter or a stored webhook remapped (today's YAML).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import uuid_utils
from msgspec.structs import replace

from .model import Receipt, Webhook
from .reading import decider, understand
from .store import Intake

if TYPE_CHECKING:
    from .pipeline import Pipeline


class Replays:
    """LookupError: there is no such thing. ValueError: a sentence that says why it needs `force`, or cannot be done."""

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
            raise LookupError(f"there is no delivery {id!r}")
        if delivery["sink"] not in self.pipeline.config.sinks:
            raise ValueError(f"the sink {delivery['sink']!r} is gone or off; bring its file back first")
        event, incident = delivery["event"], delivery.get("incident")
        if not force and incident and event["action"] == "trigger" and incident["status"] == "resolved":
            raise ValueError("this would trigger an incident that is resolved by now; say force to do it all the same")

    async def webhook(self, id: str, *, force: bool = False) -> Receipt:
        """Put a stored webhook through today's YAML, as a new webhook with new events."""
        webhook = await self._stored(id)
        again = replace(webhook, id=str(uuid_utils.uuid7()))
        return await self._accept(again, only=None, replayed=None, force=force)

    async def dead_letter(self, id: str, *, remap: bool = True, force: bool = False) -> dict[str, Any]:
        """Replay a dead letter: a delivery as delivered, an item of a webhook through today's YAML (the other items stay)."""
        letter = await self.pipeline.store.dead_letter(id)
        if letter is None:
            raise LookupError(f"there is no dead letter {id!r}")
        if letter["kind"] == "delivery" and not remap:
            return {"deliveries": await self.deliveries([id], force=force)}
        if letter["kind"] == "delivery":
            return {"receipt": await self.webhook(letter["webhook_id"], force=force)}
        if not remap:
            raise ValueError("this webhook was never mapped, so there is nothing to deliver as it was; replay it remapped")
        webhook = await self._stored(letter["webhook_id"])
        items = [letter["index"]]
        receipt = await self._accept(webhook, only=None if items == [-1] else items, replayed=items, force=True)
        return {"receipt": receipt}

    async def _stored(self, id: str) -> Webhook:
        webhook = await self.pipeline.store.webhook(id)
        if webhook is None:
            raise LookupError(f"there is no webhook {id!r}; it may have been kept no longer than `retention.webhooks` says")
        if webhook.provider not in self.pipeline.config.providers:
            raise ValueError(f"the provider {webhook.provider!r} is gone; bring its file back first")
        return webhook

    async def _accept(
        self, webhook: Webhook, *, only: Sequence[int] | None, replayed: Sequence[int] | None, force: bool
    ) -> Receipt:
        config, provider = self.pipeline.config, self.pipeline.config.providers[webhook.provider]
        understood = understand(provider, webhook, only)
        if understood.dead and replayed is not None:
            raise ValueError(f"it still cannot be mapped: {understood.dead[0].message}")
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
