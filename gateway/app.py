"""The only place that builds and joins things: configuration, store, client, pipeline, worker, timers, door."""

from __future__ import annotations

import gc
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio
import uvicorn
from msgspec import Struct

from . import telemetry
from .config import Config
from .errors import GatewayError
from .outbound import Client
from .pipeline import Pipeline
from .reload import Reloads
from .replay import Replays
from .store import Store, open_store
from .timers import Timers
from .web import build
from .web.protocol import bounded
from .worker import Worker


class Check(Struct, frozen=True):
    """One line of `/readyz`."""

    ok: bool
    detail: str = ""


class State:
    """What the door asks about the rest: whether it is ready, whether it is going down."""

    def __init__(self, reloads: Reloads, pipeline: Pipeline, worker: Worker) -> None:
        self.draining, self.exit_code = False, 0
        self._since = 0.0
        self._reloads, self._pipeline, self._worker = reloads, pipeline, worker

    def drain(self) -> None:
        """From now on nothing new is taken in."""
        self.draining, self._since = True, time.monotonic()

    def left(self, within: float) -> float:
        """Seconds that are left of so many since then."""
        return max(0.0, self._since + within - time.monotonic())

    async def ready(self) -> dict[str, Check]:
        """Every check by name. A sink that is dead or off does not make the gateway unready."""
        return {
            "store": await self._store_check(),
            "worker": Check(ok=self._worker.running, detail="" if self._worker.running else "the worker has stopped"),
            "config": Check(ok=True, detail=self._configuration()),
            "draining": Check(ok=not self.draining, detail="going down" if self.draining else ""),
        }

    def _configuration(self) -> str:
        """What runs; a change that was refused makes nobody unready, and is said here."""
        config, broken = self._pipeline.config, len(self._reloads.loaded.problems)
        running = f"providers: {len(config.providers)}, sinks on: {len(config.sinks)}"
        return (
            f"{running}; the files are broken since (problems: {broken}), and what was loaded before runs" if broken else running
        )

    async def _store_check(self) -> Check:
        try:
            await self._pipeline.store.ping()
        except GatewayError as error:
            return Check(ok=False, detail=str(error))
        return Check(ok=True)


class Server(uvicorn.Server):
    """uvicorn, without its habit of raising the signal again: what is under way ends first."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(
    config: Config,
    load: Callable[[], Config],
    look: Callable[[], object],
    greet: Callable[[Config], None] = lambda config: None,
) -> int:
    """
    Serve a configuration until told to stop, and `load` it anew when `look` sees a change. `greet` is called when nothing can go
    wrong any more. Returns 0, or 128 and the signal's number where a second one said not to wait for what is under way. Raises
    StoreError when the store cannot be opened.
    """
    telemetry.set_up(dev=config.dev, mask=config.secrets.mask)
    store = open_store(config.settings.store)
    greet(config)
    _collect_less()
    try:
        return anyio.run(_serve, config, store, load, look, backend_options={"use_uvloop": True})
    finally:
        telemetry.finish()


YOUNG = 50_000  # objects that Python may have made, and not given up, before it looks for what nothing leads to


def _collect_less() -> None:
    """As Python does it by itself, it would look through everything again and again while it reads one large body."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 10, 10)


async def _serve(config: Config, store: Store, load: Callable[[], Config], look: Callable[[], object]) -> int:
    to_us, to_sinks = _connections(sum(sink.limits.concurrency for sink in config.sinks.values()))
    client = Client(connections=to_sinks)
    pipeline = Pipeline(config, store, client)
    worker, timers, replays = Worker(pipeline), Timers(pipeline), Replays(pipeline)
    reloads = Reloads(pipeline, worker, load, look)
    state = State(reloads, pipeline, worker)
    server = _server(config, build(pipeline, store, replays, reloads, state), to_us)
    _tell(config)
    await store.settle([*config.sinks, *config.off], now=pipeline.clock(), ticks=pipeline.ticks())
    await store.release(states=("parked",), now=pipeline.clock())  # a secret may have been mended
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_stop_on_signal, server, state, worker, tasks.cancel_scope)
            tasks.start_soon(worker.run)
            tasks.start_soon(timers.run)
            tasks.start_soon(reloads.watch)
            tasks.start_soon(_reload_on_signal, reloads)
            await server.serve()
            await worker.stop(state.left(config.settings.drain))
            tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await client.close()
            await store.close()
        telemetry.stopped()
    return state.exit_code


def _server(config: Config, door: object, connections: int) -> Server:
    return Server(
        uvicorn.Config(
            door,  # type: ignore[arg-type]  # uvicorn's own ASGI type is narrower than the protocol
            host=config.settings.host,
            port=config.settings.port,
            http=bounded(connections),
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=bool(config.settings.trusted_proxies),
            forwarded_allow_ips=[network.text for network in config.settings.trusted_proxies],
            lifespan="on",
            timeout_graceful_shutdown=config.settings.drain,  # type: ignore[arg-type]  # a float does as well
        )
    )


OURS = 256  # descriptors that are for neither senders nor sinks: the database, the log, and room for what a reload adds
MOST_CONNECTIONS = 16_384


def _connections(wanted_by_sinks: int) -> tuple[int, int]:
    """
    How many senders and how many sinks may be connected, within what there are descriptors for: one more, and nothing could be
    opened, not even the database. Sinks get what they may all use at once, but leave the senders half.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    best = OURS + wanted_by_sinks + MOST_CONNECTIONS
    wanted = best if hard == resource.RLIM_INFINITY else min(hard, best)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    room = max(32, max(soft, wanted) - OURS)
    senders = min(MOST_CONNECTIONS, max(room - wanted_by_sinks, room // 2))
    return senders, room - senders


async def _stop_on_signal(server: Server, state: State, worker: Worker, everything: anyio.CancelScope) -> None:
    """The first signal ends what is under way within `drain`, deliveries and requests side by side; the second one everything."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            telemetry.stopping(signal.Signals(number).name)
            if state.draining:
                state.exit_code = 128 + number
                everything.cancel()
            else:
                state.drain()
                server.should_exit = True
                worker.halt()


async def _reload_on_signal(reloads: Reloads) -> None:
    with anyio.open_signal_receiver(signal.SIGHUP) as signals:
        async for _ in signals:
            try:
                await reloads.reload()
            except GatewayError as error:  # the store refuses; the new configuration runs all the same
                telemetry.worker_stumbled("reload", str(error))


def _tell(config: Config) -> None:
    telemetry.started(config.settings.host, config.settings.port, providers=list(config.providers), sinks=list(config.sinks))
    if not config.sinks:
        telemetry.no_sink_is_on()
    if config.unverified:
        telemetry.sinks_unverified(config.unverified)
    for name in config.off:
        if f"sinks.d/{name}" not in config.shipped:
            telemetry.sink_off(name, config.off[name])
    if opened := [name for name in config.providers if config.is_open(name)]:
        telemetry.providers_open(opened)
    for name in config.providers:
        own = f"providers.d/{name}" not in config.shipped
        if own and name not in opened and (unset := config.providers[name].auth.unset(config.secrets)):
            telemetry.provider_closed(name, unset)
