"""
Did the provider really send this?

To add a scheme: write one class in the file of its family and name it in `Scheme` below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...errors import SecretUnset, Unverified
from ...model import Webhook
from ...values import Network, Reference, Secrets, harmless
from .credentials import Basic, Bearer, Token
from .forwarded import ClientCertificate
from .jwt import Jwt
from .scheme import NOTHING, AnyScheme, Names, all_of
from .signatures import Ed25519, Hmac
from .sns import Sns


class _Several(AnyScheme, frozen=True):
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

    def conceal(self, secrets: Secrets) -> None:
        for scheme in self.of:
            scheme.conceal(secrets)

    def conceals(self) -> Names:
        headers, query = zip(*(scheme.conceals() for scheme in self.of), strict=True)
        return frozenset().union(*headers), frozenset().union(*query)


class All(_Several, frozen=True, tag="all"):
    """
    Several schemes, and each must hold.

    of: The schemes.
    """

    def verify(self, webhook: Webhook, secrets: Secrets, now: float, published: Mapping[str, str] = NOTHING) -> None:
        for scheme in self.of:
            scheme.verify(webhook, secrets, now, published)

    def asks(self, webhook: Webhook, secrets: Secrets) -> str:
        return next(filter(None, (scheme.asks(webhook, secrets) for scheme in self.of)), "")

    def vouches_for_query(self, webhook: Webhook, secrets: Secrets) -> bool:
        return any(scheme.vouches_for_query(webhook, secrets) for scheme in self.of)

    def unset(self, secrets: Secrets) -> str:
        return all_of(scheme.unset(secrets) for scheme in self.of)


class AnyOf(_Several, frozen=True, tag="any"):
    """
    Several schemes, strongest first: the first whose header or parameter is there decides alone. One without a secret is off.

    of: The schemes.
    """

    def verify(self, webhook: Webhook, secrets: Secrets, now: float, published: Mapping[str, str] = NOTHING) -> None:
        if (scheme := self._spoken(webhook, secrets)) is not None:
            return scheme.verify(webhook, secrets, now, published)
        on = [scheme.where() for scheme in self.of if scheme.ready(secrets)]
        raise Unverified(f"there is none of: {', '.join(on)}", reason="absent")

    def asks(self, webhook: Webhook, secrets: Secrets) -> str:
        scheme = self._spoken(webhook, secrets)
        return "" if scheme is None else scheme.asks(webhook, secrets)

    def vouches_for_query(self, webhook: Webhook, secrets: Secrets) -> bool:
        scheme = self._spoken(webhook, secrets)
        return scheme is not None and scheme.vouches_for_query(webhook, secrets)

    def _spoken(self, webhook: Webhook, secrets: Secrets) -> Scheme | None:
        return next((each for each in self.of if each.ready(secrets) and each.speaks(webhook, secrets)), None)

    def unset(self, secrets: Secrets) -> str:
        missing = [scheme.unset(secrets) for scheme in self.of]
        return " or ".join(missing) if all(missing) else ""


class Open(AnyScheme, frozen=True, tag="none"):
    """
    No check at all.

    because: Why that is all right here.
    """

    because: str

    def __post_init__(self) -> None:
        if not self.because.strip():
            raise ValueError("because: say why this door needs no lock")

    def verify(self, webhook: Webhook, secrets: Secrets, now: float, published: Mapping[str, str] = NOTHING) -> None:
        return


Scheme = Hmac | Bearer | Basic | Token | All | AnyOf | Open | Ed25519 | Jwt | Sns | ClientCertificate


def verify(scheme: Scheme, webhook: Webhook, secrets: Secrets, now: float, published: Mapping[str, str] = NOTHING) -> None:
    """
    Return, or raise Unverified, or SecretUnset where there is nothing to compare with. Times in epoch seconds; `published`: what
    lies at the address that the scheme asks for.
    """
    if unset := scheme.unset(secrets):  # said before anything is compared, so that a missing secret never looks like a wrong one
        raise SecretUnset(unset)
    scheme.verify(webhook, secrets, now, published)


def asks(scheme: Scheme, webhook: Webhook, secrets: Secrets) -> str:
    """The address of the public keys that the webhook is to be verified by; empty where none are needed."""
    return "" if scheme.unset(secrets) else scheme.asks(webhook, secrets)


def allowed(networks: Sequence[Network], client: str) -> None:
    """Return, or raise Unverified for an address that is in none of the networks."""
    if not any(network.holds(client) for network in networks):
        raise Unverified(f"{harmless(client) or 'an unknown address'} is in none of the networks in allow_from", reason="address")


__all__ = ["NOTHING", "All", "AnyOf", "Hmac", "Scheme", "Token", "allowed", "asks", "verify"]
