"""
Claim, deliver, repeat: one lane per sink, each with its own pace, so that a slow or dead sink holds up nobody else.

A claim is a lease. What a killed worker held is pending again when its lease ends or the gateway starts anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskGroup

from . import telemetry
from .errors import GatewayError
from .model import Delivery
from .pace import Bucket, Fuse
from .store import Result

if TYPE_CHECKING:
    from .config.schema import Sink
    from .pipeline import Pipeline

LEASE_MARGIN = 30.0  # seconds that a lease outlasts the longest possible attempt
LONGEST_REST = 30.0  # seconds after which a lane looks again, though nobody woke it
SHORTEST_REST = 0.05  # seconds between looks at a store that says something is due and gives nothing
STORE_PAUSE = 1.0  # seconds to leave a store alone that refused


class Worker:
    """Runs the lanes of every sink that is on."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.lanes = {name: Lane(pipeline, name, sink) for name, sink in pipeline.config.sinks.items()}
        self.running = False
        self._stopped = anyio.Event()
        pipeline.wake = self.wake

    def wake(self, sinks: Iterable[str]) -> None:
        """Tell lanes that there is something to do."""
        for sink in sinks:
            if sink in self.lanes:
                self.lanes[sink].woken.set()

    async def run(self) -> None:
        """Work until stopped."""
        self.running = True
        try:
            async with anyio.create_task_group() as tasks:
                for lane in self.lanes.values():
                    tasks.start_soon(lane.run)
                await self._stopped.wait()
        finally:
            self.running = False

    async def stop(self, within: float) -> None:
        """Claim nothing more, and give what is under way so many seconds to end."""
        self._stopped.set()
        for lane in self.lanes.values():
            lane.stopping = True
            lane.woken.set()
        with anyio.move_on_after(within):
            for lane in self.lanes.values():
                await lane.idle.wait()


class Lane:
    """One sink's share of the work: claims when there is something to do and room to do it."""

    def __init__(self, pipeline: Pipeline, name: str, sink: Sink) -> None:
        self.pipeline, self.name, self.sink = pipeline, name, sink
        self.woken, self.idle = anyio.Event(), anyio.Event()
        self.stopping = False
        self.under_way = 0  # requests
        self.fuse = Fuse(sink.breaker.failures, sink.breaker.pause)
        self._bucket = Bucket(sink.limits.rate) if sink.limits.rate else None
        self._batch = sink.batch.events if sink.batch else 1
        self._lease = sink.limits.timeout * max(1, len(sink.steps)) + LEASE_MARGIN
        self._gather = False  # the last claim did not fill a batch: give the next one time to fill

    async def run(self) -> None:
        """Claim and deliver until stopped; then wait for what is under way."""
        async with anyio.create_task_group() as tasks:
            while not self.stopping:
                try:
                    await self._once(tasks)
                except GatewayError as error:
                    telemetry.worker_stumbled(self.name, str(error))
                    await self._rest(STORE_PAUSE)
        self.idle.set()

    async def _once(self, tasks: TaskGroup) -> None:
        """One claim, handed out; or a rest, when there is nothing to claim or no room."""
        pause = self.fuse.wait(self.pipeline.clock())
        room = (1 if self.fuse.blown else self.sink.limits.concurrency) - self.under_way
        if pause or room <= 0:
            await self._rest(pause or LONGEST_REST)
            return
        claimed = await self._claim(room * self._batch if not self.fuse.blown else 1)
        for first in range(0, len(claimed), self._batch):
            await self._keep_pace()
            self.under_way += 1
            tasks.start_soon(self._deliver, claimed[first : first + self._batch])
        if not claimed:
            await self._rest(await self._until_due())
        elif self._gather and self.sink.batch:
            await anyio.sleep(self.sink.batch.wait)

    async def _claim(self, limit: int) -> list[Delivery]:
        now, line = self.pipeline.clock(), self.pipeline.config.settings.line
        if self.fuse.blown:
            await self.pipeline.store.release(sink=self.name, states=("parked",), now=now)
        claimed = await self.pipeline.store.claim(self.name, limit, now=now, lease=self._lease, line=line)
        self._gather = len(claimed) < self._batch
        return claimed

    async def _deliver(self, deliveries: Sequence[Delivery]) -> None:
        try:
            results = await self.pipeline.deliver(self.name, deliveries)
            self._learn(results)
        except GatewayError as error:  # the store refused the result: the lease ends, and it is tried again
            telemetry.worker_stumbled(self.name, str(error))
        finally:
            self.under_way -= 1
            self.woken.set()

    def _learn(self, results: Sequence[Result]) -> None:
        """What the results say about the sink itself."""
        now = self.pipeline.clock()
        verdicts = [result.attempt.verdict for result in results if result.attempt is not None]
        if "park" in verdicts:
            if self.fuse.failed(now, at_once=True):
                telemetry.sink_paused(self.name, results[0].verdict)
        elif "delivered" in verdicts or "dead" in verdicts:
            if self.fuse.succeeded():
                telemetry.sink_resumed(self.name)
        elif verdicts and self.fuse.failed(now):
            telemetry.sink_paused(self.name, results[0].verdict)

    async def _keep_pace(self) -> None:
        while self._bucket is not None and (wait := self._bucket.wait(self.pipeline.clock())):  # noqa: ASYNC110 - time is what is waited for
            await anyio.sleep(wait)

    async def _until_due(self) -> float:
        now = self.pipeline.clock()
        due = await self.pipeline.store.next_due(self.name, now=now)
        return LONGEST_REST if due is None else max(SHORTEST_REST, due - now)

    async def _rest(self, seconds: float) -> None:
        with anyio.move_on_after(min(seconds, LONGEST_REST)):
            await self.woken.wait()
        self.woken = anyio.Event()
