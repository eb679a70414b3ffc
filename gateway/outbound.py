"""
The one HTTP client: sinks, handshake visits, and whatever else we fetch go through here.

httpx2 is the maintained fork of httpx with the same API; httpx 0.28's pool dies for good when calls are cancelled under
contention (encode/httpx#1093). The connections beneath it, and the address guard, are in `transport.py`.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import zlib
from collections.abc import AsyncIterator, Mapping
from functools import lru_cache
from tempfile import NamedTemporaryFile
from typing import Any, cast

import httpx2
import msgspec

from . import __version__
from .beyond import sender
from .causes import explained
from .errors import Undelivered
from .model import Request, Response
from .tokens import Tokens
from .values import Tls

LARGEST_ANSWER = 1024 * 1024  # bytes of an answer that are read
LARGEST_PORT = 65535
# What answers are written in. Of the others that Python knows some take minutes (`punycode`), and some give what is no text.
CHARSETS = frozenset(
    {
        "ascii",
        "us-ascii",
        "iso-8859-1",
        "latin-1",
        "latin1",
        "iso-8859-2",
        "iso-8859-15",
        "windows-1250",
        "windows-1251",
        "windows-1252",
        "koi8-r",
        "utf-16",
        "shift_jis",
        "euc-jp",
        "iso-2022-jp",
        "euc-kr",
        "big5",
        "gbk",
        "gb2312",
        "gb18030",
    }
)
USER_AGENT = f"webhook-gateway/{__version__}"


class Client:
    """
    Sends requests. Follows no redirects, minds no proxy variables, reads at most LARGEST_ANSWER of an answer. `connections`: how
    many at once; 0 for any number.
    """

    def __init__(self, transport: httpx2.AsyncBaseTransport | None = None, *, connections: int = 0) -> None:
        self._transport, self._connections = transport, connections
        self._transports: dict[tuple[Tls | None, str], httpx2.AsyncBaseTransport] = {}
        self._contexts: dict[tuple[Tls | None, str], ssl.SSLContext] = {}
        self.tokens = Tokens(self)

    async def send(self, request: Request, *, timeout: float, tls: Tls | None = None, certificate: str = "") -> Response:
        """
        The answer, within `timeout` seconds in all. `certificate`: the value behind `tls.client_cert`.

        Raises Undelivered; its text names no more of the URL than its host: the rest may be secret. Its reason is `tls` where
        a file of ours is at fault, so that another try is worth nothing until it is mended.
        """
        other, way = sender(request.url), {"sent": True}
        try:
            async with asyncio.timeout(timeout):
                if other is not None:
                    return await other(request, self._context(tls, certificate))
                return await _exchange(self._under(tls, certificate), request, way)
        except (httpx2.RequestError, httpx2.InvalidURL, UnicodeError, OSError) as error:
            raise undelivered(error, timeout, sent=way["sent"]) from None

    async def close(self) -> None:
        """Close every connection."""
        for transport in self._transports.values():
            await transport.aclose()

    def _context(self, tls: Tls | None, certificate: str) -> ssl.SSLContext:
        key = tls, certificate
        if key not in self._contexts:
            self._contexts[key] = _context(tls or Tls(), certificate)
        return self._contexts[key]

    def _under(self, tls: Tls | None, certificate: str) -> httpx2.AsyncBaseTransport:
        key = tls, certificate
        if key not in self._transports:
            from .transport import Transport  # noqa: PLC0415 - it takes a tenth of a second, and who sends nothing needs none

            self._transports[key] = self._transport or Transport(self._context(tls, certificate), self._connections)
        return self._transports[key]


def undelivered(error: Exception, timeout: float, *, sent: bool = True) -> Undelivered:
    """What an error on the way means. `sent`: whether anything of the request was, so far as the transport tells."""
    if isinstance(error, TimeoutError | httpx2.TimeoutException):
        return Undelivered(f"no answer within {timeout:g} s", reason="timeout", unknown=sent)
    if isinstance(error, httpx2.LocalProtocolError | httpx2.UnsupportedProtocol | httpx2.InvalidURL | UnicodeError):
        message = f"this request cannot be sent, its address or a header is malformed ({type(error).__name__})"
        return Undelivered(message, reason="unsendable", retryable=False)
    never = isinstance(error, httpx2.ConnectError) or not isinstance(error, httpx2.RequestError)
    kind = _KINDS.get(type(error).__name__, type(error).__name__)
    return Undelivered(explained(error, kind), reason="connect", unknown=not never)


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


async def _exchange(transport: httpx2.AsyncBaseTransport, request: Request, way: dict[str, bool]) -> Response:
    """`way`: whether anything of it was sent, so far as the transport tells."""
    url, own = _located(request.url)
    headers = {"user-agent": USER_AGENT, "accept": "*/*", "accept-encoding": "identity", **own}
    if request.content or request.method in ("POST", "PUT", "PATCH"):
        headers["content-length"] = str(len(request.content))
    # As `content`, the body would have httpx2 find out these two headers itself, which costs as much as to send it.
    body = httpx2.ByteStream(request.content)
    built = httpx2.Request(request.method, url, headers=_merged(headers, request.headers), stream=body, extensions={"way": way})
    response = await transport.handle_async_request(built)
    try:
        content = await _read(cast("AsyncIterator[bytes]", response.stream))
    finally:
        await response.aclose()
    headers = dict(response.headers.items())
    plain = _inflated(content, headers.get("content-encoding", ""))
    charset = response.charset_encoding if "charset" in headers.get("content-type", "") else None
    return Response(status=response.status_code, headers=headers, text=_text(plain, charset), json=_json(plain))


async def _read(stream: AsyncIterator[bytes]) -> bytes:
    """No more than LARGEST_ANSWER, as it comes: who inflates it must bound it."""
    body = bytearray()
    async for chunk in stream:
        body += chunk
        if len(body) > LARGEST_ANSWER:
            break
    return bytes(body[:LARGEST_ANSWER])


@lru_cache(maxsize=256)
def _located(text: str) -> tuple[httpx2.URL, dict[str, str]]:
    """An address, and the headers that stand in it: host, name and password. Most sinks have one address for all they send."""
    url = httpx2.URL(text)
    if (url.port or 0) > LARGEST_PORT:  # the library lets it through, and the socket trips over it
        raise httpx2.InvalidURL("port")
    host = {"host": url.netloc.decode("ascii")}
    if not url.userinfo:
        return url, host
    credentials = base64.b64encode(f"{url.username}:{url.password}".encode()).decode()
    return url.copy_with(userinfo=b""), host | {"authorization": f"Basic {credentials}"}


def _merged(headers: dict[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Both, and where both say something the second."""
    return headers | {name.lower(): value for name, value in more.items()}


def _inflated(body: bytes, encoding: str) -> bytes:
    """We ask for none, and some compress all the same. No more than LARGEST_ANSWER comes out of it."""
    if encoding.strip().lower() not in ("gzip", "x-gzip", "deflate"):
        return body
    try:
        return zlib.decompressobj(wbits=47).decompress(body, LARGEST_ANSWER)  # 47: gzip or zlib, as its header says
    except zlib.error:
        return body


def _text(body: bytes, charset: str | None) -> str:
    """The body as UTF-8, unless it says that it is in another of the CHARSETS."""
    charset = (charset or "").lower()
    return body.decode(charset if charset in CHARSETS else "utf-8", "replace")


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


_KINDS = {
    "ConnectError": "no connection",
    "ConnectionRefusedError": "no connection",
    "ReadError": "the connection broke",
    "WriteError": "the connection broke",
    "RemoteProtocolError": "the answer is not HTTP",
}
