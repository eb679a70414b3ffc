"""The body is signed with a secret that is not sent."""

from __future__ import annotations

from ...model import Webhook
from ...signature import Signature, Signed
from ...values import Secrets
from .scheme import AnyScheme


class Hmac(Signature, AnyScheme, frozen=True, tag_field="scheme", tag="hmac"):
    __doc__ = Signature.__doc__

    def verify(self, webhook: Webhook, secrets: Secrets, now: float) -> None:  # type: ignore[override]  # a webhook is what is signed
        """Return, or raise Unverified, or SecretUnset. A signature is no credential: nothing is concealed."""
        super().verify(Signed(webhook.body, webhook.url, webhook.headers, webhook.repeated), secrets, now)

    def where(self) -> str:
        return self.signature.header

    def speaks(self, webhook: Webhook, secrets: Secrets) -> bool:
        return self.is_carried_by(webhook.headers)
