"""
Did the provider really send this?

To add a scheme: write one class here and name it in `Scheme` below.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
from collections.abc import Iterator, Sequence
from typing import Any, Self
from urllib.parse import parse_qsl

from ..errors import SecretUnset, Unverified
from ..model import Webhook
from ..signature import ByteTemplate, Clock, Place, Signature, Signed
from ..values import Keys, Reference, Secrets

Names = tuple[frozenset[str], frozenset[str]]  # header names (lower-case) and query names
NOTHING: Names = (frozenset(), frozenset())


class _Scheme(Keys, frozen=True, tag_field="scheme"):
    def verify(self, webhook: Webhook, secrets: Secrets, now: float) -> None:
        """Return, or raise Unverified, or SecretUnset where there is nothing to compare with."""
        raise NotImplementedError

    def references(self) -> list[Reference]:
        """The secrets it needs."""
        return []

    def ready(self, secrets: Secrets) -> bool:
        """Whether its secrets have values."""
        return all(secrets.is_set(reference) for reference in self.references())

    def speaks(self, webhook: Webhook) -> bool:
        """Whether the webhook carries what this scheme looks at."""
        return True

    def conceals(self) -> Names:
        """What carries credentials and is never stored."""
        return NOTHING


class Hmac(Signature, frozen=True, tag_field="scheme", tag="hmac"):
    __doc__ = Signature.__doc__

    def verify(self, webhook: Webhook, secrets: Secrets, now: float) -> None:  # type: ignore[override]  # a webhook is what is signed
        """Return, or raise Unverified, or SecretUnset."""
        super().verify(Signed(webhook.body, webhook.url, webhook.headers, webhook.repeated), secrets, now)

    def ready(self, secrets: Secrets) -> bool:
        """Whether its secret has a value."""
        return secrets.is_set(self.secret)

    def speaks(self, webhook: Webhook) -> bool:
        """Whether there is a signature."""
        names = {self.signature.header.lower(), self.aliases.get(self.signature.header.lower(), "").lower()}
        return any(name in webhook.headers for name in names)

    def conceals(self) -> Names:
        """A signature is no credential."""
        return NOTHING


class Bearer(_Scheme, frozen=True, tag="bearer"):
    """
    A shared token behind `Authorization: Bearer` (RFC 6750), or in any header with any prefix.

    token: The token.
    header: The header it stands in.
    prefix: What stands before it.
    """

    token: Reference
    header: str = "Authorization"
    prefix: str = "Bearer "

    def verify(self, webhook: Webhook, secrets: Secrets, now: float) -> None:
        sent = _sent(webhook, self.header)
        if sent[: len(self.prefix)].lower() != self.prefix.lower() or not _is_secret(
            sent[len(self.prefix) :], self.token, secrets
        ):
            raise Unverified(f"{self.header} does not carry the token", reason="mismatch")

    def references(self) -> list[Reference]:
        return [self.token]

    def speaks(self, webhook: Webhook) -> bool:
        return webhook.headers.get(self.header.lower(), "").lower().startswith(self.prefix.lower())

    def conceals(self) -> Names:
        return frozenset({self.header.lower()}), frozenset()


class Basic(_Scheme, frozen=True, tag="basic"):
    """
    A user name and a password (RFC 7617).

    username: The user's name.
    password: The password.
    """

    username: str
    password: Reference

    def verify(self, webhook: Webhook, secrets: Secrets, now: float) -> None:
        scheme, _, encoded = _sent(webhook, "Authorization").partition(" ")
        try:
            decoded = base64.b64decode(encoded.strip(), validate=True).decode()
        except (binascii.Error, ValueError):
            decoded = ""
        username, _, password = decoded.partition(":")
        named = hmac.compare_digest(username.encode(), self.username.encode())
        if not (_is_secret(password, self.password, secrets) & named) or scheme.lower() != "basic":
            raise Unverified("Authorization does not carry the user name and password", reason="mismatch")

    def references(self) -> list[Reference]:
        return [self.password]

    def speaks(self, webhook: Webhook) -> bool:
        return webhook.headers.get("authorization", "").lower().startswith("basic ")

    def conceals(self) -> Names:
        return frozenset({"authorization"}), frozenset()


class Token(_Scheme, frozen=True, tag="token"):
    """
    A shared token in a header, a query parameter, a segment of the path, or a field of a form. Give one of the four.

    token: The token.
    header: The header it stands in.
    query: The query parameter it stands in.
    segment: Which segment of the path behind the provider's name it is, from 1.
    field: The field of a form body it stands in.
    prefix: What stands before it.
    """

    token: Reference
    header: str | None = None
    query: str | None = None
    segment: int | None = None
    field: str | None = None
    prefix: str = ""

    def __post_init__(self) -> None:
        if sum(place is not None for place in (self.header, self.query, self.segment, self.field)) != 1:
            raise ValueError("say where the token stands: give one of header, query, segment and field")

    def verify(self, webhook: Webhook, secrets: Secrets, now: float) -> None:
        where, sent = self._look(webhook)
        if not sent:
            raise Unverified(f"there is no token in {where}", reason="absent")
        if not sent.startswith(self.prefix) or not _is_secret(sent.removeprefix(self.prefix), self.token, secrets):
            raise Unverified(f"{where} does not carry the token", reason="mismatch")

    def _look(self, webhook: Webhook) -> tuple[str, str]:
        if self.header is not None:
            return self.header, _sent(webhook, self.header) if self.header.lower() in webhook.headers else ""
        if self.query is not None:
            return f"the query parameter {self.query}", webhook.query.get(self.query, "")
        if self.segment is not None:
            segments = [segment for segment in webhook.rest.split("/") if segment]
            return f"segment {self.segment} of the path", segments[self.segment - 1] if 0 < self.segment <= len(segments) else ""
        return f"the field {self.field}", _form_field(webhook.body, self.field or "")

    def references(self) -> list[Reference]:
        return [self.token]

    def speaks(self, webhook: Webhook) -> bool:
        try:
            return bool(self._look(webhook)[1])
        except Unverified:
            return True  # it is there, and more than once

    def conceals(self) -> Names:
        return frozenset({self.header.lower()} if self.header else ()), frozenset({self.query} if self.query else ())


def _form_field(body: bytes, name: str) -> str:
    try:
        return dict(parse_qsl(body.decode(), max_num_fields=1000)).get(name, "")
    except ValueError:
        return ""


class All(_Scheme, frozen=True, tag="all"):
    """
    Several schemes, and each must hold.

    of: The schemes.
    """

    of: list[Scheme]

    def verify(self, webhook: Webhook, secrets: Secrets, now: float) -> None:
        for scheme in self.of:
            scheme.verify(webhook, secrets, now)

    def references(self) -> list[Reference]:
        return [reference for scheme in self.of for reference in scheme.references()]

    def conceals(self) -> Names:
        return _union([scheme.conceals() for scheme in self.of])


class AnyOf(_Scheme, frozen=True, tag="any"):
    """
    Several schemes, strongest first: the first whose header or parameter is there decides alone. One without a secret is off.

    of: The schemes.
    """

    of: list[Scheme]

    def verify(self, webhook: Webhook, secrets: Secrets, now: float) -> None:
        on = [scheme for scheme in self.of if scheme.ready(secrets)] or self.of
        for scheme in on:
            if scheme.speaks(webhook):
                return scheme.verify(webhook, secrets, now)
        on[0].verify(webhook, secrets, now)  # says what is absent; where no secret is set, says that
        raise Unverified("nothing here proves who sent it", reason="absent")

    def references(self) -> list[Reference]:
        return [reference for scheme in self.of for reference in scheme.references()]

    def ready(self, secrets: Secrets) -> bool:
        return any(scheme.ready(secrets) for scheme in self.of)

    def speaks(self, webhook: Webhook) -> bool:
        return any(scheme.speaks(webhook) for scheme in self.of)

    def conceals(self) -> Names:
        return _union([scheme.conceals() for scheme in self.of])


class Open(_Scheme, frozen=True, tag="none"):
    """
    No check at all.

    because: Why that is all right here.
    """

    because: str

    def __post_init__(self) -> None:
        if not self.because.strip():
            raise ValueError("because: say why this door needs no lock")

    def verify(self, webhook: Webhook, secrets: Secrets, now: float) -> None:
        return


class _NotYet(_Scheme, frozen=True):
    def __post_init__(self) -> None:
        tag = self.__struct_config__.tag
        raise ValueError(
            f"the scheme {tag!r} is in the language, and this version cannot verify it yet; use basic or token meanwhile"
        )


class Ed25519(_NotYet, frozen=True, tag="ed25519"):
    """
    An Ed25519 signature (RFC 8032).

    public_key: The sender's public key.
    signed: What is signed, as a byte template.
    signature: Where the signature stands.
    timestamp: Where the sender's clock stands.
    """

    public_key: Reference
    signature: Place
    signed: ByteTemplate = ByteTemplate("{{ timestamp }}{{ body }}")
    timestamp: Clock | None = None


class Jwt(_NotYet, frozen=True, tag="jwt"):
    """
    A JSON Web Token in `Authorization: Bearer` (RFC 7519).

    issuer: Who must have issued it.
    audience: Whom it must be for.
    keys: Where the issuer's keys are.
    claims: Claims it must have.
    """

    issuer: str
    audience: str
    keys: str
    claims: dict[str, str] = {}


class Sns(_NotYet, frozen=True, tag="sns"):
    """
    Amazon SNS's X.509 signature.

    topics: The topics that are allowed, as ARNs.
    versions: The signature versions that are allowed.
    """

    topics: list[str]
    versions: tuple[int, ...] = (2,)


Scheme = Hmac | Bearer | Basic | Token | All | AnyOf | Open | Ed25519 | Jwt | Sns


class Network:
    """A network in CIDR form, as `10.0.0.0/8`, or one address."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._network = ipaddress.ip_network(text)

    def holds(self, address: str) -> bool:
        """Whether the address is in it."""
        try:
            return ipaddress.ip_address(address) in self._network
        except ValueError:
            return False

    @classmethod
    def read(cls, data: Any) -> Self:
        try:
            return cls(str(data))
        except ValueError:
            raise ValueError(f"{data!r} is no network; write it like 10.0.0.0/8 or 192.0.2.7") from None

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": "string", "description": cls.__doc__}


def verify(scheme: Scheme, webhook: Webhook, secrets: Secrets, now: float) -> None:
    """Return, or raise Unverified, or SecretUnset where there is nothing to compare with. Times in epoch seconds."""
    if not scheme.ready(secrets):  # said before anything is compared, so that a missing secret never looks like a wrong one
        raise SecretUnset(" and ".join(str(reference) for reference in scheme.references() if not secrets.is_set(reference)))
    scheme.verify(webhook, secrets, now)


def allowed(networks: Sequence[Network], client: str) -> None:
    """Return, or raise Unverified for an address that is in none of the networks."""
    if not any(network.holds(client) for network in networks):
        raise Unverified(f"{client or 'an unknown address'} is in none of the networks in allow_from", reason="address")


def references(scheme: Scheme) -> Iterator[Reference]:
    """The secrets that a scheme names."""
    yield from scheme.references()


def _sent(webhook: Webhook, header: str) -> str:
    name = header.lower()
    if name in webhook.repeated:
        raise Unverified(f"{header} came more than once", reason="repeated")
    value = webhook.headers.get(name)
    if not value:
        raise Unverified(f"there is no {header}" if value is None else f"{header} is empty", reason="absent")
    return value


def _is_secret(sent: str, reference: Reference, secrets: Secrets) -> bool:
    found = hmac.compare_digest(sent.encode("utf-8", "replace"), secrets.reveal(reference).encode())
    if reference.previous is not None and secrets.is_set(reference.previous):
        found |= hmac.compare_digest(sent.encode("utf-8", "replace"), secrets.reveal(reference.previous).encode())
    return found


def _union(names: list[Names]) -> Names:
    return frozenset().union(*(headers for headers, _ in names)), frozenset().union(*(query for _, query in names))
