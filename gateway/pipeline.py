"""
The whole gateway, on one page.

    ingest    receive -> verify -> decode -> map | in one transaction: advance -> route -> keep | answer
    deliver   claim -> render -> send -> judge -> record

Everything before the transaction is pure: the same webhook, clock and configuration always give the same events.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import telemetry
from .courier import bring, visit
from .model import Delivery, Webhook
from .reading import decider, greeting_before_proof, prove, understand
from .stages.answer import Answer, Handshake, Reply, accepted, fill
from .store import Intake, Result
from .voice import Voice

if TYPE_CHECKING:
    from .config import Config
    from .outbound import Client
    from .store import Store


class Pipeline:
    """
    One configuration snapshot, one store, one client, a clock, and a voice for the sinks that print. `wake` is told which sinks
    have something to do.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        client: Client,
        clock: Callable[[], float] = time.time,
        say: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        self.config, self.store, self.client, self.clock = config, store, client, clock
        self.say = say or Voice(sys.stdout).tell
        self.wake: Callable[[Iterable[str]], None] = lambda sinks: None

    async def ingest(self, webhook: Webhook) -> Answer:
        """
        Take a webhook in. Once this returns, its events are on disk and cannot be lost.

        Raises Unverified, Undecodable, SecretUnset or StoreError; then nothing of it was kept.
        """
        config, provider, began = self.config, self.config.providers[webhook.provider], time.perf_counter()

        scope: Mapping[str, Any]
        handshake, scope = greeting_before_proof(provider, webhook)
        if handshake is None:
            prove(config, webhook, self.clock())
            understood = understand(provider, webhook)
            handshake, scope = understood.handshake, understood.scope
        if handshake is not None:
            return await self._greet(webhook, handshake, scope)

        receipt = await self.store.accept(
            Intake(
                webhook=understood.webhook,
                decide=decider(config, provider),
                events=understood.events,
                dead=understood.dead,
                ignored=understood.ignored,
                filtered=understood.filtered,
                delivery_id=understood.delivery_id,
            )
        )
        self.wake({sink for told in receipt.events for sink in told.sinks})
        telemetry.webhook_taken(webhook, receipt, seconds=time.perf_counter() - began)
        return accepted(provider.reply, scope, receipt)

    async def _greet(self, webhook: Webhook, handshake: Handshake, scope: Mapping[str, Any]) -> Answer:
        if handshake.visit is not None:
            await visit(self.client, handshake.visit, scope)
        telemetry.hands_shaken(webhook, visited=handshake.visit is not None)
        return fill(handshake.reply or Reply(), scope)

    async def deliver(self, sink: str, deliveries: Sequence[Delivery]) -> list[Result]:
        """Try once to bring claimed deliveries to their sink, and write down how it went."""
        results = await bring(self.config, self.client, sink, deliveries, self.clock, say=self.say, note=self.store.note)
        now = self.clock()
        await self.store.record(results, now=now)
        for each in results:
            telemetry.delivery_tried(
                each.delivery, each.attempt, state=each.state, verdict=each.verdict, due_in=each.due_at - now
            )
        return results
