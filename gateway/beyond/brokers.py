"""
The connections to Kafka's brokers, as the library makes them: guarded, bounded, and each record sent once. What it meets on one
record's way is in `WAY`.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from aiokafka import conn
from aiokafka import errors as refusals
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.produce import ProduceRequest
from msgspec import Struct

from ..transport import connected
from .parts import is_here

PAUSE = 100  # milliseconds
MOST_HEARD = 16 * 1024 * 1024  # bytes that a broker has to say about one record and where it goes
MOST_ITERATIONS = 1_000_000  # of a password's hash: Kafka has 4,096 by itself
UNREADABLE = (AssertionError, LookupError, TypeError, ValueError)  # what the library raises where it reads nonsense
MAY_BE_KEPT = (refusals.NotEnoughReplicasAfterAppendError, refusals.RequestTimedOutError)  # by some of the replicas


class Way(Struct):
    """What one record met: the connections that were made, and what went wrong with them, which the library only logs."""

    connections: list[asyncio.Transport]
    failed: list[OSError | refusals.KafkaError]


class Unanswered(refusals.KafkaError):  # type: ignore[misc]  # the library has no types
    """It was sent, and may have been kept: to send it once more is for `retry` to say, not for the library."""


class InClear(OSError):
    """A password would have gone to another machine as it is."""


class _Loop:
    """An event loop whose connections pass the address guard: a broker names further brokers, whatever their addresses are."""

    def __init__(self, loop: asyncio.AbstractEventLoop, way: Way, *, has_password: bool) -> None:
        self._loop, self._way, self._has_password = loop, way, has_password

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def create_connection(self, protocol: Callable[[], Any], host: str, port: int, ssl: Any = None) -> Any:
        try:
            made = await connected(self._loop, host, port, socket.SOCK_STREAM)
        except (TypeError, ValueError, OverflowError):
            raise OSError("a broker names an address that is none") from None
        if self._has_password and ssl is None and not is_here(str(made.getpeername()[0])):
            made.close()
            raise InClear
        named = host if ssl else None
        transport, heard = await self._loop.create_connection(protocol, sock=made, ssl=ssl, server_hostname=named)
        self._way.connections.append(transport)
        return transport, heard


class _Protocol(conn.AIOKafkaProtocol):  # type: ignore[misc]
    """One that breaks off where a broker goes on and on."""

    _heard = 0

    def data_received(self, data: bytes) -> None:
        """Takes what came, up to so much."""
        self._heard += len(data)
        if self._heard > MOST_HEARD:
            self._transport.abort()
        else:
            super().data_received(data)


class _Scram(conn.ScramAuthenticator):  # type: ignore[misc]
    """One that works for no broker that has it work for minutes: nothing ends the thread."""

    def create_salted_password(self, salt: bytes, iterations: int) -> None:
        """What a broker asks for, within reason."""
        if iterations > MOST_ITERATIONS:
            raise ValueError
        super().create_salted_password(salt, iterations)


class _Connection(conn.AIOKafkaConnection):  # type: ignore[misc]
    """One that is guarded, remembers what went wrong, and sends a record once."""

    _asked = False

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._way = WAY.get()
        self._loop: Any = _Loop(asyncio.get_running_loop(), self._way, has_password=bool(named.get("sasl_plain_password")))

    async def connect(self) -> Any:
        try:
            return await super().connect()
        except (OSError, refusals.KafkaError) as error:
            self._way.failed.append(error)
            raise

    def send(self, request: Any, **how: Any) -> Any:
        """The answer to a request."""
        if isinstance(request, ProduceRequest):
            return _kept(super().send(request, **how))
        if isinstance(request, MetadataRequest) and self._asked:
            return self._later(request)
        self._asked = isinstance(request, MetadataRequest)
        return super().send(request, **how)

    async def _later(self, request: Any) -> Any:
        """While a partition has no leader, the library asks for it without a pause."""
        await asyncio.sleep(PAUSE / 1000)
        return await super().send(request)


async def _kept(answer: Awaitable[Any]) -> Any:
    """The answer that says whether a record was kept."""
    try:
        said = await answer
        codes = [refusals.for_code(code) for _, partitions in said.topics for _, code, *_ in partitions]
    except TimeoutError:
        raise Unanswered(refusals.RequestTimedOutError.message) from None
    except refusals.KafkaError as error:
        raise Unanswered(*error.args) from None
    except UNREADABLE as error:
        raise Unanswered(f"what answers there is no Kafka: {type(error).__name__}") from None
    for code in codes:
        if code in MAY_BE_KEPT:
            raise Unanswered(code.message)
    return said


conn.AIOKafkaConnection, conn.AIOKafkaProtocol, conn.ScramAuthenticator = _Connection, _Protocol, _Scram  # what it connects with
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it says the same each tenth of a second, and we say it once
WAY: ContextVar[Way] = ContextVar("way")
