"""The only place that builds and joins things: configuration, store, client, pipeline, worker, timers, door."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import uvicorn
from msgspec import Struct

from . import telemetry
from .config import Config
from .errors import GatewayError
from .outbound import Client
from .pipeline import Pipeline
from .replay import Replays
from .store import Store, open_store
from .timers import Timers
from .web import build
from .worker import Worker


class Check(Struct, frozen=True):
    """One line of `/readyz`."""

    ok: bool
    detail: str = ""


class State:
    """What the door asks about the rest: whether it is ready, whether it is going down."""

    def __init__(self, config: Config, store: Store, worker: Worker) -> None:
        self.draining = False
        self._config, self._store, self._worker = config, store, worker

    async def ready(self) -> dict[str, Check]:
        """Every check by name. A sink that is dead or off does not make the gateway unready."""
        return {
            "store": await self._store_check(),
            "worker": Check(ok=self._worker.running, detail="" if self._worker.running else "the worker has stopped"),
            "config": Check(ok=True, detail=f"providers: {len(self._config.providers)}, sinks on: {len(self._config.sinks)}"),
            "draining": Check(ok=not self.draining, detail="going down" if self.draining else ""),
        }

    async def _store_check(self) -> Check:
        try:
            await self._store.ping()
        except GatewayError as error:
            return Check(ok=False, detail=str(error))
        return Check(ok=True)


class Server(uvicorn.Server):
    """uvicorn, without its habit of raising the signal again: what is under way ends first."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(config: Config) -> None:
    """Serve until told to stop. Raises StoreError when the store cannot be opened."""
    telemetry.set_up(dev=config.dev, secrets=config.secrets.revealed)
    store = open_store(config.settings.store)
    anyio.run(_serve, config, store, backend_options={"use_uvloop": True})


async def _serve(config: Config, store: Store) -> None:
    client = Client()
    pipeline = Pipeline(config, store, client)
    worker, timers, replays = Worker(pipeline), Timers(pipeline), Replays(pipeline)
    state = State(config, store, worker)
    server = _server(config, build(pipeline, store, replays, state))
    _tell(config)
    await store.settle([*config.sinks, *config.off], now=pipeline.clock())
    await store.release(states=("parked",), now=pipeline.clock())  # a secret may have been mended
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_stop_on_signal, server, state)
            tasks.start_soon(worker.run)
            tasks.start_soon(timers.run)
            await server.serve()
            await worker.stop(config.settings.drain)
            tasks.cancel_scope.cancel()
    finally:
        await client.close()
        await store.close()
        telemetry.stopped()


def _server(config: Config, door: object) -> Server:
    return Server(
        uvicorn.Config(
            door,  # type: ignore[arg-type]  # uvicorn's own ASGI type is narrower than the protocol
            host=config.settings.host,
            port=config.settings.port,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=bool(config.settings.trusted_proxies),
            forwarded_allow_ips=[network.text for network in config.settings.trusted_proxies],
            lifespan="on",
            timeout_graceful_shutdown=int(config.settings.drain),
            h11_max_incomplete_event_size=64 * 1024,
        )
    )


async def _stop_on_signal(server: Server, state: State) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            if state.draining:
                server.force_exit = True
            state.draining = server.should_exit = True
            telemetry.stopping(signal.Signals(number).name)


def _tell(config: Config) -> None:
    telemetry.started(config.settings.host, config.settings.port, providers=list(config.providers), sinks=list(config.sinks))
    for name, reason in config.off.items():
        telemetry.sink_off(name, reason, shipped=f"sinks.d/{name}" in config.shipped)
    for name, provider in config.providers.items():
        unset = provider.auth.unset(config.secrets)
        if config.is_open(name):
            telemetry.provider_open(name, unset)
        elif not provider.auth.ready(config.secrets) and f"providers.d/{name}" not in config.shipped:
            telemetry.provider_closed(name, unset)
