"""What a proxy in front of us has found out about the sender, and passes on."""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import Unverified
from ...model import Webhook
from ...signature import check_header
from ...values import Network, Pattern, Secrets
from .scheme import NOTHING, AnyScheme, sent_in


class ClientCertificate(AnyScheme, frozen=True, tag="client_certificate"):
    """
    A client certificate that the proxy in front of us has checked; it passes the name on in a header, which it must take from no
    sender (nginx: `proxy_set_header X-Client-Name $ssl_client_s_dn`, with `ssl_verify_client on`).

    header: The header in which the proxy passes the certificate's name on.
    names: The names that may come in; `*` stands for any run of characters.
    proxies: The networks of the proxies, as CIDR. From any other address the header means nothing.
    """

    header: str
    names: list[Pattern]
    proxies: list[Network]

    def __post_init__(self) -> None:
        check_header(self.header)
        if not self.names or any(not name.text.strip("*?") for name in self.names):
            raise ValueError("names: say whose certificate may come in; `*` alone lets anybody in whom the proxy lets in")
        if not self.proxies:
            raise ValueError("proxies: name the networks of the proxies; anybody else could write this header")

    def verify(self, webhook: Webhook, secrets: Secrets, now: float, published: Mapping[str, str] = NOTHING) -> None:
        if not any(network.holds(webhook.peer) for network in self.proxies):
            raise Unverified(f"{self.header} comes from an address that is none of our proxies", reason="address")
        name = sent_in(webhook, self.header)
        if not any(pattern.matches(name) for pattern in self.names):
            raise Unverified(f"{self.header} names a certificate that is not among `names`", reason="mismatch")

    def where(self) -> str:
        return self.header

    def speaks(self, webhook: Webhook, secrets: Secrets) -> bool:
        return self.header.lower() in webhook.headers
