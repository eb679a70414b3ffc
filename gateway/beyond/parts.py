"""What the senders share: an address taken apart, who we are, the message in a body, a guarded connection."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
from msgspec import Struct

from ..causes import explained
from ..errors import Undelivered
from ..model import Request
from ..transport import connected
from . import SENDERS


class Target(Struct, frozen=True):
    """Where an address leads."""

    scheme: str
    host: str
    port: int
    path: str
    query: dict[str, str]


def target(url: str) -> Target:
    """An address, taken apart. Raises Undelivered."""
    try:
        parts = urlsplit(url)
        given = parts.port
    except ValueError:
        raise unsendable("its address is malformed") from None
    if not parts.hostname:
        raise unsendable("its address has no host")
    if parts.username is not None:
        raise unsendable("a name and a password stand in `auth`, not in the address")
    port = given or SENDERS[parts.scheme].port
    return Target(parts.scheme, parts.hostname, port, unquote(parts.path.strip("/")), dict(parse_qsl(parts.query)))


def message(request: Request, kind: type[Any]) -> Any:
    """The body as this struct. Raises Undelivered, which says what is missing or of the wrong type."""
    try:
        return msgspec.json.decode(request.content, type=kind)
    except msgspec.DecodeError as error:
        raise unsendable(f"request.json: {error}") from None


def credentials(headers: Mapping[str, str]) -> tuple[str, str]:
    """The name and password that `auth: { scheme: basic }` put there; a bearer token is a password without a name."""
    scheme, _, given = next((value for name, value in headers.items() if name.lower() == "authorization"), "").partition(" ")
    if scheme == "Basic":
        name, _, password = base64.b64decode(given).decode().partition(":")
        return name, password
    return "", given


async def connection(to: Target, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
    """A connection to an address that something may be sent to. Raises Undelivered."""
    try:
        return await connected(asyncio.get_running_loop(), to.host, to.port, kind)
    except OSError as error:
        raise Undelivered(explained(error, "no connection"), reason="connect") from None


def broken(error: BaseException, to: Target, *, unknown: bool) -> Undelivered:
    """The connection broke, or never came to be over TLS. `unknown`: what was sent may have arrived."""
    return Undelivered(explained(error, "the connection broke", to.scheme), reason="connect", unknown=unknown)


def is_here(address: str) -> bool:
    """Whether an address is this machine's own, so that what goes there in clear is read by nobody else."""
    return ip_address(address.partition("%")[0]).is_loopback


def authority(host: str, port: int) -> str:
    """A host and a port as they stand in an address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def unsendable(said: str) -> Undelivered:
    """Another try would end the same."""
    return Undelivered(f"this cannot be sent: {said}", reason="unsendable", retryable=False)
