"""The message is signed with a secret, or a private key, that is not sent."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ...errors import SecretUnset, Unverified
from ...model import Webhook
from ...signature import AnySignature, Signature, Signed
from ...values import Reference, Secrets, unbase64
from .scheme import NOTHING, AnyScheme


class _SignedMessage(AnySignature, AnyScheme, frozen=True, kw_only=True, tag_field="scheme"):
    def where(self) -> str:
        return self.signature.header

    def speaks(self, webhook: Webhook, secrets: Secrets) -> bool:
        return self.is_carried_by(webhook.headers)

    def vouches_for_query(self, webhook: Webhook, secrets: Secrets) -> bool:
        return self.covers_url


class Hmac(Signature, _SignedMessage, frozen=True, kw_only=True, tag_field="scheme", tag="hmac"):
    __doc__ = Signature.__doc__

    def verify(  # type: ignore[override]  # a webhook is what is signed
        self, webhook: Webhook, secrets: Secrets, now: float, published: Mapping[str, str] = NOTHING
    ) -> None:
        """Return, or raise Unverified, or SecretUnset. A signature is no credential: nothing is concealed."""
        super().verify(_signed(webhook), secrets, now)


class Ed25519(_SignedMessage, frozen=True, kw_only=True, tag_field="scheme", tag="ed25519"):
    """
    An Ed25519 signature (RFC 8032) over bytes of the message.

    public_key: The sender's public key: its 32 bytes in hex or base64. `previous` beside it is accepted too.
    """

    public_key: Reference

    def __post_init__(self) -> None:
        if self.public_key.decode is not None:
            raise ValueError("public_key: whether it is hex or base64 is seen by its form; take `decode` away")
        super().__post_init__()

    def verify(self, webhook: Webhook, secrets: Secrets, now: float, published: Mapping[str, str] = NOTHING) -> None:
        signed, given, timestamp = self.given(_signed(webhook), now)
        message = self.signed(signed, timestamp, b"")
        signatures = [bytes_of(each) for each in given]
        if not any(_fits(key, each, message) for key in self._keys(secrets) for each in signatures):
            raise Unverified(f"{self.signature.header} does not fit what was sent and the public key", reason="mismatch")

    def conceal(self, secrets: Secrets) -> None:
        """A public key is no secret."""

    def _unsafe(self) -> str:
        if self.signed.uses("secret"):
            return "signed: there is no secret here; the sender signs with a key that only it has"
        return super()._unsafe()

    def _keys(self, secrets: Secrets) -> list[bytes]:
        references = filter(None, (self.public_key, self.public_key.earlier))
        found = [
            (each, bytes_of(secrets.look_up(each))) for each in references if secrets.is_set(each) or each is self.public_key
        ]
        for reference, key in found:
            if len(key) != LENGTH:
                raise SecretUnset(f"{reference} (it is no Ed25519 public key: {LENGTH} bytes in hex or base64)")
        return [key for _, key in found]


LENGTH = 32  # bytes of a public key


def _signed(webhook: Webhook) -> Signed:
    return Signed(webhook.body, webhook.url, webhook.headers, webhook.repeated)


def bytes_of(text: str) -> bytes:
    """What is written in hex, or else in base64; nothing where it is neither."""
    try:
        return bytes.fromhex(text) if re.fullmatch(r"([0-9A-Fa-f]{2})+", text) else unbase64(text)
    except ValueError:
        return b""


def _fits(key: bytes, signature: bytes, message: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - it takes a while, and few doors need it
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
