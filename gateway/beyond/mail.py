"""
Mail by SMTP (RFC 5321, 5322). `smtps://host` is TLS from the start (port 465); `smtp://host` takes STARTTLS where the server
offers it (port 587), and sends no password without it.

The answer has the server's code as its status and `refused` in its JSON: which recipients it did not take, and why.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from contextlib import suppress
from email.errors import MessageError
from email.message import EmailMessage
from email.utils import format_datetime, localtime
from typing import Any

import aiosmtplib
from msgspec import Struct

from ..errors import Undelivered
from ..model import Request, Response
from ..values import harmless
from .parts import Target, broken, connection, credentials, message, target, unsendable

LONGEST_SUBJECT = 1000  # characters: to encode them takes time, and RFC 5322 has 998 in a line
_ADDRESS = re.compile(r"[^\s<>,;:()\[\]\\\"@]+@[^\s<>,;:()\\\"@]+")
FAREWELL = 1.0  # seconds
WRONG_CREDENTIALS = frozenset({530, 534, 535, 538})  # RFC 4954, section 6


class Mail(Struct, forbid_unknown_fields=True, rename={"from_": "from"}):
    """What a mail is made of."""

    from_: str
    to: list[str]
    subject: str
    text: str
    html: str = ""
    message_id: str = ""  # without <>; the same for each try, so that who gets it twice shows it once
    in_reply_to: str = ""


async def send(request: Request, context: ssl.SSLContext) -> Response:
    """Send one mail to all its recipients. Raises Undelivered."""
    mail, to = _checked(message(request, Mail)), target(request.url)
    written = _written(mail)
    sock = await connection(to)
    client = aiosmtplib.SMTP(
        hostname=to.host,
        sock=sock,
        use_tls=to.scheme == "smtps",
        start_tls=False,
        tls_context=context,
        local_hostname="webhook-gateway",
        timeout=None,
    )
    reached = False
    try:
        await client.connect()
        await _introduce(client, to, context, credentials(request.headers))
        reached = True
        refused, said = await client.send_message(written, sender=mail.from_, recipients=mail.to)
        with suppress(aiosmtplib.SMTPException, TimeoutError):
            async with asyncio.timeout(FAREWELL):  # it is taken, whatever the server says now
                await client.execute_command(b"QUIT")
        answer = {address: {"status": code, "text": text} for address, (code, text) in refused.items()}
        return Response(status=250, text=said, json={"refused": answer})
    except aiosmtplib.SMTPRecipientsRefused as error:
        raise _refused([(each.code, f"{each.recipient}: {each.message}") for each in error.recipients]) from None
    except aiosmtplib.SMTPResponseException as error:
        raise _refused([(error.code, error.message)]) from None
    except (aiosmtplib.SMTPException, OSError) as error:
        raise broken(error.__cause__ or error, to, unknown=reached) from None  # the library's own words name a port `None`
    finally:
        _end(client, sock)
        await asyncio.sleep(0)


def _end(client: aiosmtplib.SMTP, sock: socket.socket) -> None:
    """At once: over TLS it would wait for the server's word; where the handshake failed, nobody has closed it."""
    transport = client.transport
    client.close()
    if isinstance(transport, asyncio.Transport):
        transport.abort()
    sock.close()


async def _introduce(client: aiosmtplib.SMTP, to: Target, context: ssl.SSLContext, who: tuple[str, str]) -> None:
    await client.ehlo()
    safe = to.scheme == "smtps"
    if not safe and client.supports_extension("starttls"):
        await client.starttls(tls_context=context, server_hostname=to.host)
        await client.ehlo()
        safe = True
    if any(who):
        if not safe:
            raise Undelivered("the server offers no TLS, and a password goes over nothing else", reason="tls", retryable=False)
        await client.login(*who)


def _checked(mail: Mail) -> Mail:
    """Raises Undelivered where an address is none, or is more than one: what an event says adds no recipient."""
    if odd := [address for address in (mail.from_, *mail.to) if not _ADDRESS.fullmatch(address)]:
        raise unsendable(f"request.json: {harmless(odd[0])[:80]!r} is no address; write it bare: ops@example.com")
    if not mail.to:
        raise unsendable("request.json: `to` names nobody")
    return mail


def _written(mail: Mail) -> EmailMessage:
    """Headers are written by the library, which refuses what would begin another one."""
    written = EmailMessage()
    try:
        written["From"], written["To"] = mail.from_, ", ".join(mail.to)
        written["Subject"] = " ".join(mail.subject[:LONGEST_SUBJECT].split())
        written["Date"] = format_datetime(localtime())
        written["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office note answers it
        if mail.message_id:
            written["Message-ID"] = f"<{mail.message_id}>"
        if mail.in_reply_to:
            written["In-Reply-To"] = written["References"] = f"<{mail.in_reply_to}>"
    except (ValueError, MessageError, IndexError, AttributeError) as error:  # the last two are the library's own slips
        raise unsendable(f"request.json: a header cannot be written: {error}") from None
    written.set_content(mail.text)
    if mail.html:
        written.add_alternative(mail.html, subtype="html")
    return written


def _refused(said: list[tuple[int, Any]]) -> Undelivered:
    """4yz may be otherwise the next time (RFC 5321, 4.2.1); of several, one such is worth the try."""
    text = "; ".join(f"{code} {each}" for code, each in said)
    if any(code in WRONG_CREDENTIALS for code, _ in said):
        codes = " ".join(str(code) for code, _ in said)  # its words may repeat the password, as it was encoded
        return Undelivered(f"the server refuses us: {codes}", reason="credentials", retryable=False)
    return Undelivered(f"the server refuses it: {text}", reason="refused", retryable=any(400 <= code < 500 for code, _ in said))
