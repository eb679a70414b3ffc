"""
The way out: aiohttp's connections behind httpx2's API, and the address guard, which looks at an address when it is connected to.

httpx2's own pool asks every connection that it has about its health for each request, which makes it several times slower.
pyreqwest is faster than both, but asks us for no address before it connects. docs/measured.md has the figures of
`python -m benchmarks.clients`. What is beneath httpx2's API is chosen here and nowhere else.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator
from functools import lru_cache
from typing import Any

import aiohttp
import httpx2
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from .names import Names

KEPT_ALIVE = 4.0  # seconds that a connection waits for its next request; many servers end theirs after 5, perhaps just then
LARGEST_PIECE = 512 * 1024  # bytes of a body that are handed over at once

# Link-local and metadata addresses are never a sink. Private ones are: that is where sinks live.
NEVER = tuple(
    ipaddress.ip_network(text)
    for text in (
        "169.254.0.0/16",  # AWS, Azure, Google, DigitalOcean, OpenStack, ECS tasks
        "fe80::/10",
        "fd00:ec2::/32",  # AWS
        "fd20:ce::254/128",  # Google
        "100.100.100.200/32",  # Alibaba
        "192.0.0.192/32",  # Oracle
        "168.63.129.16/32",  # Azure's wire server
        "0.0.0.0/8",
        "::/128",
    )
)
# Networks whose last 32 bits are an IPv4 address: mapped and compatible (RFC 4291), translated (RFC 2765), NAT64 (6052, 8215).
_CARRIERS = tuple(
    ipaddress.IPv6Network(text) for text in ("::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/96", "::/96")
)
_LOW = 0xFFFFFFFF
_IS_ADDRESS = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
_LOOPBACK = ipaddress.IPv6Address("::1")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def refuses(address: Address) -> bool:
    """Whether nothing may ever be sent to this address, in whatever form it is written."""
    return any(each in network for each in (address, *_carried(address)) for network in NEVER)


def _carried(address: Address) -> list[ipaddress.IPv4Address]:
    """The IPv4 addresses inside an IPv6 one."""
    if isinstance(address, ipaddress.IPv4Address) or address == _LOOPBACK:
        return []
    carried = [ipaddress.IPv4Address(int(address) & _LOW) for network in _CARRIERS if address in network]
    return carried + ([address.sixtofour] if address.sixtofour else []) + list(address.teredo or ())


class Forbidden(OSError):
    """An address that nothing is sent to."""

    def __init__(self, address: str) -> None:
        super().__init__(f"{address} is an address that nothing is sent to")


class _Resolver(AbstractResolver):
    """Names to addresses, without those that nothing is sent to."""

    def __init__(self) -> None:
        self._names = Names()

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        try:
            found = await self._names.look_up(host, family)
        except (OSError, UnicodeError) as error:
            raise OSError(f"the name {host!r} cannot be resolved") from error
        allowed = [each for each in found if not _is_forbidden(each[2])]
        if found and not allowed:
            raise Forbidden(found[0][2])
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=protocol, flags=_IS_ADDRESS)
            for family, protocol, address in allowed
        ]

    async def close(self) -> None:
        """Nothing is kept."""


def _is_forbidden(host: str) -> bool:
    return refuses(ipaddress.ip_address(host.partition("%")[0]))


def _socket(place: Any) -> socket.socket:
    """A socket for an address, which is looked at once more: here nothing can have changed its mind."""
    family, kind, protocol, _, address = place
    if _is_forbidden(str(address[0])):
        raise Forbidden(str(address[0]))
    return socket.socket(family, kind, protocol)


class Transport(httpx2.AsyncBaseTransport):
    """Sends requests of httpx2 over connections of aiohttp. No redirects, proxies, cookies or decompression."""

    def __init__(self, context: ssl.SSLContext, connections: int = 0) -> None:
        self._context, self._connections = context, connections
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The answer, its body still to come. Raises what httpx2's own transport raises."""
        self._session = self._session or self._open()
        way = request.extensions.get("way", {})
        way["sent"] = False  # until there is a connection
        address = _address(str(request.url))
        try:
            answer = await self._session.request(
                request.method,
                address,
                headers=[(name.decode("ascii"), value.decode("latin-1")) for name, value in request.headers.raw],
                data=_body(await request.aread()),
                allow_redirects=False,
                trace_request_ctx=way,
            )
        except (aiohttp.ClientError, ValueError) as error:
            raise _translated(error) from _beneath(error)
        return httpx2.Response(answer.status, headers=list(answer.raw_headers), stream=_Stream(answer))

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=self._connections,  # what all sinks together may use: one that hangs takes none from another
            ssl=self._context,
            resolver=_Resolver(),
            use_dns_cache=False,
            keepalive_timeout=KEPT_ALIVE,
            socket_factory=_socket,
        )
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_sent)
        session = aiohttp.ClientSession(
            connector=connector,
            trace_configs=[trace],
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("content-type",),  # the others that it would add are always given
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # who asks has one clock for all of it
        )
        session._retry_connection = False  # noqa: SLF001 - it would send a PUT or GET twice and tell nobody; there is no other switch
        return session


async def _sent(session: aiohttp.ClientSession, context: Any, parameters: object) -> None:
    context.trace_request_ctx["sent"] = True


@lru_cache(maxsize=256)
def _address(text: str) -> URL:
    """Where to. A host that is an address goes by no resolver, so it is looked at here, however it is spelt."""
    url = httpx2.URL(text)
    if url.scheme not in ("http", "https"):
        raise httpx2.UnsupportedProtocol(f"{url.scheme or 'nothing'} is not spoken")
    host = _literal(url.host)
    if host and _is_forbidden(host):
        raise httpx2.ConnectError(str(Forbidden(host)))
    return URL(str(url.copy_with(host=host) if host and host != url.host else url), encoded=True)


def _literal(host: str) -> str:
    """The host as the address that it is, `2130706433` and `0x7f.1` too; empty if it is a name."""
    try:
        return socket.inet_ntoa(socket.inet_aton(host)) if ":" not in host else str(ipaddress.ip_address(host.partition("%")[0]))
    except (OSError, ValueError):
        return ""


def _body(content: bytes) -> Any:
    """A large body goes in pieces, so that nothing else has to wait for it."""
    return _pieces(content) if len(content) > LARGEST_PIECE else content or None


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), LARGEST_PIECE):
        yield content[start : start + LARGEST_PIECE]


class _Stream(httpx2.AsyncByteStream):
    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._answer.content.iter_any():
                yield piece
        except (aiohttp.ClientError, ValueError) as error:
            raise _translated(error) from _beneath(error)

    async def aclose(self) -> None:
        """Close the connection, unless the answer was read to its end: then it has gone back to the others already."""
        self._answer.close()


def _beneath(error: Exception) -> BaseException:
    """The system's or OpenSSL's own error, which says most."""
    return getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error


def _translated(error: Exception) -> Exception:
    """What httpx2's own transport would raise."""
    match error:
        case aiohttp.ClientConnectorError() | aiohttp.ClientConnectorCertificateError():
            return httpx2.ConnectError(str(_beneath(error)))
        case aiohttp.ServerDisconnectedError():
            return httpx2.ReadError("it was closed before an answer came")
        case aiohttp.ClientPayloadError():
            return httpx2.ReadError("the answer broke off")
        case aiohttp.ClientResponseError():
            return httpx2.RemoteProtocolError(error.message.splitlines()[0].rstrip(":").lower())
        case aiohttp.ClientOSError():
            return httpx2.ReadError(str(error))
        case aiohttp.InvalidURL():
            return httpx2.InvalidURL(str(error))
        case aiohttp.ClientError():
            return httpx2.NetworkError(str(error))
    return httpx2.LocalProtocolError(str(error))


async def connected(loop: asyncio.AbstractEventLoop, host: str, port: int, kind: socket.SocketKind) -> socket.socket:
    """A socket connected to a host that something may be sent to, for what is not HTTP. Raises OSError."""
    literal = _literal(host)
    if literal:
        places = [(socket.AF_INET6 if ":" in literal else socket.AF_INET, literal)]
    else:
        places = [(socket.AddressFamily(found["family"]), found["host"]) for found in await _Resolver().resolve(host, port)]
    failed: OSError = OSError(f"the name {host!r} has no address")
    for family, address in places:
        made = _socket((family, kind, 0, "", (address, port)))
        made.setblocking(False)
        try:
            await loop.sock_connect(made, (address, port))
        except OSError as error:
            made.close()
            failed = error
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise failed
