"""What every scheme can be asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from ...errors import Unverified
from ...model import Webhook
from ...values import Keys, Reference, Secrets, references_of

Names = tuple[frozenset[str], frozenset[str]]  # header names (lower-case) and query names
NOTHING: Mapping[str, str] = MappingProxyType({})


class AnyScheme(Keys, frozen=True, tag_field="scheme"):
    def verify(self, webhook: Webhook, secrets: Secrets, now: float, published: Mapping[str, str] = NOTHING) -> None:
        """
        Return, or raise Unverified, or SecretUnset where there is nothing to compare with. `published`: what lies at the
        address that `asks` gave.
        """
        raise NotImplementedError

    def asks(self, webhook: Webhook, secrets: Secrets) -> str:
        """The address of the public keys that this webhook is to be verified by; empty where none are needed."""
        return ""

    def references(self) -> list[Reference]:
        """The secrets it needs."""
        return references_of(self)

    def unset(self, secrets: Secrets) -> str:
        """What has no value and must have one, in words; empty where nothing is missing."""
        return all_of(secrets.unset(reference) for reference in self.references())

    def ready(self, secrets: Secrets) -> bool:
        """Whether its secrets have values."""
        return not self.unset(secrets)

    def where(self) -> str:
        """Where it looks, in words."""
        return ""

    def speaks(self, webhook: Webhook, secrets: Secrets) -> bool:
        """Whether the webhook carries what this scheme looks at."""
        return True

    def vouches_for_query(self, webhook: Webhook, secrets: Secrets) -> bool:
        """Whether what proves the sender also proves what stands in the query: a secret that is sent does."""
        return True

    def conceal(self, secrets: Secrets) -> None:
        """Have what proves the sender's identity masked wherever it is repeated, before it first comes."""
        secrets.conceal_all(self.references())

    def conceals(self) -> Names:
        """What carries credentials and is never stored."""
        return frozenset(), frozenset()


def all_of(missing: Iterable[str]) -> str:
    """What is missing, in words; empty where nothing is."""
    return " as well as ".join(filter(None, missing))


def sent_in(webhook: Webhook, header: str) -> str:
    """What came in a header, once. Raises Unverified."""
    name = header.lower()
    if name in webhook.repeated:
        raise Unverified(f"{header} came more than once", reason="repeated")
    value = webhook.headers.get(name)
    if not value:
        raise Unverified(f"there is no {header}" if value is None else f"{header} is empty", reason="absent")
    return value
