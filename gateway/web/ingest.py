"""
The hot door: POST /webhooks/{provider}, one ASGI mount and a dict look-up. Everything a sender can do wrong is refused here or in
the pipeline, in bounded time and memory, with one shape of answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import parse_qsl

import uuid_utils

from .. import telemetry
from ..errors import SecretUnset, StageError, StoreError, Undelivered, Unverifiable, Unverified
from ..model import Webhook
from ..pace import Bucket
from ..stages.answer import Answer
from .errors import Refusal

if TYPE_CHECKING:
    from ..config.schema import Provider
    from ..pipeline import Pipeline

Scope = Any
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

MOST_HEADERS = 100
LARGEST_HEADER = 16 * 1024  # bytes
LARGEST_HEADERS = 32 * 1024  # bytes, all together
MOST_DIGITS = 18  # of an announced length; a longer number is too large in any case
BODY_DEADLINE = 10.0  # seconds
BODY_BUDGET = 64 * 1024 * 1024  # bytes of bodies being read or worked on, over all requests
BUSY = {"retry-after": "5"}
NOTHING: frozenset[str] = frozenset()
NOSNIFF = (b"x-content-type-options", b"nosniff")
SANDBOX = (b"content-security-policy", b"sandbox; default-src 'none'")  # an echo is never a page of ours


class Door:
    """Takes webhooks in. `draining` says whether the gateway is going down; a body may take `patience` seconds to come."""

    def __init__(self, pipeline: Pipeline, draining: Callable[[], bool], *, patience: float = BODY_DEADLINE) -> None:
        self._pipeline, self._draining, self._patience = pipeline, draining, patience
        self.in_flight = 0  # bytes of bodies that are being read or worked on
        self._buckets: dict[str, Bucket] = {}

    async def __call__(self, name: str, rest: str, scope: Scope, receive: Receive, send: Send) -> None:
        """One request to the provider `name`; `rest` is what follows its name in the path."""
        try:
            answer = await self._take(name, rest, scope, receive)
        except Refusal as refusal:
            answer = self._refuse(name, scope, refusal)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not look like the sender's, nor show a payload
            telemetry.failed_unexpectedly("the door", error)
            message = "the gateway failed; nothing was stored, send it again"
            answer = self._refuse(name, scope, Refusal(500, "receive", "fault", message))
        await _send(send, answer)

    def _refuse(self, name: str, scope: Scope, refusal: Refusal) -> Answer:
        telemetry.webhook_refused(
            name if name in self._pipeline.config.providers else "",
            stage=refusal.stage,
            reason=refusal.reason,
            message=refusal.detail,
            status=refusal.status,
            client=_client(scope),
        )
        return Answer(refusal.status, {"content-type": "application/json"} | refusal.headers, refusal.body())

    async def _take(self, name: str, rest: str, scope: Scope, receive: Receive) -> Answer:
        provider = self._pipeline.config.providers.get(name)
        if provider is None:
            raise Refusal(
                404,
                "receive",
                "provider",
                f"there is no provider {name[:60]!r} here" if name else "name a provider: /webhooks/NAME",
            )
        if scope["method"] not in provider.methods:
            allow = ", ".join(provider.methods)
            raise Refusal(405, "receive", "method", f"{name} takes {allow} here", headers={"allow": allow})
        if self._draining():
            raise Refusal(503, "receive", "draining", "the gateway is going down; send it again", headers=BUSY)
        bucket = self._bucket(name, provider)
        headers, repeated = _headers(scope)
        body = b""
        try:
            body = await self._read(headers, provider.body.limit, receive)
            answer = await self._ingest(name, _webhook(name, rest, scope, headers, repeated, body))
        finally:
            self.in_flight -= len(body)
        if bucket is not None:
            bucket.take()  # only what was taken in counts: a stranger's noise uses up nobody's rate
        return answer

    def _bucket(self, name: str, provider: Provider) -> Bucket | None:
        """What keeps the provider's rate; 429 while it is empty."""
        if provider.rate_limit is None:
            return None
        bucket = self._buckets.get(name)
        if bucket is None or bucket.rate != provider.rate_limit:
            bucket = self._buckets[name] = Bucket(provider.rate_limit)
        if wait := bucket.missing(time.monotonic()):
            headers = {"retry-after": str(int(wait) + 1)}
            raise Refusal(429, "receive", "rate", f"{name} sends faster than allowed", headers=headers)
        return bucket

    async def _read(self, headers: Mapping[str, str], limit: int, receive: Receive) -> bytes:
        """The body, and count it as in flight. A chunk is looked at before it is kept."""
        announced = headers.get("content-length", "0").lstrip("0")
        if announced.isascii() and announced.isdigit() and (len(announced) > MOST_DIGITS or int(announced) > limit):
            raise _too_large(limit)
        chunks: list[bytes] = []
        size, kept = 0, False
        try:
            async with asyncio.timeout(self._patience):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refusal(400, "receive", "disconnected", "the body broke off")
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    if size > limit:
                        raise _too_large(limit)
                    if self.in_flight + len(chunk) > BODY_BUDGET:
                        raise Refusal(503, "receive", "busy", "too much is coming in at once; send it again", headers=BUSY)
                    self.in_flight += len(chunk)
                    chunks.append(chunk)
                    if not message.get("more_body"):
                        kept = True
                        return b"".join(chunks)
        except TimeoutError:
            raise Refusal(408, "receive", "slow", f"the body took longer than {self._patience:g} s") from None
        finally:
            if not kept:
                self.in_flight -= sum(map(len, chunks))

    async def _ingest(self, name: str, webhook: Webhook) -> Answer:
        try:
            return await self._pipeline.ingest(webhook)
        except Unverified as error:
            message = f"this webhook does not prove that it comes from {name}"
            raise Refusal(401, "verify", error.reason, message, detail=str(error)) from None
        except StageError as error:
            _refuse_stage(error)
        except SecretUnset as error:
            message = f"the provider {name} is not set up yet: its secret is missing"
            raise Refusal(503, "verify", "secret_unset", message, headers=BUSY, detail=str(error)) from None
        except StoreError as error:
            message = "this cannot be stored right now; send it again"
            raise Refusal(503, "store", "store", message, headers=BUSY, detail=str(error)) from None


def _refuse_stage(error: StageError) -> NoReturn:
    if isinstance(error, Undelivered):
        raise Refusal(
            503, "handshake", error.reason, "the confirmation page cannot be visited now", headers=BUSY, detail=str(error)
        ) from None
    headers = BUSY if isinstance(error, Unverifiable) else {}
    raise Refusal(error.http_status, error.stage, error.reason, str(error), headers=headers) from None


def _too_large(limit: int) -> Refusal:
    return Refusal(413, "receive", "too_large", f"the body has more than {limit} bytes")


def _headers(scope: Scope) -> tuple[dict[str, str], frozenset[str]]:
    pairs: list[tuple[bytes, bytes]] = scope["headers"]
    headers: dict[str, str] = {}
    repeated: set[str] = set()
    size = largest = 0
    for raw_name, raw_value in pairs:
        length = len(raw_name) + len(raw_value)
        size += length
        largest = max(largest, length)
        name = raw_name.decode("latin-1").lower()
        if name in headers:
            repeated.add(name)
        else:
            headers[name] = raw_value.decode("latin-1")
    if len(pairs) > MOST_HEADERS or size > LARGEST_HEADERS or largest > LARGEST_HEADER:
        raise Refusal(431, "receive", "headers", "the headers are too many or too large")
    return headers, frozenset(repeated) if repeated else NOTHING


def _webhook(name: str, rest: str, scope: Scope, headers: dict[str, str], repeated: frozenset[str], body: bytes) -> Webhook:
    raw_query = scope["query_string"].decode("latin-1")
    path = scope["raw_path"].decode("latin-1")  # as it was called: some senders sign it
    return Webhook(
        id=str(uuid_utils.uuid7()),
        provider=name,
        received_at=datetime.now(UTC),
        body=body,
        method=scope["method"],
        url=f"{scope['scheme']}://{headers.get('host', '')}{path}" + (f"?{raw_query}" if raw_query else ""),
        headers=headers,
        query=_query(raw_query) if raw_query else {},
        repeated=repeated,
        client=_client(scope),
        peer=scope.get("peer") or _client(scope),
        rest=rest,
    )


def _query(raw: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(raw, keep_blank_values=True, max_num_fields=MOST_HEADERS)
    except ValueError:
        raise Refusal(400, "receive", "query", f"the query has more than {MOST_HEADERS} parameters") from None
    return dict(reversed(pairs))  # of a parameter that comes twice, the first counts


def _client(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


async def _send(send: Send, answer: Answer) -> None:
    raw = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in answer.headers.items()]
    raw += NOSNIFF, (b"content-length", b"%d" % len(answer.body))
    if not answer.headers.get("content-type", "").startswith("application/json"):
        raw.append(SANDBOX)
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    await send({"type": "http.response.body", "body": answer.body})
