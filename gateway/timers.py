"""What happens because time passes: quiet incidents resolve, open ones are told again, old rows are forgotten."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import anyio
from msgspec.structs import replace

from . import telemetry
from .courier import longest_waits
from .errors import GatewayError
from .expr import rfc3339
from .model import Decision, Event, Incident
from .reading import decider
from .stages.lifecycle import Lifecycle, advance
from .store import Decide, Intake

if TYPE_CHECKING:
    from .pipeline import Pipeline

EVERY = 5.0  # seconds between looks at the clock
LARGEST_SLEW = 1.0  # seconds between two looks: a clock that is off by more was set
PRUNE_EVERY = 60.0  # seconds
CHUNK = 500  # rows at a time, so that nobody waits long for the writer
MOST_CHUNKS = 20  # of quiet incidents at one look
MOST_REPEATS = 200  # at one look: what is new waits behind no more of them, however many incidents are open


class Timers:
    """The gateway's sense of time."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self._pruned_at = 0.0
        self._repeating: frozenset[str] = frozenset()
        self._ahead: float | None = None  # seconds by which the clock is ahead of the ticks

    async def run(self) -> None:
        """Look at the clock until cancelled."""
        while True:
            try:
                await self.tick(self.pipeline.clock())
            except GatewayError as error:
                telemetry.worker_stumbled("timers", str(error))
            except Exception as error:  # noqa: BLE001 - a clock that stops is noticed by nobody
                telemetry.failed_unexpectedly("timers", error)
            await anyio.sleep(EVERY)

    async def tick(self, now: float) -> None:
        """Everything that is due at this time. What makes room on the disk comes first."""
        minute = not 0 <= now - self._pruned_at < PRUNE_EVERY  # a clock that was set back is no reason to wait
        if minute:
            self._pruned_at = now
            await self._prune(now)
        if self._clock_was_set(now) or minute:
            await self._hasten(now)
        await self._repeat(now)
        for _ in range(MOST_CHUNKS):
            found = await self.pipeline.store.quiet(now=now, limit=CHUNK)
            await asyncio.gather(*(self._resolve(incident, last, now) for incident, last in found))  # so they share a commit
            if len(found) < CHUNK:
                break

    def _clock_was_set(self, now: float) -> bool:
        ahead, before = now - self.pipeline.ticks(), self._ahead
        self._ahead = ahead
        if before is None or abs(ahead - before) <= LARGEST_SLEW:
            return False
        telemetry.clock_was_set(ahead - before)
        return True

    async def _hasten(self, now: float) -> None:
        """Times that were stored while the clock was ahead lie in a future that nobody may have to wait for."""
        for name, sink in self.pipeline.config.sinks.items():
            untried, longest = longest_waits(sink)
            if await self.pipeline.store.hasten(name, untried=untried, longest=longest, now=now):
                self.pipeline.wake([name])

    async def _repeat(self, now: float) -> None:
        """Tell again what is still so, where a sink forgets it otherwise."""
        sinks = self.pipeline.config.sinks
        every = {name: float(sink.repeat_every) for name, sink in sinks.items() if sink.repeat_every is not None}
        if begun := {name: seconds for name, seconds in every.items() if name not in self._repeating}:
            await self.pipeline.store.begin_to_repeat(begun, now=now)
        self._repeating = frozenset(every)
        if woken := await self.pipeline.store.repeat(every, now=now, limit=MOST_REPEATS):
            self.pipeline.wake(woken)

    async def _resolve(self, incident: Incident, last: Event, now: float) -> None:
        text = rfc3339(datetime.fromtimestamp(now, UTC))
        id = f"{incident.id}-quiet-{(incident.resolve_at or now) * 1000:.0f}"  # if it triggers yet, it may be quiet anew later
        event = replace(last, id=id, webhook_id="", action="resolve", occurred_at=text, received_at=text)
        intake = Intake(webhook=None, decide=self._if_still_quiet(incident, now), events=[event])
        receipt = await self.pipeline.store.accept(intake)
        self.pipeline.wake({sink for told in receipt.events for sink in told.sinks})
        if receipt.events[0].outcome != "stray":
            telemetry.incident_went_quiet(incident)

    def _if_still_quiet(self, incident: Incident, now: float) -> Decide:
        """As the provider decides, or a plain one where its file is gone; a stray if the incident triggered meanwhile."""
        config = self.pipeline.config
        provider = config.providers.get(incident.provider)

        def decide(before: Incident | None, event: Event) -> Decision:
            if before is None or before.id != incident.id or before.resolve_at is None or before.resolve_at > now:
                return Decision(outcome="stray")
            if provider is None:
                return advance(before, event, (), Lifecycle())
            return decider(config, provider)(before, event)

        return decide

    async def _prune(self, now: float) -> None:
        config, keep = self.pipeline.config, self.pipeline.config.settings.retention
        gone = CHUNK
        while gone >= CHUNK:
            gone = await self.pipeline.store.prune(
                webhooks=now - keep.webhooks,
                events=now - keep.events,
                dead=now - keep.dead,
                delivery_ids=now - keep.delivery_ids,
                limit=CHUNK,
            )
            if gone:
                telemetry.pruned(gone)
        died = await self.pipeline.store.settle([*config.sinks, *config.off], now=now, ticks=self.pipeline.ticks())
        if died:
            telemetry.deliveries_orphaned(died)
