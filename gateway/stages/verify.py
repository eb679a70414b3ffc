"""
Did the provider really send this?

To add a scheme: write one class here and name it in `Scheme` below.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from urllib.parse import parse_qsl

from ..errors import SecretUnset, Unverified
from ..model import Webhook
from ..signature import MOST_FIELDS, ByteTemplate, Clock, Place, Signature, Signed, check_header, raw
from ..values import Keys, Network, Reference, Secrets, check_secrets, harmless, unbase64

Names = tuple[frozenset[str], frozenset[str]]  # header names (lower-case) and query names
NOTHING: Names = (frozenset(), frozenset())


class _Scheme(Keys, frozen=True, tag_field="scheme"):
    def verify(self, webhook: Webhook, secrets: Secrets, now: float) -> None:
        """Return, or raise Unverified, or SecretUnset where there is nothing to compare with."""
        raise NotImplementedError

    def references(self) -> list[Reference]:
        """The secrets it needs."""
        return []

    def unset(self, secrets: Secrets) -> str:
        """What has no value and must have one, in words; empty where nothing is missing."""
        return _both(secrets.unset(reference) for reference in self.references())

    def ready(self, secrets: Secrets) -> bool:
        """Whether its secrets have values."""
        return not self.unset(secrets)

    def where(self) -> str:
        """Where it looks, in words."""
        return ""

    def speaks(self, webhook: Webhook, secrets: Secrets) -> bool:
        """Whether the webhook carries what this scheme looks at."""
        return True

    def conceals(self) -> Names:
        """What carries credentials and is never stored."""
        return NOTHING


class Hmac(Signature, _Scheme, frozen=True, tag_field="scheme", tag="hmac"):
    __doc__ = Signature.__doc__

    def verify(self, webhook: Webhook, secrets: Secrets, now: float) -> None:  # type: ignore[override]  # a webhook is what is signed
        """Return, or raise Unverified, or SecretUnset. A signature is no credential: nothing is concealed."""
        super().verify(Signed(webhook.body, webhook.url, webhook.headers, webhook.repeated), secrets, now)

    def where(self) -> str:
        return self.signature.header

    def speaks(self, webhook: Webhook, secrets: Secrets) -> bool:
        return self.is_carried_by(webhook.headers)


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

    def __post_init__(self) -> None:
        check_secrets(self, "token")
        check_header(self.header, self.prefix)

    def verify(self, webhook: Webhook, secrets: Secrets, now: float) -> None:
        sent, length = _sent(webhook, self.header), len(self.prefix)
        if sent[:length].lower() != self.prefix.lower() or not _is_secret(raw(sent[length:]), self.token, secrets):
            raise Unverified(f"{self.header} does not carry the token", reason="mismatch")

    def where(self) -> str:
        return f"{self.header}: {self.prefix}…"

    def references(self) -> list[Reference]:
        return [self.token]

    def speaks(self, webhook: Webhook, secrets: Secrets) -> bool:
        return webhook.headers.get(self.header.lower(), "").lower().startswith(self.prefix.lower())

    def conceals(self) -> Names:
        return frozenset({self.header.lower()}), frozenset()


class Basic(_Scheme, frozen=True, tag="basic"):
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

    def verify(self, webhook: Webhook, secrets: Secrets, now: float) -> None:
        scheme, _, encoded = _sent(webhook, "Authorization").partition(" ")
        try:
            pair = unbase64(encoded.strip(" "))
        except ValueError:
            pair = b""
        username, _, password = pair.partition(b":")
        if not (_says(username, self.username) & _is_secret(password, self.password, secrets)) or scheme.lower() != "basic":
            raise Unverified("Authorization does not carry the user name and password", reason="mismatch")

    def where(self) -> str:
        return "Authorization: Basic …"

    def references(self) -> list[Reference]:
        return [self.password]

    def speaks(self, webhook: Webhook, secrets: Secrets) -> bool:
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
        check_secrets(self, "token")
        if sum(place is not None for place in (self.header, self.query, self.segment, self.field)) != 1:
            raise ValueError("say where the token stands: give one of header, query, segment and field")
        if self.header is not None:
            check_header(self.header, self.prefix)
        if self.segment is not None and self.segment < 1:
            raise ValueError("segment: the first segment behind the provider's name is 1")

    def verify(self, webhook: Webhook, secrets: Secrets, now: float) -> None:
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
            return raw(_sent(webhook, self.header)) if self.header.lower() in webhook.headers else b""
        if self.field is not None:
            return _form_field(webhook.body, self.field)
        if self.query is not None:
            return webhook.query.get(self.query, "").encode(errors="replace")
        segments = [segment for segment in webhook.rest.split("/") if segment]
        return "".join(segments[(self.segment or 1) - 1 :][:1]).encode(errors="replace")

    def references(self) -> list[Reference]:
        return [self.token]

    def speaks(self, webhook: Webhook, secrets: Secrets) -> bool:
        try:
            return bool(self._look(webhook))
        except Unverified:
            return True  # it is there, and empty or more than once

    def conceals(self) -> Names:
        return frozenset({self.header.lower()} if self.header else ()), frozenset({self.query} if self.query else ())


def _form_field(body: bytes, name: str) -> bytes:
    """The first field of that name, as everywhere where a name comes twice; empty where there is none, or no form."""
    try:
        fields = parse_qsl(body.decode("latin-1"), encoding="latin-1", max_num_fields=MOST_FIELDS)
    except ValueError:
        return b""
    wanted = name.encode().decode("latin-1")
    return next((raw(value) for key, value in fields if key == wanted), b"")


class _Several(_Scheme, frozen=True):
    of: list[Scheme]

    def __post_init__(self) -> None:
        if not self.of:
            raise ValueError("of: name at least one scheme")
        if any(isinstance(scheme, Open) for scheme in self.of):
            raise ValueError("of: `none` checks nothing, so it does not go with others; let it stand alone, or take it out")

    def where(self) -> str:
        return ", ".join(scheme.where() for scheme in self.of)

    def references(self) -> list[Reference]:
        return [reference for scheme in self.of for reference in scheme.references()]

    def speaks(self, webhook: Webhook, secrets: Secrets) -> bool:
        return any(scheme.ready(secrets) and scheme.speaks(webhook, secrets) for scheme in self.of)

    def conceals(self) -> Names:
        headers, query = zip(*(scheme.conceals() for scheme in self.of), strict=True)
        return frozenset().union(*headers), frozenset().union(*query)


class All(_Several, frozen=True, tag="all"):
    """
    Several schemes, and each must hold.

    of: The schemes.
    """

    def verify(self, webhook: Webhook, secrets: Secrets, now: float) -> None:
        for scheme in self.of:
            scheme.verify(webhook, secrets, now)

    def unset(self, secrets: Secrets) -> str:
        return _both(scheme.unset(secrets) for scheme in self.of)


class AnyOf(_Several, frozen=True, tag="any"):
    """
    Several schemes, strongest first: the first whose header or parameter is there decides alone. One without a secret is off.

    of: The schemes.
    """

    def verify(self, webhook: Webhook, secrets: Secrets, now: float) -> None:
        on = [scheme for scheme in self.of if scheme.ready(secrets)]
        for scheme in on:
            if scheme.speaks(webhook, secrets):
                return scheme.verify(webhook, secrets, now)
        raise Unverified(f"there is none of: {', '.join(scheme.where() for scheme in on)}", reason="absent")

    def unset(self, secrets: Secrets) -> str:
        missing = [scheme.unset(secrets) for scheme in self.of]
        return " or ".join(missing) if all(missing) else ""


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
    An Ed25519 signature (RFC 8032). Not in this version: refused when the file loads.

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
    A JSON Web Token in `Authorization: Bearer` (RFC 7519). Not in this version: refused when the file loads.

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
    Amazon SNS's X.509 signature. Not in this version: refused when the file loads.

    topics: The topics that are allowed, as ARNs.
    versions: The signature versions that are allowed.
    """

    topics: list[str]
    versions: tuple[int, ...] = (2,)


Scheme = Hmac | Bearer | Basic | Token | All | AnyOf | Open | Ed25519 | Jwt | Sns


def verify(scheme: Scheme, webhook: Webhook, secrets: Secrets, now: float) -> None:
    """Return, or raise Unverified, or SecretUnset where there is nothing to compare with. Times in epoch seconds."""
    if unset := scheme.unset(secrets):  # said before anything is compared, so that a missing secret never looks like a wrong one
        raise SecretUnset(unset)
    scheme.verify(webhook, secrets, now)


def allowed(networks: Sequence[Network], client: str) -> None:
    """Return, or raise Unverified for an address that is in none of the networks."""
    if not any(network.holds(client) for network in networks):
        raise Unverified(f"{harmless(client) or 'an unknown address'} is in none of the networks in allow_from", reason="address")


def _both(missing: Iterable[str]) -> str:
    return " as well as ".join(filter(None, missing))


def _sent(webhook: Webhook, header: str) -> str:
    name = header.lower()
    if name in webhook.repeated:
        raise Unverified(f"{header} came more than once", reason="repeated")
    value = webhook.headers.get(name)
    if not value:
        raise Unverified(f"there is no {header}" if value is None else f"{header} is empty", reason="absent")
    return value


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


__all__ = ["Network", "Scheme", "allowed", "verify"]
