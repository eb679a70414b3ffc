"""What happens because time passes: quiet incidents resolve, old rows are forgotten, deliveries to sinks that are gone die."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import anyio
from msgspec.structs import replace

from . import telemetry
from .errors import GatewayError
from .model import Event, Incident
from .reading import decider
from .stages.mapping import as_text
from .store import Intake

if TYPE_CHECKING:
    from .pipeline import Pipeline

EVERY = 5.0  # seconds between looks at the clock
PRUNE_EVERY = 60.0  # seconds
CHUNK = 500  # rows at a time, so that nobody waits long for the writer


class Timers:
    """The gateway's sense of time."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self._pruned_at = 0.0

    async def run(self) -> None:
        """Look at the clock until cancelled."""
        while True:
            try:
                await self.tick(self.pipeline.clock())
            except GatewayError as error:
                telemetry.worker_stumbled("timers", str(error))
            await anyio.sleep(EVERY)

    async def tick(self, now: float) -> None:
        """Everything that is due at this time."""
        for incident, last in await self.pipeline.store.quiet(now=now, limit=CHUNK):
            await self._resolve(incident, last, now)
        if now - self._pruned_at >= PRUNE_EVERY:
            self._pruned_at = now
            await self._prune(now)

    async def _resolve(self, incident: Incident, last: Event, now: float) -> None:
        provider = self.pipeline.config.providers.get(incident.provider)
        if provider is None:
            return
        text = as_text(datetime.fromtimestamp(now, UTC))
        event = replace(last, id=f"{incident.id}-quiet", webhook_id="", action="resolve", occurred_at=text, received_at=text)
        receipt = await self.pipeline.store.accept(
            Intake(webhook=None, decide=decider(self.pipeline.config, provider), events=[event])
        )
        self.pipeline.wake({sink for told in receipt.events for sink in told.sinks})
        telemetry.incident_went_quiet(incident)

    async def _prune(self, now: float) -> None:
        config, keep = self.pipeline.config, self.pipeline.config.settings.retention
        died = await self.pipeline.store.settle([*config.sinks, *config.off], now=now)
        if died:
            telemetry.deliveries_orphaned(died)
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
