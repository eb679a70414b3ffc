"""Who may use the API: whoever sends the admin token. It fails closed."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from .errors import Refusal

if TYPE_CHECKING:
    from . import House


def guard(house: House) -> Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], None]:
    """Only the admin token opens the API; in dev mode, on loopback, it is open while no token is set."""

    def check(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        tokens = house.admin_tokens()
        if not tokens:
            if house.pipeline.config.dev:
                return
            name = house.pipeline.config.settings.admin_token
            raise Refusal(503, "api", "closed", f"{name} is not set, so the API is closed")
        if not _carries(connection.headers.getall("authorization", []), tokens):
            headers = {"www-authenticate": "Bearer"}
            raise Refusal(401, "api", "token", "send the admin token: Authorization: Bearer …", headers=headers)

    return check


def is_foreign(scope: Any, host: str) -> bool:
    """
    Whether a call in dev mode, where doors are open, comes by way of a page of somebody else in a browser on this machine: under
    a name that is not this machine's (DNS rebinding), or from another origin (a cross-site form).
    """
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    ours = {"localhost", "127.0.0.1", "[::1]", host, f"[{host}]"}
    names = [headers.get(b"host", "localhost")]
    if b"origin" in headers:
        names.append(headers[b"origin"].partition("://")[2])
    return headers.get(b"sec-fetch-site") == "cross-site" or any(_without_port(name) not in ours for name in names)


def _without_port(name: str) -> str:
    return name if name.endswith("]") else name.rpartition(":")[0] or name


async def refuse_foreign(send: Any) -> None:
    """The answer to such a call."""
    refusal = Refusal(403, "receive", "foreign", "dev mode answers this machine alone: use localhost or 127.0.0.1")
    body = refusal.body()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _carries(sent: list[str], tokens: list[str]) -> bool:
    """Whether the one header that was sent has one of the tokens; in a time that does not depend on how much of it is right."""
    scheme, _, token = (sent[0] if len(sent) == 1 else "").partition(" ")
    given = token.encode("latin-1")  # the bytes as they came
    right = [hmac.compare_digest(given, each.encode()) for each in tokens]
    return scheme.lower() == "bearer" and any(right)
