"""Another configuration while running: built whole, then swapped in by one assignment. A broken one changes nothing, loudly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from msgspec import Struct

from . import telemetry
from .config.problems import Problem
from .errors import ConfigError, GatewayError
from .expr import rfc3339

if TYPE_CHECKING:
    from .config import Config
    from .pipeline import Pipeline
    from .worker import Worker

EVERY = 2.0  # seconds between looks at the files
AT_START = ("host", "port", "store", "trusted_proxies", "drain")  # settings that are read once


class Loaded(Struct, frozen=True, kw_only=True):
    """What runs, and what came of the last change of the files: `problems` keep what was loaded before running."""

    loaded_at: str
    problems: tuple[Problem, ...] = ()
    restart: tuple[str, ...] = ()  # settings that changed and wait for a restart


class Reloads:
    """`load` builds the configuration anew, raising ConfigError; `look` gives something that differs when a file has changed."""

    def __init__(self, pipeline: Pipeline, worker: Worker, load: Callable[[], Config], look: Callable[[], object]) -> None:
        self._pipeline, self._worker, self._load, self._look = pipeline, worker, load, look
        self._started_with = pipeline.config.settings
        self._lock = anyio.Lock()
        self.loaded = Loaded(loaded_at=self._now())

    async def reload(self) -> Loaded:
        """Take up what the files and secrets now say. What is under way ends with the configuration it began with."""
        async with self._lock:
            try:
                config = await anyio.to_thread.run_sync(self._load, abandon_on_cancel=True)
            except ConfigError as error:
                return self._refuse(error.problems)
            except Exception as error:  # noqa: BLE001 - whatever the disk says of the files, what was loaded before goes on
                return self._refuse([Problem("configuration", 1, 1, "unreadable", f"the files cannot be read: {error}")])
            return await self._swap(config)

    async def watch(self) -> None:
        """Reload when a file has changed and stays as it is until the next look, so that a half-written one is not read."""
        taken = seen = await self._glance()
        while True:
            await anyio.sleep(EVERY)
            now = await self._glance()
            if now == seen != taken:
                taken = now
                try:
                    await self.reload()
                except GatewayError as error:  # the store refuses; the new configuration runs all the same
                    telemetry.worker_stumbled("reload", str(error))
            seen = now

    async def _glance(self) -> object:
        """What the files look like; a disk that cannot be read looks like itself, and stops nobody."""
        try:
            return await anyio.to_thread.run_sync(self._look, abandon_on_cancel=True)
        except OSError as error:
            return type(error), error.errno

    async def _swap(self, config: Config) -> Loaded:
        before, self._pipeline.config = self._pipeline.config, config
        config.secrets.conceal_those_of(before.secrets)
        telemetry.conceal(config.secrets.mask)
        mended = [name for name, mark in config.marks.items() if before.marks.get(name) != mark]
        restart = tuple(
            name for name in AT_START if _said(getattr(config.settings, name)) != _said(getattr(self._started_with, name))
        )
        self.loaded = Loaded(loaded_at=self._now(), restart=restart)
        self._worker.follow()
        telemetry.reloaded(providers=sorted(config.providers), sinks=sorted(config.sinks), changed=mended, restart=restart)
        if config.unverified:
            telemetry.sinks_unverified(config.unverified)
        store, now = self._pipeline.store, self._pipeline.clock()
        if died := await store.settle([*config.sinks, *config.off], now=now, ticks=self._pipeline.ticks()):
            telemetry.deliveries_orphaned(died)
        for sink in mended:
            await store.release(sink=sink, states=("parked",), now=now)
        self._worker.wake(config.sinks)
        return self.loaded

    def _refuse(self, problems: Sequence[Problem]) -> Loaded:
        self.loaded = Loaded(loaded_at=self.loaded.loaded_at, problems=tuple(problems), restart=self.loaded.restart)
        telemetry.reload_refused([str(problem) for problem in problems])
        return self.loaded

    def _now(self) -> str:
        return rfc3339(datetime.fromtimestamp(self._pipeline.clock(), UTC))


def _said(value: object) -> object:
    return [str(each) for each in value] if isinstance(value, list) else value
