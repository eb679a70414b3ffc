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
from .courier import patience
from .errors import GatewayError
from .model import Attempt, Delivery
from .pace import Buckets, Fuse, Pace, Turns
from .pipeline import STORE_PAUSE, TIME_TO_WRITE
from .store import Result

if TYPE_CHECKING:
    from .config.schema import Sink
    from .pipeline import Pipeline

LEASE_MARGIN = TIME_TO_WRITE + 5.0  # seconds that a lease outlasts the courier's patience: to write down what came of it
LONGEST_REST = 30.0  # seconds after which a lane looks again, though nobody woke it
SHORTEST_REST = 0.05  # seconds between looks at a store that says something is due and gives nothing


class Worker:
    """Runs the lanes of every sink that is on."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.lanes = {name: Lane(pipeline, name) for name in pipeline.config.sinks}
        self.running = False
        self._stopped = anyio.Event()
        self._tasks: TaskGroup | None = None
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
            async with anyio.create_task_group() as self._tasks:
                for lane in self.lanes.values():
                    self._tasks.start_soon(lane.run)
                await self._stopped.wait()
        finally:
            self.running = False

    def follow(self) -> None:
        """The configuration is another one: sinks that are new get a lane; one whose sink is gone rests, as it may come back."""
        for name in self.pipeline.config.sinks:
            if name not in self.lanes:
                self.lanes[name] = Lane(self.pipeline, name)
                if self._tasks is not None:
                    self._tasks.start_soon(self.lanes[name].run)
        self.wake(self.lanes)

    def halt(self) -> None:
        """Claim nothing more."""
        self._stopped.set()
        for lane in self.lanes.values():
            lane.stop()

    async def stop(self, within: float) -> None:
        """Claim nothing more, and give what is under way so many seconds to end."""
        self.halt()
        with anyio.move_on_after(within if self.running else 0):
            for lane in self.lanes.values():
                await lane.idle.wait()


class Lane:
    """One sink's share of the work: claims when there is something to do and room to do it."""

    def __init__(self, pipeline: Pipeline, name: str) -> None:
        self.pipeline, self.name = pipeline, name
        self.woken, self.idle, self._stopped = anyio.Event(), anyio.Event(), anyio.Event()
        self.under_way = 0  # requests
        self._gather = False  # the last claim did not fill a batch: give the next one time to fill
        self._asked_at = 0.0  # what was due by then was claimed, or waits behind another
        self._bucket: Buckets | None = None
        self._turns: Turns | None = None
        self._take_on(pipeline.config.sinks[name])

    def _take_on(self, sink: Sink) -> None:
        """Work for the sink as its file now says. A rate that stays keeps its bucket; the sink is tried at once."""
        self.sink, self._mark = sink, self.pipeline.config.marks.get(self.name, "")
        self.fuse = Fuse(sink.breaker.failures, sink.breaker.pause)
        self._refused: set[str] = set()  # deliveries to which the door was locked
        self._rests_until = 0.0  # by the steady clock: a sink may say that it wants nothing more for a while
        rate = sink.limits.rate
        if rate is None or self._bucket is None or self._bucket.rates != rate:
            self._bucket = Buckets(rate) if rate is not None else None
        each = sink.limits.each
        if each is None or self._turns is None or self._turns.rates != each.rate:
            self._turns = Turns(each.rate) if each is not None else None
        self._batch = sink.batch.events if sink.batch else 1
        self._lease = patience(sink) + LEASE_MARGIN

    def _keep_up(self, sink: Sink) -> None:
        """Whether the configuration is another one is seen by the object, whether it says something else by its mark."""
        if sink is not self.sink and self.pipeline.config.marks.get(self.name, "") != self._mark:
            if self.fuse.blown:
                telemetry.sink_resumed(self.name)
            self._take_on(sink)
        self.sink = sink

    def stop(self) -> None:
        """Claim nothing more."""
        self._stopped.set()
        self.woken.set()

    async def run(self) -> None:
        """Claim and deliver until stopped; then wait for what is under way."""
        try:
            async with anyio.create_task_group() as tasks:
                while not self._stopped.is_set():
                    await self._carry_on(tasks)
        finally:
            self.idle.set()

    async def _carry_on(self, tasks: TaskGroup) -> None:
        """One look, whatever comes of it: a lane that stops would be noticed by nobody but who waits for its alerts."""
        try:
            await self._once(tasks)
        except GatewayError as error:
            telemetry.worker_stumbled(self.name, str(error))
            await self._rest(STORE_PAUSE)
        except Exception as error:  # noqa: BLE001 - see above
            telemetry.failed_unexpectedly(f"sink {self.name}", error)
            await self._rest(STORE_PAUSE)

    async def _once(self, tasks: TaskGroup) -> None:
        """One claim, handed out; or a rest, when there is nothing to claim or no room."""
        sink = self.pipeline.config.sinks.get(self.name)
        if sink is None:
            await self._rest(LONGEST_REST)
            return
        self._keep_up(sink)
        pause, room = self._pause(), self._room()
        if pause or room <= 0:
            await self._rest(pause or LONGEST_REST)
            return
        limit = room * self._batch if not self.fuse.blown else 1
        claimed = await self._claim(limit)
        for first in range(0, len(claimed), self._batch):
            if self._bucket is not None:
                self._bucket.take()
            self.under_way += 1
            tasks.start_soon(self._deliver, claimed[first : first + self._batch])
        if claimed and self._gather and self.sink.batch:
            await self._gather_for(self.sink.batch.wait)
        elif len(claimed) < limit:  # that was all
            await self._rest(await self._until_due())

    def _pause(self) -> float:
        """Seconds for which nothing may be begun: what is claimed is sent at once, so that its lease holds."""
        ticks, store = self.pipeline.ticks(), STORE_PAUSE if self.pipeline.unwritten else 0.0
        return max(
            store,
            self._rests_until - ticks,
            self.fuse.wait(ticks),
            self._bucket.missing(ticks) if self._bucket is not None else 0.0,
        )

    def _room(self) -> int:
        """How many requests may be begun."""
        room = (1 if self.fuse.blown else self.sink.limits.concurrency) - self.under_way
        return room if self._bucket is None else min(room, self._bucket.whole(self.pipeline.ticks()))

    async def _claim(self, limit: int) -> list[Delivery]:
        now, ticks, line = self.pipeline.clock(), self.pipeline.ticks(), self.pipeline.config.settings.line
        self._asked_at = now
        if self.fuse.blown:
            await self.pipeline.store.release(sink=self.name, states=("parked",), now=now)
        claimed = await self.pipeline.store.claim(self.name, limit, now=now, ticks=ticks, lease=self._lease, line=line)
        self._gather = len(claimed) < self._batch
        return claimed

    async def _deliver(self, deliveries: Sequence[Delivery]) -> None:
        try:
            if self.name not in self.pipeline.config.sinks:
                return  # its file has just gone, and the store buries what was claimed for it
            pace = Pace(self.pipeline.ticks, self._bucket, self._turns, paid=1)  # for the request that it was claimed for
            results = await self.pipeline.deliver(self.name, deliveries, pace)
            self._learn(results)
        except GatewayError as error:  # the store refused the result: the lease ends, and it is tried again
            telemetry.worker_stumbled(self.name, str(error))
        except Exception as error:  # noqa: BLE001 - the same, and the lane goes on
            telemetry.failed_unexpectedly(f"sink {self.name}", error)
        finally:
            self.under_way -= 1
            self.woken.set()

    def _learn(self, results: Sequence[Result]) -> None:
        """What the results say about the sink itself."""
        now = self.pipeline.ticks()
        if rest := max(result.rest for result in results):
            self._rests_until = max(self._rests_until, now + rest)
            telemetry.sink_rests(self.name, rest)
        tries = [(result.attempt, result.verdict) for result in results if result.attempt]
        if self._refuses_again(results):
            return
        locked = [verdict for attempt, verdict in tries if attempt.verdict == "park"]
        failed = [verdict for attempt, verdict in tries if attempt.verdict == "retry"]
        if not locked and any(_is_alive(attempt) for attempt, _ in tries):
            if self.fuse.succeeded():
                telemetry.sink_resumed(self.name)
        elif (locked or failed) and self.fuse.failed(now, at_once=bool(locked)):
            telemetry.sink_paused(self.name, (locked or failed)[0])

    def _refuses_again(self, results: Sequence[Result]) -> bool:
        """Whether the sink, while it takes others, refuses what it refused before: that stays parked, and is no locked door."""
        parked = {result.delivery.id for result in results if result.attempt and result.attempt.verdict == "park"}
        again = bool(parked) and parked <= self._refused and not self.fuse.blown
        self._refused |= parked
        return again

    async def _until_due(self) -> float:
        now = self.pipeline.clock()
        due = await self.pipeline.store.next_due(self.name, now=now, ticks=self.pipeline.ticks(), since=self._asked_at)
        return LONGEST_REST if due is None else max(SHORTEST_REST, due - now)

    async def _rest(self, seconds: float) -> None:
        with anyio.move_on_after(min(seconds, LONGEST_REST)):
            await self.woken.wait()
        self.woken = anyio.Event()

    async def _gather_for(self, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await self._stopped.wait()


def _is_alive(attempt: Attempt) -> bool:
    """Whether the sink took it, or refused it with an answer of its own; what cannot be rendered says nothing of the sink."""
    return attempt.verdict == "delivered" or (attempt.verdict in ("dead", "split") and attempt.status is not None)
