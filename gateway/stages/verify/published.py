"""Signatures that are verified by public keys which their owner publishes at an address."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import SecretUnset, Unverified
from ...model import Webhook
from ...values import Pattern, Secrets, Setting, harmless
from .scheme import NOTHING, AnyScheme, Names, sent_in

if TYPE_CHECKING:
    import jwt
    from cryptography.x509 import Certificate

LEEWAY = 60.0  # seconds that a sender's clock may be from ours
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]  # none with a shared key
_JWT = re.compile(r"(?i:bearer) +([\w-]+\.[\w-]+\.[\w-]+)", re.ASCII)


class Jwt(AnyScheme, frozen=True, tag="jwt"):
    """
    A JSON Web Token in `Authorization: Bearer` (RFC 7519), signed by an issuer with a key that it publishes (RFC 7517).

    issuer: Who must have issued it (`iss`), to the letter.
    audience: Whom it must be for (`aud`).
    keys: The https address of the issuer's key set.
    claims: Other claims it must have. Of a claim with several values, one must be this.
    """

    issuer: Setting
    audience: Setting
    keys: Setting
    claims: dict[str, Setting] = {}

    def __post_init__(self) -> None:
        if isinstance(self.keys, str):
            _check_https(self.keys)

    def verify(self, webhook: Webhook, secrets: Secrets, now: float, published: Mapping[str, str] = NOTHING) -> None:
        found = _JWT.fullmatch(sent_in(webhook, "Authorization"))
        if found is None:
            raise Unverified("Authorization does not carry a JSON Web Token", reason="mismatch")
        claims = _claims(found[1], published.get(secrets.setting(self.keys), ""))
        wanted = {"iss": self.issuer, "aud": self.audience, **self.claims}
        for name, setting in wanted.items():
            if secrets.setting(setting) not in _texts(claims.get(name)):
                raise Unverified(f"the token's claim {name!r} is not what the file asks for", reason="claim")
        _check_times(claims, now)

    def asks(self, webhook: Webhook, secrets: Secrets) -> str:
        address = secrets.setting(self.keys)
        try:
            _check_https(address)
        except ValueError as error:
            raise SecretUnset(f"{self.keys} ({error})") from None
        return address if self.speaks(webhook, secrets) else ""

    def where(self) -> str:
        return "Authorization: Bearer (a JSON Web Token)"

    def speaks(self, webhook: Webhook, secrets: Secrets) -> bool:
        return _JWT.fullmatch(webhook.headers.get("authorization", "")) is not None

    def conceal(self, secrets: Secrets) -> None:
        """What it must say is no secret."""

    def conceals(self) -> Names:
        return frozenset({"authorization"}), frozenset()


def _check_https(address: str) -> None:
    if not re.fullmatch(r"https://[!-~]+", address):
        raise ValueError("keys: only an https address says whose keys they are")


def _claims(token: str, keys: str) -> dict[str, Any]:
    """What a token says that one of these keys has signed. Raises Unverified."""
    import jwt  # noqa: PLC0415 - it takes a tenth of a second, and few doors need it

    try:
        named = jwt.get_unverified_header(token).get("kid")
        fitting = [key for key in _key_set(keys).keys if named is None or key.key_id == named]
        for key in fitting:
            try:
                found = jwt.decode_complete(token, key, algorithms=ALGORITHMS, options=_SIGNATURE_ALONE)
            except jwt.InvalidSignatureError:
                continue
            return dict(found["payload"])
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, RecursionError):
        raise Unverified("the token cannot be read, or is not signed as its key asks for", reason="token") from None
    if not fitting:
        raise Unverified("the token is signed with a key that its issuer does not publish", reason="key")
    raise Unverified("the token's signature does not fit", reason="mismatch")


_SIGNATURE_ALONE: Any = {
    "verify_signature": True,
    **dict.fromkeys(("verify_exp", "verify_nbf", "verify_iat", "verify_aud", "verify_iss", "verify_sub", "verify_jti"), False),
}


@lru_cache(maxsize=16)
def _key_set(text: str) -> jwt.PyJWKSet:
    import jwt  # noqa: PLC0415 - as above

    return jwt.PyJWKSet.from_json(text)


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [each if isinstance(each, str) else msgspec.json.encode(each).decode() for each in values if each is not None]


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    """It has an end, which is not past; it has begun (RFC 7519, 4.1.4 and 4.1.5)."""
    end, begin = claims.get("exp"), claims.get("nbf", 0)
    if not isinstance(end, int | float) or not isinstance(begin, int | float):
        raise Unverified("the token does not say until when it holds", reason="claim")
    if not begin - LEEWAY <= now < end + LEEWAY:
        raise Unverified("the token is no longer valid, or not yet", reason="stale")


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
