"""
NATS: `nats://host:4222/subject`, or `nats+tls://`. The message goes to JetStream, which confirms that it is stored; a subject
that no stream keeps parks, as nobody would have kept it. `Nats-Msg-Id` among the headers has it stored once.

The answer's JSON has the `stream`, its `seq`, and whether it was a `duplicate`.
"""

from __future__ import annotations

import ssl
from typing import Any

from nats.aio.client import Client
from nats.errors import AuthorizationError, Error, NoServersError
from nats.js.errors import APIError, NoStreamResponseError

from ..errors import Undelivered
from ..model import Request, Response
from .parts import connection, credentials, target, unsendable

PORT = 4222
NOT_SENT = frozenset({"authorization", "content-type"})


async def send(request: Request, context: ssl.SSLContext) -> Response:
    """Publish one message and wait for the stream's word. Raises Undelivered."""
    to = target(request.url, PORT)
    subject = to.path.replace("/", ".")
    if not subject or any(sign in subject for sign in " \t\r\n*>"):
        raise unsendable("the path of its address is the subject: nats://host/alerts.critical")
    (await connection(to)).close()  # the library looks at no address before it connects
    name, password = credentials(request.headers)
    who: dict[str, Any] = {"user": name, "password": password} if name else {"token": password} if password else {}
    headers = {key: value for key, value in request.headers.items() if key.lower() not in NOT_SENT}
    begun, client = False, Client()
    try:
        await client.connect(
            f"nats://{to.host}:{to.port}",
            tls=context if to.scheme == "nats+tls" else None,
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
    except (AuthorizationError, NoServersError, Error, OSError) as error:
        if "authorization" in str(error).lower():
            raise Undelivered("the server refuses us: authorization violation", reason="credentials", retryable=False) from None
        raise Undelivered(f"the connection broke: {error}", reason="connect", unknown=begun) from None
    finally:
        await _end(client)
    told = {"stream": stored.stream, "seq": stored.seq, "duplicate": bool(stored.duplicate)}
    return Response(status=200, text=f"{stored.stream} {stored.seq}", json=told)


async def _silent(error: Exception) -> None:
    """What goes wrong is raised where it is waited for."""


async def _end(client: Client) -> None:
    """Close it, also where it was refused: then the library leaves the connection open."""
    await client.close()
    if client._transport is not None:  # noqa: SLF001 - there is no other way to it
        client._transport.close()  # type: ignore[no-untyped-call]  # noqa: SLF001
