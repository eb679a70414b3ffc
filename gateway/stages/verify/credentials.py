"""A secret that is sent as it is, compared in constant time."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from ...errors import SecretUnset, Unverified
from ...model import Webhook
from ...signature import MOST_FIELDS, check_header, raw
from ...values import Reference, Secrets, check_secrets, unbase64
from .scheme import NOTHING, AnyScheme, Names, sent_in


class Bearer(AnyScheme, frozen=True, tag="bearer"):
    """
    A shared token behind `Authorization: Bearer` (RFC 6750), or in any header with any prefix.

    token: The token.
    header: The header it stands in.
    prefix: What stands before it.
    """

    token: Reference
    header: str = "Authorization"
    prefix: str = "Bearer "

    def __post_init__(self) -> None:
        check_secrets(self, "token")
        check_header(self.header, self.prefix)

    def verify(self, webhook: Webhook, secrets: Secrets, now: float, published: Mapping[str, str] = NOTHING) -> None:
        sent, length = sent_in(webhook, self.header), len(self.prefix)
        if sent[:length].lower() != self.prefix.lower() or not _is_secret(raw(sent[length:]), self.token, secrets):
            raise Unverified(f"{self.header} does not carry the token", reason="mismatch")

    def where(self) -> str:
        return f"{self.header}: {self.prefix}…"

    def speaks(self, webhook: Webhook, secrets: Secrets) -> bool:
        return webhook.headers.get(self.header.lower(), "").lower().startswith(self.prefix.lower())

    def conceals(self) -> Names:
        return frozenset({self.header.lower()}), frozenset()


class Basic(AnyScheme, frozen=True, tag="basic"):
    """
    A user name and a password (RFC 7617), in UTF-8 or latin-1.

    username: The user's name.
    password: The password.
    """

    username: str
    password: Reference

    def __post_init__(self) -> None:
        check_secrets(self, "password")
        if not self.username or ":" in self.username:
            raise ValueError("username: write a name without a colon; what stands behind the first colon is the password")

    def verify(self, webhook: Webhook, secrets: Secrets, now: float, published: Mapping[str, str] = NOTHING) -> None:
        scheme, _, encoded = sent_in(webhook, "Authorization").partition(" ")
        try:
            pair = unbase64(encoded.strip(" "))
        except ValueError:
            pair = b""
        username, _, password = pair.partition(b":")
        if not (_says(username, self.username) & _is_secret(password, self.password, secrets)) or scheme.lower() != "basic":
            raise Unverified("Authorization does not carry the user name and password", reason="mismatch")

    def where(self) -> str:
        return "Authorization: Basic …"

    def conceal(self, secrets: Secrets) -> None:
        with suppress(SecretUnset):
            for password in secrets.accepted(self.password):
                secrets.conceal(b64encode(f"{self.username}:{password}".encode()).decode())

    def speaks(self, webhook: Webhook, secrets: Secrets) -> bool:
        return webhook.headers.get("authorization", "").lower().startswith("basic ")

    def conceals(self) -> Names:
        return frozenset({"authorization"}), frozenset()


class Token(AnyScheme, frozen=True, tag="token"):
    """
    A shared token in a header, a query parameter, a segment of the path, or a field of the body. Give one of the four.

    token: The token.
    header: The header it stands in.
    query: The query parameter it stands in.
    segment: Which segment of the path behind the provider's name it is, from 1.
    field: The field of the body it stands in, which is a form, or JSON with that key at its root.
    prefix: What stands before it.
    """

    token: Reference
    header: str | None = None
    query: str | None = None
    segment: int | None = None
    field: str | None = None
    prefix: str = ""

    def __post_init__(self) -> None:
        check_secrets(self, "token")
        if sum(place is not None for place in (self.header, self.query, self.segment, self.field)) != 1:
            raise ValueError("say where the token stands: give one of header, query, segment and field")
        if self.header is not None:
            check_header(self.header, self.prefix)
        if self.segment is not None and self.segment < 1:
            raise ValueError("segment: the first segment behind the provider's name is 1")

    def verify(self, webhook: Webhook, secrets: Secrets, now: float, published: Mapping[str, str] = NOTHING) -> None:
        sent = self._look(webhook)
        if not sent:
            raise Unverified(f"there is no token in {self.where()}", reason="absent")
        prefix = self.prefix.encode()
        if not sent.startswith(prefix) or not _is_secret(sent.removeprefix(prefix), self.token, secrets):
            raise Unverified(f"{self.where()} does not carry the token", reason="mismatch")

    def where(self) -> str:
        if self.segment is not None:
            return f"segment {self.segment} of the path"
        return self.header or (f"the field {self.field}" if self.query is None else f"the query parameter {self.query}")

    def _look(self, webhook: Webhook) -> bytes:
        if self.header is not None:
            return raw(sent_in(webhook, self.header)) if self.header.lower() in webhook.headers else b""
        if self.field is not None:
            return _body_field(webhook.body, self.field)
        if self.query is not None:
            return webhook.query.get(self.query, "").encode(errors="replace")
        segments = [segment for segment in webhook.rest.split("/") if segment]
        return "".join(segments[(self.segment or 1) - 1 :][:1]).encode(errors="replace")

    def speaks(self, webhook: Webhook, secrets: Secrets) -> bool:
        try:
            return bool(self._look(webhook))
        except Unverified:
            return True  # it is there, and empty or more than once

    def conceals(self) -> Names:
        return frozenset({self.header.lower()} if self.header else ()), frozenset({self.query} if self.query else ())


def _body_field(body: bytes, name: str) -> bytes:
    """
    The first field of that name, as everywhere where a name comes twice; empty where there is none, or neither a form nor JSON.
    Of a JSON key that comes twice it is the last, which is also what is mapped.
    """
    if body.lstrip()[:1] == b"{":
        return _json_field(body, name)
    try:
        fields = parse_qsl(body.decode("latin-1"), encoding="latin-1", max_num_fields=MOST_FIELDS)
    except ValueError:
        return b""
    wanted = name.encode().decode("latin-1")
    return next((raw(value) for key, value in fields if key == wanted), b"")


def _json_field(body: bytes, name: str) -> bytes:
    try:
        found = msgspec.json.decode(body, type=dict[str, Any]).get(name)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return b""
    return found.encode() if isinstance(found, str) else b""


def _is_secret(sent: bytes, reference: Reference, secrets: Secrets) -> bool:
    """Whether it is the secret or, while that is accepted, the one before it."""
    found = False
    for secret in secrets.accepted(reference):
        found |= _says(sent, secret)
    return found


def _says(sent: bytes, text: str) -> bool:
    """Whether these bytes are the text, in UTF-8 or in latin-1: clients do not agree which. In constant time."""
    latin = text.encode("latin-1") if all(ord(letter) < 256 for letter in text) else text.encode()
    return hmac.compare_digest(sent, text.encode()) | hmac.compare_digest(sent, latin)
