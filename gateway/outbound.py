"""
The one HTTP client, and its address guard: sinks, handshake visits, and whatever else we fetch go through here.

httpx2 is the maintained fork of httpx with the same API; httpx 0.28's pool dies for good when calls are cancelled under
contention (encode/httpx#1093).
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from typing import Any, cast

import anyio
import httpcore2
import httpx2
import msgspec

from . import __version__
from .errors import Undelivered
from .model import Request, Response
from .values import Keys, Reference

LARGEST_ANSWER = 1024 * 1024  # bytes of an answer that are read
USER_AGENT = f"webhook-gateway/{__version__}"

# Link-local and metadata addresses are never a sink. Private ones are: that is where sinks live.
NEVER = tuple(
    ipaddress.ip_network(text)
    for text in (
        "169.254.0.0/16",
        "fe80::/10",
        "fd00:ec2::254/128",
        "100.100.100.200/32",
        "192.0.0.192/32",
        "0.0.0.0/8",
        "::/128",
    )
)
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Tls(Keys, frozen=True):
    """
    How a sink's certificate is checked, and ours shown.

    verify: Whether its certificate is checked. Never turn this off but to find out what is wrong.
    ca_file: The file with the authorities that may have signed it.
    client_cert: The file with our certificate and key.
    """

    verify: bool = True
    ca_file: str | None = None
    client_cert: Reference | None = None


def refuses(address: Address) -> bool:
    """Whether nothing may ever be sent to this address, in whatever form it is written."""
    return any(_unwrap(address) in network for network in NEVER)


def _unwrap(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in ipaddress.ip_network("64:ff9b::/96"):
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if address.sixtofour is not None:
            return address.sixtofour
    return address


class _GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Looks at the address itself, at the moment of connecting, and connects to just that one: a name may change its mind."""

    def __init__(self) -> None:
        self._backend = httpcore2.AnyIOBackend()

    async def connect_tcp(  # type: ignore[override]  # the options go through as they are
        self, host: str, port: int, timeout: float | None = None, **options: Any
    ) -> Any:
        try:
            found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore2.ConnectError(f"the name {host!r} cannot be resolved") from error
        failure: Exception | None = None
        for *_, place in found:
            if refuses(ipaddress.ip_address(str(place[0]).partition("%")[0])):
                failure = httpcore2.ConnectError(f"{place[0]} is an address that nothing is sent to")
                continue
            try:
                return await self._backend.connect_tcp(str(place[0]), port, timeout=timeout, **options)
            except httpcore2.ConnectError as error:
                failure = error
        raise failure or httpcore2.ConnectError(f"the name {host!r} has no address")

    async def connect_unix_socket(  # type: ignore[override]  # refused, whatever the options
        self, path: str, timeout: float | None = None, **options: Any
    ) -> Any:
        raise httpcore2.ConnectError("nothing is sent to a unix socket")

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


class Client:
    """Sends requests. Follows no redirects, minds no proxy variables, reads at most LARGEST_ANSWER of an answer."""

    def __init__(self, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._transport = transport
        self._clients: dict[Tls | None, httpx2.AsyncClient] = {}

    async def send(self, request: Request, *, timeout: float, tls: Tls | None = None) -> Response:
        """
        The answer, within `timeout` seconds in all. Raises Undelivered; its text names no part of the URL: it may be secret.
        """
        try:
            with anyio.fail_after(timeout):
                return await self._exchange(self._client(tls), request, timeout)
        except TimeoutError:
            raise Undelivered(f"no answer within {timeout:g} s", reason="timeout") from None
        except httpx2.TimeoutException:
            raise Undelivered(f"no answer within {timeout:g} s", reason="timeout") from None
        except (httpx2.LocalProtocolError, httpx2.UnsupportedProtocol, httpx2.InvalidURL) as error:
            raise Undelivered(
                f"this request cannot be sent: {type(error).__name__}", reason="unsendable", retryable=False
            ) from None
        except httpx2.TransportError as error:
            raise Undelivered(_explained(error), reason="connect") from None

    async def close(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            await client.aclose()

    async def _exchange(self, client: httpx2.AsyncClient, request: Request, timeout: float) -> Response:
        built = client.build_request(
            request.method, request.url, headers=request.headers, content=request.content, timeout=httpx2.Timeout(timeout)
        )
        response = await client.send(built, stream=True)
        try:
            body = b""
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > LARGEST_ANSWER:
                    break
        finally:
            await response.aclose()
        text = body[:LARGEST_ANSWER].decode(response.charset_encoding or "utf-8", "replace")
        return Response(status=response.status_code, headers=dict(response.headers.items()), text=text, json=_json(body))

    def _client(self, tls: Tls | None) -> httpx2.AsyncClient:
        if tls not in self._clients:
            self._clients[tls] = httpx2.AsyncClient(
                transport=self._transport or _transport(tls),
                headers={"user-agent": USER_AGENT, "accept-encoding": "gzip"},
                follow_redirects=False,
                trust_env=False,
            )
        return self._clients[tls]


def _transport(tls: Tls | None) -> httpx2.AsyncHTTPTransport:
    context: ssl.SSLContext | bool = True
    if tls is not None:
        context = ssl.create_default_context(cafile=tls.ca_file) if tls.verify else ssl._create_unverified_context()  # noqa: S323, SLF001 - the file says so, and the log is loud
    transport = httpx2.AsyncHTTPTransport(
        verify=context, trust_env=False, limits=httpx2.Limits(max_connections=256, max_keepalive_connections=64)
    )
    cast("Any", transport)._pool._network_backend = _GuardedBackend()  # noqa: SLF001 - there is no public place for it; a test holds it
    return transport


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _explained(error: httpx2.TransportError) -> str:
    cause = error.__cause__ or error.__context__
    said = str(error) or str(cause or "")
    kind = {"ConnectError": "no connection", "ReadError": "the connection broke", "RemoteProtocolError": "the answer is not HTTP"}
    return f"{kind.get(type(error).__name__, type(error).__name__)}" + (f": {said[:200]}" if said and "://" not in said else "")
