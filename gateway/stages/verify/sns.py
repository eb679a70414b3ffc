"""Amazon SNS's signature: an X.509 certificate at an address, canonical text of named fields. No data could say all of it."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import SecretUnset, Unverified
from ...model import Webhook
from ...values import Pattern, Secrets, Setting, harmless
from .scheme import NOTHING, AnyScheme

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

# What each type of message signs, in this order; what is not there is left out.
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
_OPTIONAL = frozenset({"Subject"})
_CERTIFICATE = re.compile(
    r"https://sns\.[a-z0-9-]{3,20}\.amazonaws\.com(\.cn)?/SimpleNotificationService-[A-Za-z0-9]+\.pem", re.ASCII
)
_EXAMPLE = "arn:aws:sns:eu-central-1:123456789012:alarms"
_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9*-]+:[0-9]{12}:[A-Za-z0-9_.*-]+", re.ASCII)


class Sns(AnyScheme, frozen=True, tag="sns"):
    """
    Amazon SNS's X.509 signature over fields of the message (docs.aws.amazon.com/sns, "Verifying message signatures").

    topics: The ARNs of the topics that may come in, several in one text apart by commas or blanks; `*` stands for any run of
      characters in region and name, never in the account: anybody may have a topic.
    versions: The signature versions that are taken: 2 is SHA-256, 1 is SHA-1.
    issuer: The organization that must have issued the certificate.
    """

    topics: list[Setting]
    versions: tuple[int, ...] = (2,)
    issuer: str = "Amazon"

    def __post_init__(self) -> None:
        if not self.topics:
            raise ValueError("topics: name the topics; anybody with an account can have a message signed")
        for topic in self.topics:
            if isinstance(topic, str):
                _patterns(topic)
        if not {*self.versions} <= {1, 2} or not self.versions:
            raise ValueError("versions: there are 1 (SHA-1) and 2 (SHA-256)")

    def verify(self, webhook: Webhook, secrets: Secrets, now: float, published: Mapping[str, str] = NOTHING) -> None:
        message = self._message(webhook, secrets)
        certificate = _certificate(published.get(message["SigningCertURL"], ""), self.issuer, now)
        _check_signature(certificate, message)

    def asks(self, webhook: Webhook, secrets: Secrets) -> str:
        try:
            return self._message(webhook, secrets)["SigningCertURL"]
        except Unverified:
            return ""  # `verify` will say why

    def where(self) -> str:
        return "x-amz-sns-message-type"

    def vouches_for_query(self, webhook: Webhook, secrets: Secrets) -> bool:
        return False

    def speaks(self, webhook: Webhook, secrets: Secrets) -> bool:
        """Raw delivery has no envelope, and with it no signature."""
        return self.where() in webhook.headers and "x-amz-sns-rawdelivery" not in webhook.headers

    def conceal(self, secrets: Secrets) -> None:
        """The name of a topic is no secret."""

    def _message(self, webhook: Webhook, secrets: Secrets) -> dict[str, str]:
        """The envelope, with all that can be checked without the certificate. Raises Unverified, and SecretUnset."""
        patterns = [pattern for topic in self.topics for pattern in _patterns_of(topic, secrets)]
        message = _envelope(webhook.body)
        if not any(pattern.matches(message["TopicArn"]) for pattern in patterns):
            raise Unverified(f"the topic {harmless(message['TopicArn'])[:300]} is not among `topics`", reason="topic")
        if message["SignatureVersion"] not in map(str, self.versions):
            version = harmless(message["SignatureVersion"])[:10]
            hint = "; set the topic's attribute SignatureVersion to 2, or allow it in `versions`" if version == "1" else ""
            raise Unverified(f"signature version {version} is not taken{hint}", reason="version")
        if not _CERTIFICATE.fullmatch(message["SigningCertURL"]):
            raise Unverified("SigningCertURL is no certificate of Amazon SNS", reason="certificate")
        return message


def _patterns(text: str) -> list[Pattern]:
    """The topics in a text. ValueError where one is none, or could be anybody's."""
    topics = re.split(r"[\s,]+", text.strip(" \t\n,"))
    for topic in topics:
        if not _TOPIC.fullmatch(topic):
            raise ValueError(f"topics: {topic!r} is no topic's ARN, with its account, as in {_EXAMPLE}")
    return [Pattern(topic) for topic in topics]


def _patterns_of(topic: Setting, secrets: Secrets) -> list[Pattern]:
    try:
        return _patterns(secrets.setting(topic))
    except ValueError:
        raise SecretUnset(f"{topic} (it is no topic's ARN, with its account, as in {_EXAMPLE})") from None


def _envelope(body: bytes) -> dict[str, str]:
    """The texts of an envelope, and all that it must have. Raises Unverified."""
    try:
        found = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Unverified("the body is no message of Amazon SNS", reason="envelope") from None
    texts = {name: value for name, value in found.items() if isinstance(value, str)}
    names = _SIGNED.get(texts.get("Type", ""), ("Type",))
    needed = [name for name in (*names, "Signature", "SignatureVersion", "SigningCertURL") if name not in _OPTIONAL]
    missing = [name for name in needed if not texts.get(name)]
    if missing or texts["Type"] not in _SIGNED:
        raise Unverified(f"the message has no usable {(missing or ['Type'])[0]}", reason="envelope")
    return texts


def _certificate(pem: str, issuer: str, now: float) -> Certificate:
    from cryptography import x509  # noqa: PLC0415 - few doors need it
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        issuers = [each.value for each in certificate.issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except ValueError:
        raise Unverified("what lies at SigningCertURL is no certificate", reason="certificate") from None
    if issuer not in issuers:
        raise Unverified(f"the certificate was not issued by {issuer}", reason="certificate")
    if not begin <= datetime.fromtimestamp(now, UTC) <= end:
        raise Unverified("the certificate is no longer valid, or not yet", reason="certificate")
    return certificate


def _check_signature(certificate: Certificate, message: Mapping[str, str]) -> None:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA1, SHA256  # noqa: PLC0415

    key = certificate.public_key()
    signed = "".join(f"{name}\n{message[name]}\n" for name in _SIGNED[message["Type"]] if name in message)
    if not isinstance(key, RSAPublicKey):
        raise Unverified("the certificate has no RSA key", reason="certificate")
    try:
        signature = b64decode(message["Signature"], validate=True)
        key.verify(signature, signed.encode(), PKCS1v15(), SHA256() if message["SignatureVersion"] == "2" else SHA1())  # noqa: S303
    except (InvalidSignature, ValueError):
        raise Unverified("the signature does not fit the message", reason="mismatch") from None
