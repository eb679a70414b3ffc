"""
The one HTTP client, and its address guard: sinks, handshake visits, and whatever else we fetch go through here.

httpx2 is the maintained fork of httpx with the same API; httpx 0.28's pool dies for good when calls are cancelled under
contention (encode/httpx#1093).
"""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Iterator
from tempfile import NamedTemporaryFile
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
LARGEST_PORT = 65535
USER_AGENT = f"webhook-gateway/{__version__}"

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
_LOOPBACK = ipaddress.IPv6Address("::1")
_BROKEN = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Tls(Keys, frozen=True):
    """
    How a sink's certificate is checked, and ours shown.

    verify: Whether its certificate is checked. Never turn this off but to find out what is wrong.
    ca_file: The file with the authorities that may have signed it, instead of the usual ones.
    client_cert: Our certificate and its key, as PEM, or the path of the file that holds both.
    """

    verify: bool = True
    ca_file: str | None = None
    client_cert: Reference | None = None


def refuses(address: Address) -> bool:
    """Whether nothing may ever be sent to this address, in whatever form it is written."""
    return any(each in network for each in (address, *_carried(address)) for network in NEVER)


def _carried(address: Address) -> list[ipaddress.IPv4Address]:
    """The IPv4 addresses inside an IPv6 one."""
    if isinstance(address, ipaddress.IPv4Address) or address == _LOOPBACK:
        return []
    carried = [ipaddress.IPv4Address(int(address) & _LOW) for network in _CARRIERS if address in network]
    return carried + ([address.sixtofour] if address.sixtofour else []) + list(address.teredo or ())


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
        self._clients: dict[tuple[Tls | None, str], httpx2.AsyncClient] = {}

    async def send(self, request: Request, *, timeout: float, tls: Tls | None = None, certificate: str = "") -> Response:
        """
        The answer, within `timeout` seconds in all. `certificate`: the value behind `tls.client_cert`.

        Raises Undelivered; its text names no more of the URL than its host: the rest may be secret. Its reason is `tls` where
        a file of ours is at fault, so that another try is worth nothing until it is mended.
        """
        client = self._client(tls, certificate)
        try:
            with anyio.fail_after(timeout):
                return await _exchange(client, request, timeout)
        except (TimeoutError, httpx2.TimeoutException):
            raise Undelivered(f"no answer within {timeout:g} s", reason="timeout") from None
        except (httpx2.LocalProtocolError, httpx2.UnsupportedProtocol, httpx2.InvalidURL, UnicodeError) as error:
            raise Undelivered(
                f"this request cannot be sent, its address or a header is malformed ({type(error).__name__})",
                reason="unsendable",
                retryable=False,
            ) from None
        except (httpx2.RequestError, OSError, *_BROKEN) as error:  # the pool lets some errors of TLS through as they are
            raise Undelivered(_explained(error), reason="connect") from None

    async def close(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            await client.aclose()

    def _client(self, tls: Tls | None, certificate: str) -> httpx2.AsyncClient:
        key = tls, certificate
        if key not in self._clients:
            self._clients[key] = httpx2.AsyncClient(
                transport=self._transport or _transport(tls, certificate),
                headers={"user-agent": USER_AGENT, "accept-encoding": "identity"},
                follow_redirects=False,
                trust_env=False,
            )
        return self._clients[key]


def _transport(tls: Tls | None, certificate: str) -> httpx2.AsyncHTTPTransport:
    transport = httpx2.AsyncHTTPTransport(
        verify=_context(tls or Tls(), certificate),
        trust_env=False,
        limits=httpx2.Limits(max_connections=256, max_keepalive_connections=64),
    )
    cast("Any", transport)._pool._network_backend = _GuardedBackend()  # noqa: SLF001 - there is no public place for it; a test holds it
    return transport


def _context(tls: Tls, certificate: str) -> ssl.SSLContext:
    try:
        context = (
            httpx2.create_ssl_context(trust_env=False) if tls.ca_file is None else ssl.create_default_context(cafile=tls.ca_file)
        )
    except (OSError, ValueError):
        raise _unusable(f"tls.ca_file: {tls.ca_file} is no file of PEM certificates that can be read") from None
    if not tls.verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certificate:
        _show(context, certificate)
    return context


def _show(context: ssl.SSLContext, certificate: str) -> None:
    """Have the context show our certificate. OpenSSL reads keys from files only, so what is no path goes through one."""
    try:
        if "-----BEGIN" not in certificate:
            context.load_cert_chain(certificate, password=_no_password)
            return
        with NamedTemporaryFile("w", suffix=".pem") as file:  # for its owner alone, and gone at once
            file.write(certificate)
            file.flush()
            context.load_cert_chain(file.name, password=_no_password)
    except (OSError, ValueError):
        raise _unusable(
            "tls.client_cert: what it names is no readable PEM file with our certificate and its key, unencrypted"
        ) from None


def _no_password() -> str:
    """Without it, OpenSSL asks at the terminal for the password of an encrypted key."""
    return ""


def _unusable(message: str) -> Undelivered:
    return Undelivered(message, reason="tls", retryable=False)


async def _exchange(client: httpx2.AsyncClient, request: Request, timeout: float) -> Response:
    built = client.build_request(
        request.method, request.url, headers=request.headers, content=request.content, timeout=httpx2.Timeout(timeout)
    )
    if (built.url.port or 0) > LARGEST_PORT:  # the client lets it through, and the socket trips over it
        raise httpx2.InvalidURL("port")
    response = await client.send(built, stream=True)
    body = bytearray()
    try:
        async for chunk in cast("AsyncIterator[bytes]", response.stream):  # as it comes: who inflates it must bound it
            body += chunk
            if len(body) > LARGEST_ANSWER:
                break
    finally:
        await response.aclose()
    plain = _inflated(bytes(body[:LARGEST_ANSWER]), response.headers.get("content-encoding", ""))
    headers = dict(response.headers.items())
    return Response(status=response.status_code, headers=headers, text=_text(plain, response.charset_encoding), json=_json(plain))


def _inflated(body: bytes, encoding: str) -> bytes:
    """We ask for none, and some compress all the same. No more than LARGEST_ANSWER comes out of it."""
    if encoding.strip().lower() not in ("gzip", "x-gzip", "deflate"):
        return body
    try:
        return zlib.decompressobj(wbits=47).decompress(body, LARGEST_ANSWER)  # 47: gzip or zlib, as its header says
    except zlib.error:
        return body


def _text(body: bytes, charset: str | None) -> str:
    try:
        return body.decode(charset or "utf-8", "replace")
    except (LookupError, UnicodeError):  # the answer names a charset that is none
        return body.decode("utf-8", "replace")


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


_KINDS = {
    "ConnectError": "no connection",
    "ReadError": "the connection broke",
    "WriteError": "the connection broke",
    "RemoteProtocolError": "the answer is not HTTP",
}
_TLS_HINTS = {
    "certificate required": "; it wants a certificate of ours: set tls.client_cert",
    "unknown ca": "; it does not know the authority that signed our tls.client_cert",
    "wrong version number": "; is it http rather than https?",
}
_UNKNOWN_AUTHORITY = frozenset({18, 19, 20, 21})  # OpenSSL's X509_V_ERR_…: self-signed, or signed by nobody we know


def _explained(error: Exception) -> str:
    """What went wrong on the way, in words that name no more than a host."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            hint = "; name the authority that signed it in tls.ca_file" if cause.verify_code in _UNKNOWN_AUTHORITY else ""
            return f"its certificate is not accepted: {cause.verify_message}{hint}"
        if isinstance(cause, ssl.SSLError) and cause.reason:
            said = cause.reason.replace("_", " ").lower()
            return f"the TLS handshake failed: {said}" + next((hint for key, hint in _TLS_HINTS.items() if key in said), "")
    kind = _KINDS.get(type(error).__name__, type(error).__name__)
    code = next((cause.errno for cause in causes if isinstance(cause, OSError) and cause.errno), None)
    said = os.strerror(code).lower() if code and code > 0 else str(error)
    return kind + (f": {said[:200]}" if said and "://" not in said else "")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
