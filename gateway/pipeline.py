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
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread

from . import telemetry
from .courier import bring, visit
from .errors import StoreError
from .keyring import Keyring
from .model import Delivery, Webhook
from .pace import Pace, steady
from .reading import Understood, decider, greeting_before_proof, keys_for, prove, understand
from .stages.answer import Answer, Handshake, Reply, accepted, fill
from .stages.verify import NOTHING
from .store import Intake, Result
from .voice import Voice

if TYPE_CHECKING:
    from .config import Config
    from .outbound import Client
    from .store import Store

TIME_TO_WRITE = 25.0  # seconds for which a store that refuses is asked again to write down how a try went
STORE_PAUSE = 1.0  # seconds to leave a store alone that refused
LONG = 16 * 1024  # bytes of a body: to read as many takes some milliseconds, for which nobody else should wait


class Pipeline:
    """
    One configuration snapshot, one store, one client, a clock, and a voice for the sinks that print. `ticks` are seconds that
    only ever go on, while the clock may be set. `wake` is told which sinks have something to do; `unwritten` says that the store
    refuses to write down how tries went: then nothing more is sent, because it would be sent again.
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
        self.ticks: Callable[[], float] = time.monotonic
        self.keyring = Keyring(client)
        self.say = say or Voice(sys.stdout).tell
        self.wake: Callable[[Iterable[str]], None] = lambda sinks: None
        self.unwritten = False
        self._turns = anyio.CapacityLimiter(1)  # to read a long body: more at once would only fight for the interpreter

    async def ingest(self, webhook: Webhook) -> Answer:
        """
        Take a webhook in. Once this returns, its events are on disk and cannot be lost.

        Raises Unverified, Unverifiable, Undecodable, SecretUnset or StoreError; then nothing of it was kept.
        """
        config, provider, began = self.config, self.config.providers[webhook.provider], time.perf_counter()

        scope: Mapping[str, Any]
        handshake, scope = greeting_before_proof(provider, webhook)
        if handshake is None:
            published = {address: await self.keyring.get(address)} if (address := keys_for(config, webhook)) else NOTHING
            read = partial(_read, config, webhook, self.clock(), published)
            understood = await to_thread.run_sync(read, limiter=self._turns) if _is_long(webhook) else read()
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
        return fill(handshake.reply or Reply(), {**scope, **self.config.sealed(webhook.provider)})

    async def deliver(self, sink: str, deliveries: Sequence[Delivery], pace: Pace = Pace()) -> list[Result]:  # noqa: B008
        """Try once to bring claimed deliveries to their sink, and write down how it went. `pace`: as for `bring`."""
        clock = steady(self.clock, self.ticks)
        results = await bring(self.config, self.client, sink, deliveries, clock, say=self.say, note=self.store.note, pace=pace)
        now = clock()
        await self._write_down(sink, results, now)
        telemetry.deliveries_tried(sink, results, now)
        return results

    async def _write_down(self, sink: str, results: Sequence[Result], now: float) -> None:
        """However often the store refuses, as long as the claim holds: what is not written down is sent again."""
        end = self.ticks() + TIME_TO_WRITE
        while True:
            try:
                await self.store.record(results, now=now)
            except StoreError as error:
                self.unwritten = error.retryable and self.ticks() < end
                if not self.unwritten:
                    raise
                telemetry.worker_stumbled(sink, str(error))
                await anyio.sleep(STORE_PAUSE)
            else:
                self.unwritten = False
                return


def _read(config: Config, webhook: Webhook, now: float, published: Mapping[str, str]) -> Understood:
    """What a webhook means, once it has proved who sends it."""
    prove(config, webhook, now, published)
    return understand(config.providers[webhook.provider], webhook, remove=config.secrets.remove)


def _is_long(webhook: Webhook) -> bool:
    """Whether to read it may take long. What is compressed may be of any size."""
    return len(webhook.body) > LONG or "content-encoding" in webhook.headers
