"""
NATS: `nats://host:4222/subject`, or `nats+tls://`. The message goes to JetStream, which confirms that it is stored; a subject
that no stream keeps parks, as nobody would have kept it. `Nats-Msg-Id` among the headers has it stored once.

The answer's JSON has the `stream`, its `seq`, and whether it was a `duplicate`.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import Any

from nats.aio.client import Client
from nats.errors import Error
from nats.js.errors import APIError, NoStreamResponseError

from ..errors import Undelivered
from ..model import Request, Response
from .parts import authority, broken, connection, credentials, is_here, target, unsendable

FAREWELL = 0.3  # seconds
NOT_SENT = frozenset({"authorization", "content-type"})


async def send(request: Request, context: ssl.SSLContext) -> Response:
    """Publish one message and wait for the stream's word. Raises Undelivered."""
    to = target(request.url)
    subject = to.path.replace("/", ".")
    if not subject or any(sign in subject for sign in " \t\r\n*>"):
        raise unsendable("the path of its address is the subject: nats://host/alerts.critical")
    name, password = credentials(request.headers)
    who: dict[str, Any] = {"user": name, "password": password} if name else {"token": password} if password else {}
    secure = to.scheme == "nats+tls"
    with await connection(to) as looked_at:  # the library looks at no address: it is given the one that was
        address = str(looked_at.getpeername()[0])
    if who and not secure and not is_here(address):
        raise Undelivered("a password goes over TLS only: nats+tls://", reason="tls", retryable=False)
    headers = {key: value for key, value in request.headers.items() if key.lower() not in NOT_SENT}
    begun, client = False, _Client(secure=secure)
    try:
        await client.connect(
            f"nats://{authority(address, to.port)}",
            tls=context if secure else None,
            tls_hostname=to.host if secure else None,
            allow_reconnect=False,
            max_reconnect_attempts=0,
            error_cb=_silent,
            name="webhook-gateway",
            **who,
        )
        begun = True
        stored = await client.jetstream().publish(subject, request.content, headers=headers or None)
    except NoStreamResponseError:
        raise Undelivered(f"no stream keeps the subject {subject}", reason="credentials", retryable=False) from None
    except APIError as error:
        raise Undelivered(
            f"the server refuses it: {error.description}", reason="refused", retryable=(error.code or 500) >= 500
        ) from None
    except (Error, OSError) as error:
        if client.refused:
            message = "the server does not ask for TLS, and nats+tls sends nothing without"
            raise Undelivered(message, reason="tls", retryable=False) from None
        if "authorization" in str(error).lower():
            raise Undelivered("the server refuses us: authorization violation", reason="credentials", retryable=False) from None
        raise broken(error, to, unknown=begun) from None
    finally:
        await _end(client)
    told = {"stream": stored.stream, "seq": stored.seq, "duplicate": bool(stored.duplicate)}
    return Response(status=200, text=f"{stored.stream} {stored.seq}", json=told)


async def _silent(error: Exception) -> None:
    """What goes wrong is raised where it is waited for."""


async def _end(client: Client) -> None:
    """At once: what was to be heard was heard, and where it was refused the library leaves the connection open."""
    transport = client._transport  # noqa: SLF001 - there is no other way to it
    if transport is None:
        return
    with suppress(TimeoutError, Error, OSError):
        async with asyncio.timeout(FAREWELL):
            await client.close()
    transport.close()  # type: ignore[no-untyped-call]
    writer = getattr(transport, "_io_writer", None)
    if writer is not None:
        writer.transport.abort()
    await asyncio.sleep(0)


class _Client(Client):
    """Says who we are over TLS, or to nobody: by itself the library does so in clear where the server does not ask for TLS."""

    def __init__(self, *, secure: bool) -> None:
        super().__init__()
        self._secure, self.refused = secure, False

    def _connect_command(self) -> bytes:
        if self._secure and not self._server_info.get("tls_required"):
            self.refused = True
            raise OSError
        return super()._connect_command()
