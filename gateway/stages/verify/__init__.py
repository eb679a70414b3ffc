"""
Did the provider really send this?

To add a scheme: write one class in the file of its family and name it in `Scheme` below.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import SecretUnset, Unverified
from ...model import Webhook
from ...values import Network, Reference, Secrets, harmless
from .credentials import Basic, Bearer, Token
from .later import Ed25519, Jwt, Sns
from .scheme import AnyScheme, Names, all_of
from .signatures import Hmac


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

    def verify(self, webhook: Webhook, secrets: Secrets, now: float) -> None:
        for scheme in self.of:
            scheme.verify(webhook, secrets, now)

    def unset(self, secrets: Secrets) -> str:
        return all_of(scheme.unset(secrets) for scheme in self.of)


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


class Open(AnyScheme, frozen=True, tag="none"):
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


__all__ = ["All", "AnyOf", "Hmac", "Scheme", "Token", "allowed", "verify"]
