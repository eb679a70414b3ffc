"""
Kafka: `kafka://broker:9092/topic`, or `kafka+tls://`; several brokers stand between commas. The body is one record, which all
replicas in sync have before it counts as delivered. `Kafka-Key` among the headers, percent-encoded, is its key; the others become
its own.
`?sasl=SCRAM-SHA-512` says how a name and a password prove themselves; by itself PLAIN.

The answer's JSON has the `topic`, its `partition`, and the `offset` there.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from typing import Any
from urllib.parse import unquote

import anyio
from aiokafka import AIOKafkaProducer
from aiokafka import errors as refusals

from ..causes import explained
from ..errors import Undelivered
from ..model import Request, Response
from .brokers import PAUSE, UNREADABLE, WAY, InClear, Unanswered, Way
from .parts import Target, authority, credentials, target, unsendable

PATIENCE = 5_000  # milliseconds for which a broker that is not ready is asked again: a leader that moves takes some
LARGEST = 64 * 1024 * 1024  # bytes of a record: the broker has a bound of its own, and says so
FAREWELL = 0.3  # seconds
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
    refusals.NodeNotReadyError,
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
    to, way = brokers[0], Way([], [])
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", to.path):
        raise unsendable("the path of its address is the topic: kafka://broker:9092/alerts")
    key = next((unquote(value) for name, value in request.headers.items() if name.lower() == "kafka-key"), "")
    headers = [(name, value.encode()) for name, value in request.headers.items() if name.lower() not in NOT_SENT]
    producer = AIOKafkaProducer(
        bootstrap_servers=[authority(each.host, each.port) for each in brokers],
        client_id="webhook-gateway",
        acks="all",
        request_timeout_ms=PATIENCE,
        retry_backoff_ms=PAUSE,
        max_request_size=LARGEST,
        **_security(request, to, context),
    )
    before = WAY.set(way)
    try:
        await producer.start()
        way.failed.clear()  # of several brokers one was enough
        stored = await producer.send_and_wait(to.path, request.content, key=key.encode() or None, headers=headers)
    except refusals.KafkaError as error:
        raise _undelivered(error, to, way) from None
    except UNREADABLE as error:
        raise Undelivered(f"what answers there is no Kafka: {type(error).__name__}", reason="protocol") from None
    finally:
        WAY.reset(before)
        await _end(producer, way)
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


def _undelivered(error: refusals.KafkaError, to: Target, way: Way) -> Undelivered:
    if isinstance(error, UNHEARD) and way.failed:
        error = way.failed.pop()
    said = getattr(error, "message", "") or str(error).removeprefix(f"{type(error).__name__}: ")
    match error:
        case OSError():
            return _unreached(error)
        case refusals.UnknownTopicOrPartitionError():
            return Undelivered(f"there is no topic {to.path}", reason="credentials", retryable=False)
        case _ if isinstance(error, OURS_TO_MEND):
            return Undelivered(f"the broker refuses us: {said}", reason="credentials", retryable=False)
        case _ if isinstance(error, UNHEARD):
            return Undelivered(f"no broker answers: {said}", reason="connect")
        case Unanswered():
            return Undelivered(f"no broker answers: {said}", reason="connect", unknown=True)
    return Undelivered(f"the broker refuses it: {said}", reason="refused", retryable=not isinstance(error, NEVER))


def _unreached(error: OSError) -> Undelivered:
    if isinstance(error, InClear):
        return Undelivered("a password goes over TLS only: kafka+tls://", reason="tls", retryable=False)
    if isinstance(error, TimeoutError) and error.errno is None:
        return Undelivered(f"no broker answers within {PATIENCE / 1000:g} s", reason="connect")
    return Undelivered(explained(error, "no connection", "kafka+tls"), reason="connect")


async def _end(producer: AIOKafkaProducer, way: Way) -> None:
    """
    At once: what was to be heard was heard, and what was not is tried again as another delivery. Its own `stop` would wait for
    what is under way, and for a broker that reads nothing.
    """
    producer._closed, client, sender = True, producer.client, producer._sender  # noqa: SLF001 - there is no other switch
    tasks = [task for task in (sender.sender_task, client._sync_task) if task is not None]  # noqa: SLF001
    for connection in way.connections:
        connection.abort()
    with anyio.move_on_after(FAREWELL, shield=True):
        for _ in range(2):  # the first has the sender wait for what is under way, the second ends that, too
            for task in tasks:
                task.cancel()
            await asyncio.sleep(0)
        await asyncio.gather(*tasks, return_exceptions=True)
