"""
Kafka: `kafka://broker:9092/topic`, or `kafka+tls://`; several brokers stand between commas. The body is one record, which all
replicas in sync have before it counts as delivered. `Kafka-Key` among the headers, percent-encoded, is its key; the others become
its own.
`?sasl=SCRAM-SHA-512` says how a name and a password prove themselves; by itself PLAIN.

The answer's JSON has the `topic`, its `partition`, and the `offset` there.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote

from aiokafka import AIOKafkaProducer, conn
from aiokafka import errors as refusals

from ..causes import explained
from ..errors import Undelivered
from ..model import Request, Response
from ..transport import connected
from .parts import Target, credentials, target, unsendable

PATIENCE = 5_000  # milliseconds for which a broker that is not ready is asked again: a leader that moves takes some
PAUSE = 100  # milliseconds
LARGEST = 64 * 1024 * 1024  # bytes of a record: the broker has a bound of its own, and says so
FAREWELL = 0.3  # seconds
UNREADABLE = (AssertionError, LookupError, TypeError, ValueError)  # what the library raises where it reads nonsense
NOT_SENT = frozenset({"authorization", "content-type", "kafka-key"})
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
NEVER = (  # it is the record that is wrong, now and later
    refusals.InvalidTimestampError,
    refusals.InvalidTopicError,
    refusals.MessageSizeTooLargeError,
    refusals.PolicyViolationError,
    refusals.RecordListTooLargeError,
    refusals.UnsupportedForMessageFormatError,
)
UNHEARD = (  # where the library has tried for a while
    refusals.KafkaConnectionError,
    refusals.KafkaTimeoutError,
    refusals.RequestTimedOutError,
    refusals.UnknownTopicOrPartitionError,
)
OURS_TO_MEND = (
    refusals.AuthenticationFailedError,
    refusals.AuthenticationMethodNotSupported,
    refusals.ClusterAuthorizationFailedError,
    refusals.SaslAuthenticationFailed,
    refusals.TopicAuthorizationFailedError,
    refusals.UnsupportedSaslMechanismError,
)


async def send(request: Request, context: ssl.SSLContext) -> Response:
    """Have one record written, and wait for the broker's word. Raises Undelivered."""
    brokers = _brokers(request.url)
    to, met = brokers[0], _MET.set([])
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", to.path):
        raise unsendable("the path of its address is the topic: kafka://broker:9092/alerts")
    key = next((unquote(value) for name, value in request.headers.items() if name.lower() == "kafka-key"), "")
    headers = [(name, value.encode()) for name, value in request.headers.items() if name.lower() not in NOT_SENT]
    producer = AIOKafkaProducer(
        bootstrap_servers=[f"[{each.host}]:{each.port}" if ":" in each.host else f"{each.host}:{each.port}" for each in brokers],
        client_id="webhook-gateway",
        acks="all",
        request_timeout_ms=PATIENCE,
        retry_backoff_ms=PAUSE,
        max_request_size=LARGEST,
        **_security(request, to, context),
    )
    begun = False
    try:
        await producer.start()
        begun = True
        _MET.get().clear()  # of several brokers one was enough
        stored = await producer.send_and_wait(to.path, request.content, key=key.encode() or None, headers=headers)
    except refusals.KafkaError as error:
        raise _undelivered(error, to, begun=begun) from None
    except UNREADABLE as error:
        message = f"what answers there is no Kafka: {type(error).__name__}"
        raise Undelivered(message, reason="protocol", unknown=begun) from None
    finally:
        await _end(producer)
        _MET.reset(met)
    told = {"topic": stored.topic, "partition": stored.partition, "offset": stored.offset}
    return Response(status=200, text=f"{stored.topic}/{stored.partition} {stored.offset}", json=told)


def _brokers(url: str) -> list[Target]:
    scheme, _, rest = url.partition("://")
    hosts, slash, path = rest.partition("/")
    return [target(f"{scheme}://{host}{slash}{path}") for host in hosts.split(",")]


def _security(request: Request, to: Target, context: ssl.SSLContext) -> dict[str, Any]:
    secure, (name, password) = to.scheme == "kafka+tls", credentials(request.headers)
    how: dict[str, Any] = {"security_protocol": "SSL" if secure else "PLAINTEXT", "ssl_context": context if secure else None}
    if not password:
        return how
    mechanism = to.query.get("sasl", MECHANISMS[0])
    if mechanism not in MECHANISMS:
        raise unsendable(f"`sasl` in its address is one of {', '.join(MECHANISMS)}")
    how["security_protocol"] = f"SASL_{how['security_protocol']}"
    return how | {"sasl_mechanism": mechanism, "sasl_plain_username": name, "sasl_plain_password": password}


def _undelivered(error: refusals.KafkaError, to: Target, *, begun: bool) -> Undelivered:
    if isinstance(error, UNHEARD) and _MET.get():
        error = _MET.get().pop()
    said = getattr(error, "message", "") or str(error).removeprefix(f"{type(error).__name__}: ")
    match error:
        case OSError():
            return _unreached(error)
        case refusals.UnknownTopicOrPartitionError():
            return Undelivered(f"there is no topic {to.path}", reason="credentials", retryable=False)
        case _ if isinstance(error, OURS_TO_MEND):
            return Undelivered(f"the broker refuses us: {said}", reason="credentials", retryable=False)
        case _ if isinstance(error, UNHEARD):
            return Undelivered(f"no broker answers: {said}", reason="connect", unknown=begun)
    return Undelivered(f"the broker refuses it: {said}", reason="refused", retryable=not isinstance(error, NEVER))


def _unreached(error: OSError) -> Undelivered:
    if isinstance(error, _InClear):
        return Undelivered("a password goes over TLS only: kafka+tls://", reason="tls", retryable=False)
    if isinstance(error, TimeoutError) and error.errno is None:
        return Undelivered(f"no broker answers within {PATIENCE / 1000:g} s", reason="connect")
    return Undelivered(explained(error, "no connection", "kafka+tls"), reason="connect")


async def _end(producer: AIOKafkaProducer) -> None:
    """At once: what was to be heard was heard, and what was not is tried again as another delivery."""
    with suppress(TimeoutError, refusals.KafkaError, OSError):
        async with asyncio.timeout(FAREWELL):
            await producer.stop()
    with suppress(asyncio.CancelledError):
        await producer._sender.close()  # noqa: SLF001 - it goes on trying otherwise
    await producer.client.close()


class _InClear(OSError):
    """A password would have gone to another machine as it is."""


class _Loop:
    """An event loop whose connections pass the address guard: a broker names further brokers, whatever their addresses are."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, has_password: bool) -> None:
        self._loop, self._has_password = loop, has_password

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def create_connection(self, protocol: Callable[[], Any], host: str, port: int, ssl: Any = None) -> Any:
        made = await connected(self._loop, host, port, socket.SOCK_STREAM)
        if self._has_password and ssl is None and not _is_here(made):
            made.close()
            raise _InClear
        return await self._loop.create_connection(protocol, sock=made, ssl=ssl, server_hostname=host if ssl else None)


class _Connection(conn.AIOKafkaConnection):  # type: ignore[misc]  # the library has no types
    """One that is guarded, and remembers what went wrong."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._loop: Any = _Loop(asyncio.get_running_loop(), has_password=bool(named.get("sasl_plain_password")))

    async def connect(self) -> Any:
        try:
            return await super().connect()
        except (OSError, refusals.KafkaError) as error:
            _MET.get().append(error)
            raise


def _is_here(connection: socket.socket) -> bool:
    return ip_address(str(connection.getpeername()[0]).partition("%")[0]).is_loopback


conn.AIOKafkaConnection = _Connection  # what the library connects with
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it says the same each tenth of a second, and we say it once
_MET: ContextVar[list[OSError | refusals.KafkaError]] = ContextVar(
    "met"
)  # what went wrong with this record's connections; the library only logs it
