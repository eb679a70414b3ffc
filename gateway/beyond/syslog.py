"""
Syslog (RFC 5424) over UDP (RFC 5426, port 514), TCP with octet counting (RFC 6587, 3.4.1, port 601) or TLS (RFC 5425, port
6514). `?framing=newline` for receivers that want a line each.

No receiver says that it took anything: what was written counts as delivered.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from contextlib import suppress

from msgspec import Struct

from ..causes import explained
from ..errors import Undelivered
from ..model import Request, Response
from .parts import Target, broken, connection, message, target, unsendable

_SYSTEM = ["kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"]
FACILITIES = [*_SYSTEM, "ntp", "audit", "alert", "clock", *(f"local{number}" for number in range(8))]
SEVERITIES = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"]
LARGEST_DATAGRAM = 65_507  # bytes, over IPv4
FAREWELL = 0.3  # seconds in which a receiver that does not want it may say so


class Line(Struct, forbid_unknown_fields=True):
    """What a line is made of. `data`: structured data, by id (`alert@32473`) and name."""

    message: str
    severity: str = "notice"
    facility: str = "local0"
    time: str = "-"
    host: str = "-"
    app: str = "webhook-gateway"
    process: str = "-"
    kind: str = "-"
    data: dict[str, dict[str, str]] = {}


async def send(request: Request, context: ssl.SSLContext) -> Response:
    """Send one line. Raises Undelivered."""
    to = target(request.url)
    if (framing := to.query.get("framing", "octets")) not in ("octets", "newline"):
        raise unsendable(f"framing={framing} is neither octets nor newline")
    line = written(message(request, Line))
    if to.scheme == "syslog+udp":
        await _datagram(await connection(to, socket.SOCK_DGRAM), line)
    else:
        framed = b" ".join([str(len(line)).encode(), line]) if framing == "octets" else line.replace(b"\n", b" ") + b"\n"
        sock = await connection(to)
        await _stream(sock, framed, context if to.scheme == "syslog+tls" else None, to)
    return Response(status=200, text="written; nobody confirms it")


def written(line: Line) -> bytes:
    """The line as RFC 5424, section 6, has it. Raises Undelivered for a word that it does not know."""
    try:
        priority = FACILITIES.index(line.facility) * 8 + SEVERITIES.index(line.severity)
    except ValueError:
        raise unsendable(f"request.json: there is no facility {line.facility} with a severity {line.severity}") from None
    head = [_word(line.host, 255), _word(line.app, 48), _word(line.process, 128), _word(line.kind, 32)]
    data = "".join(f"[{_name(id)}{''.join(_parameter(*each) for each in values.items())}]" for id, values in line.data.items())
    return f"<{priority}>1 {_word(line.time, 64)} {' '.join(head)} {data or '-'} {line.message}".encode("utf-8", "replace")


def _word(text: str, longest: int) -> str:
    """PRINTUSASCII, as short as it must be; nothing is `-`."""
    return re.sub(r"[^!-~]+", "_", text)[:longest] or "-"


def _name(text: str) -> str:
    """SD-NAME: 32 characters, none of them `=`, `]`, `"` or a blank."""
    return re.sub(r'[^!-~]+|[=\]"]', "_", text)[:32] or "_"


def _parameter(name: str, value: str) -> str:
    return f' {_name(name)}="' + re.sub(r'(["\\\]])', r"\\\1", value) + '"'


async def _datagram(sock: socket.socket, line: bytes) -> None:
    with sock:
        if len(line) > LARGEST_DATAGRAM:
            raise unsendable(f"{len(line)} bytes are more than a datagram holds; send it over TCP")
        try:
            await asyncio.get_running_loop().sock_sendall(sock, line)
        except OSError as error:
            raise Undelivered(explained(error, "it could not be written"), reason="connect") from None


async def _stream(sock: socket.socket, framed: bytes, context: ssl.SSLContext | None, to: Target) -> None:
    """Write, end, and wait a moment for a receiver that breaks off: a line that is reset was not taken."""
    begun, writer = False, None
    try:
        hostname = to.host if context is not None else None
        reader, writer = await asyncio.open_connection(sock=sock, ssl=context, server_hostname=hostname)
        writer.transport.set_write_buffer_limits(0)  # so that `drain` waits until all of it is out
        begun = True
        writer.write(framed)
        await writer.drain()
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL):
                await _part(reader, writer)
    except OSError as error:
        raise broken(error, to, unknown=begun) from None
    finally:
        if writer is not None:
            writer.transport.abort()
            await asyncio.sleep(0)
        sock.close()  # where the handshake failed, nobody has


async def _part(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End it in good order, and hear whether the receiver breaks off."""
    if writer.can_write_eof():
        writer.write_eof()
        await reader.read(1)
    else:
        writer.close()
        await writer.wait_closed()
