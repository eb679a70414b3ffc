"""
Schemes that are verified by a public key: Ed25519, JSON Web Tokens, Amazon SNS. Tokens and messages are made by hand here, as the
RFCs and the vendor's page say, not by the library that reads them.
"""

from __future__ import annotations

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from doors import Door, read

from gateway.config.decode import decode
from gateway.config.yaml import Document
from gateway.errors import SecretUnset, Unverified
from gateway.model import Webhook
from gateway.stages.verify import asks, verify
from gateway.values import Secrets

NOW = 1_790_504_100.0
TODAY = datetime.fromtimestamp(NOW, UTC)


def problems(text: str) -> list[str]:
    document = Document("a.yaml", f"auth: {text}")
    assert decode(document, Door) is None
    return [problem.message for problem in document.problems]


def webhook(body: bytes = b"", repeated: tuple[str, ...] = (), peer: str = "", **headers: str) -> Webhook:
    named = {name.lower().replace("_", "-"): value for name, value in headers.items()}
    return Webhook(id="w", provider="p", received_at=TODAY, body=body, headers=named, repeated=frozenset(repeated), peer=peer)


def verdict(scheme: Any, sent: Webhook, values: dict[str, str], published: dict[str, str] | None = None, now: float = NOW) -> str:
    """Empty where it verifies; else the reason and the message."""
    try:
        verify(scheme, sent, Secrets(values), now, published or {})
    except Unverified as error:
        return f"{error.reason}: {error}"
    except SecretUnset as error:
        return f"unset: {error}"
    return ""


# Ed25519


SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = SIGNER.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
BODY = b'{"state":"down \xc3\xa4"}'
STAMP = str(int(NOW))
PLAIN = "{ scheme: ed25519, public_key: { env: KEY }, signature: { header: X-Signature } }"
STAMPED = (
    "{ scheme: ed25519, public_key: { env: KEY, previous: { env: OLD } }, encoding: base64, signed: '{{ timestamp }}|{{ body }}', "
    "timestamp: { header: X-Time, tolerance: 5m }, signature: { header: X-Signature, split: ' ', prefix: 'v1a,' }, "
    "aliases: { x-signature: y-signature } }"
)
HEX = SIGNER.sign(BODY).hex()
BASE64 = "v1a," + base64.b64encode(SIGNER.sign(STAMP.encode() + b"|" + BODY)).decode()
UNFIT = "mismatch: X-Signature does not fit what was sent and the public key"
KEY = {"KEY": PUBLIC.hex()}


@pytest.mark.parametrize("written", [PUBLIC.hex(), PUBLIC.hex().upper(), base64.b64encode(PUBLIC).decode(), base64.b64encode(PUBLIC).decode().rstrip("=")])  # fmt: skip
def test_a_public_key_is_read_in_hex_and_base64(written):
    assert verdict(read(PLAIN), webhook(BODY, x_signature=HEX), {"KEY": written}) == ""


ED25519_CASES: list[tuple[str, Webhook, str]] = [
    (PLAIN, webhook(BODY, x_signature=HEX.upper()), ""),
    (PLAIN, webhook(BODY + b" ", x_signature=HEX), UNFIT),
    (PLAIN, webhook(bytes([BODY[0] ^ 1]) + BODY[1:], x_signature=HEX), UNFIT),
    (PLAIN, webhook(BODY, x_signature="x" + HEX), UNFIT),
    (PLAIN, webhook(BODY, x_signature=HEX[:-2]), UNFIT),
    (PLAIN, webhook(BODY, x_signature="\u2603\ud800"), UNFIT),
    (PLAIN, webhook(BODY), "absent: there is no X-Signature"),
    (PLAIN, webhook(BODY, x_signature=""), "absent: X-Signature is empty"),
    (PLAIN, webhook(BODY, ("x-signature",), x_signature=HEX), "repeated: X-Signature came more than once"),
    (STAMPED, webhook(BODY, x_time=STAMP, x_signature=BASE64), ""),
    (STAMPED, webhook(BODY, x_time=STAMP, y_signature=BASE64), ""),
    (STAMPED, webhook(BODY, x_time=STAMP, x_signature=f"v1,abc {BASE64} v1a,AAAA"), ""),
    (STAMPED, webhook(BODY, x_time=STAMP, x_signature=BASE64[4:]), "mismatch: X-Signature has no value that begins with v1a,"),
    (STAMPED, webhook(BODY, x_time=str(int(NOW) + 1), x_signature=BASE64), UNFIT),
    (STAMPED, webhook(BODY, x_time=str(int(NOW) - 301), x_signature=BASE64), "stale: X-Time is 301 s old; 300 s are tolerated"),
    (STAMPED, webhook(BODY, x_signature=BASE64), "absent: there is no X-Time"),
]


@pytest.mark.parametrize("text, sent, expected", ED25519_CASES)
def test_an_ed25519_signature_opens_the_door_and_nothing_else_does(text, sent, expected):
    assert verdict(read(text), sent, KEY) == expected


def test_the_public_key_before_is_taken_while_it_is_there_and_none_must_be_something_else():
    sent, other = webhook(BODY, x_time=STAMP, x_signature=BASE64), bytes(31 * [1] + [2]).hex()
    assert verdict(read(STAMPED), sent, {"KEY": other, "OLD": PUBLIC.hex()}) == ""
    assert verdict(read(STAMPED), sent, {"KEY": other}) == UNFIT
    assert verdict(read(STAMPED), sent, {}) == "unset: KEY is not set"
    broken = "unset: KEY (it is no Ed25519 public key: 32 bytes in hex or base64) is not set"
    assert [verdict(read(STAMPED), sent, {"KEY": value}) for value in ("abc", "00" * 31, "sn\u2603w")] == [broken] * 3


# JSON Web Tokens


@cache
def rsa_key(number: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


CURVE = ec.generate_private_key(ec.SECP256R1())
ISSUER, AUDIENCE, ADDRESS = "https://issuer.test", "https://gateway.test", "https://issuer.test/keys"
JWT = (
    f"{{ scheme: jwt, issuer: '{ISSUER}', audience: {{ env: AUDIENCE }}, keys: '{ADDRESS}', "
    "claims: { email: { env: EMAIL }, email_verified: 'true', roles: Alerts } }"
)
SETTINGS = {"AUDIENCE": AUDIENCE, "EMAIL": "push@project.test"}
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "aud": [AUDIENCE, "other"],
    "exp": NOW + 600,
    "nbf": NOW - 5,
    "email": "push@project.test",
    "email_verified": True,
    "roles": ["Viewer", "Alerts"],
}


def url64(data: bytes | int) -> str:
    data = data if isinstance(data, bytes) else data.to_bytes((data.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def rsa_jwk(number: int) -> dict[str, str]:
    numbers = rsa_key(number).public_key().public_numbers()
    return {"kty": "RSA", "kid": f"k{number}", "use": "sig", "n": url64(numbers.n), "e": url64(numbers.e)}


def curve_jwk() -> dict[str, str]:
    numbers = CURVE.public_key().public_numbers()
    return {
        "kty": "EC",
        "crv": "P-256",
        "kid": "c",
        "x": url64(numbers.x.to_bytes(32, "big")),
        "y": url64(numbers.y.to_bytes(32, "big")),
    }


def token(header: dict[str, Any], claims: Any, key: Any = None) -> str:
    signed = ".".join(url64(json.dumps(part).encode()) for part in (header, claims))
    if isinstance(key, rsa.RSAPrivateKey):
        signature = key.sign(signed.encode(), PKCS1v15(), SHA256())
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        signature = b"".join(
            number.to_bytes(32, "big") for number in decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(SHA256())))
        )
    else:
        signature = key or b""
    return f"{signed}.{url64(signature)}"


def keys() -> dict[str, str]:
    return {ADDRESS: json.dumps({"keys": [rsa_jwk(1), rsa_jwk(2), curve_jwk()]})}


def bearing(written: str, *repeated: str) -> Webhook:
    return webhook(b"{}", repeated, authorization=f"Bearer {written}")


RS256, ES256 = {"alg": "RS256", "kid": "k1", "typ": "JWT"}, {"alg": "ES256", "kid": "c"}
UNREADABLE = "token: the token cannot be read, or is not signed as its key asks for"


def test_a_token_of_the_issuer_opens_the_door():
    for written in (token(RS256, CLAIMS, rsa_key(1)), token(ES256, CLAIMS, CURVE), token({"alg": "RS256"}, CLAIMS, rsa_key(2))):
        sent = bearing(written)
        assert asks(read(JWT), sent, Secrets(SETTINGS)) == ADDRESS
        assert verdict(read(JWT), sent, SETTINGS, keys()) == ""


@pytest.mark.parametrize(
    "changed, expected",
    [
        ({"iss": ISSUER + "/"}, "claim: the token's claim 'iss' is not what the file asks for"),
        ({"iss": None}, "claim: the token's claim 'iss' is not what the file asks for"),
        ({"aud": "https://else.test"}, "claim: the token's claim 'aud' is not what the file asks for"),
        ({"aud": []}, "claim: the token's claim 'aud' is not what the file asks for"),
        ({"email": "mallory@project.test"}, "claim: the token's claim 'email' is not what the file asks for"),
        ({"email": None}, "claim: the token's claim 'email' is not what the file asks for"),
        ({"email_verified": False}, "claim: the token's claim 'email_verified' is not what the file asks for"),
        ({"roles": ["Viewer"]}, "claim: the token's claim 'roles' is not what the file asks for"),
        ({"exp": NOW - 61}, "stale: the token is no longer valid, or not yet"),
        ({"exp": NOW - 59}, ""),
        ({"nbf": NOW + 61}, "stale: the token is no longer valid, or not yet"),
        ({"nbf": NOW + 59}, ""),
        ({"exp": None}, "claim: the token does not say until when it holds"),
        ({"exp": "soon"}, "claim: the token does not say until when it holds"),
        ({"nbf": "soon"}, "claim: the token does not say until when it holds"),
    ],
)
def test_a_token_that_says_something_else_is_refused(changed, expected):
    claims = {name: value for name, value in (CLAIMS | changed).items() if value is not None}
    assert verdict(read(JWT), bearing(token(RS256, claims, rsa_key(1))), SETTINGS, keys()) == expected


def test_a_forged_token_is_refused():
    good = token(RS256, CLAIMS, rsa_key(1))
    head, body, signature = good.split(".")
    other = url64(json.dumps(CLAIMS | {"email": "m"}).encode())
    shared = json.dumps({"keys": [rsa_jwk(1)]}).encode()
    public = rsa_key(1).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    unsigned = ".".join(url64(json.dumps(part).encode()) for part in ({"alg": "HS256", "kid": "k1"}, CLAIMS))
    cases = {
        f"{head}.{other}.{signature}": "mismatch: the token's signature does not fit",
        f"{head}.{body}.{url64(b'x' * 256)}": "mismatch: the token's signature does not fit",
        token(RS256, CLAIMS, rsa_key(2)): "mismatch: the token's signature does not fit",
        token(RS256 | {"kid": "k9"}, CLAIMS, rsa_key(1)): "key: the token is signed with a key that its issuer does not publish",
        token({"alg": "none", "kid": "k1"}, CLAIMS, b"x"): UNREADABLE,
        token({"alg": "ES256", "kid": "k1"}, CLAIMS, CURVE): UNREADABLE,
        **{f"{unsigned}.{url64(hmac.digest(key, unsigned.encode(), 'sha256'))}": UNREADABLE for key in (public, shared)},
        token(RS256 | {"crit": ["b64"], "b64": False}, CLAIMS, rsa_key(1)): UNREADABLE,
        token(RS256, [CLAIMS], rsa_key(1)): UNREADABLE,
        "e30.e30.eA": UNREADABLE,
        "a.b.c": UNREADABLE,
    }
    assert {written: verdict(read(JWT), bearing(written), SETTINGS, keys()) for written in cases} == cases
    assert verdict(read(JWT), bearing(good), SETTINGS, {}) == UNREADABLE
    assert verdict(read(JWT), bearing(good), SETTINGS, {ADDRESS: "<html>"}) == UNREADABLE


def test_what_is_no_token_asks_for_no_keys():
    none = "mismatch: Authorization does not carry a JSON Web Token"
    said = [
        (webhook(), "absent: there is no Authorization"),
        (bearing("opaque"), none),
        (webhook(authorization="Basic a.b.c"), none),
    ]
    for sent, expected in said:
        assert asks(read(JWT), sent, Secrets(SETTINGS)) == ""
        assert verdict(read(JWT), sent, SETTINGS, keys()) == expected
    twice = bearing(token(RS256, CLAIMS, rsa_key(1)), "authorization")
    assert verdict(read(JWT), twice, SETTINGS, keys()) == "repeated: Authorization came more than once"


def test_a_token_needs_its_settings():
    sent = bearing(token(RS256, CLAIMS, rsa_key(1)))
    assert verdict(read(JWT), sent, {}, keys()) == "unset: AUDIENCE as well as EMAIL is not set"
    assert asks(read(JWT), sent, Secrets({})) == ""
    assert read(JWT).conceals() == (frozenset({"authorization"}), frozenset())
    plain = read("{ scheme: jwt, issuer: a, audience: b, keys: { env: KEYS } }")
    with pytest.raises(SecretUnset) as caught:
        asks(plain, sent, Secrets({"KEYS": "http://issuer.test"}))
    assert str(caught.value) == "KEYS (keys: only an https address says whose keys they are) is not set"


# Amazon SNS


def certified(organization: str = "Amazon", begin: float = -1, end: float = 1) -> tuple[rsa.RSAPrivateKey, str]:
    """A key, and a certificate for it that holds so many days from now."""
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)])
    builder = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=rsa_key(3).public_key(), serial_number=7)
        .not_valid_before(TODAY + timedelta(days=begin))
        .not_valid_after(TODAY + timedelta(days=end))
    )
    return rsa_key(3), builder.sign(rsa_key(3), SHA256()).public_bytes(Encoding.PEM).decode()


SNS = "{ scheme: sns, topics: [ { env: TOPICS }, 'arn:aws:sns:eu-west-1:123456789012:alarms' ] }"
BOTH = SNS.replace("] }", "], versions: [1, 2] }")
TOPICS = {"TOPICS": "arn:aws:sns:us-east-1:210987654321:a, arn:aws-cn:sns:*:123456789012:team-*"}
PEM = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-60eadc530605d63b8e62a523676ef735.pem"
MESSAGE = {
    "Type": "Notification",
    "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
    "TopicArn": "arn:aws:sns:eu-west-1:123456789012:alarms",
    "Subject": 'ALARM: "cpu"',
    "Message": '{"AlarmName":"cpu \u00e4"}',
    "Timestamp": "2026-09-27T10:15:00.000Z",
    "SignatureVersion": "2",
    "SigningCertURL": PEM,
    "UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe",
}
CONFIRMATION = {
    name: value for name, value in MESSAGE.items() if name not in ("Subject", "UnsubscribeURL")
} | {"Type": "SubscriptionConfirmation", "Token": "2336", "SubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Confirm"}  # fmt: skip
NOTIFIED = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
CONFIRMED = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
MISFIT = "mismatch: the signature does not fit the message"


def sealed(message: dict[str, str], names: tuple[str, ...] = NOTIFIED) -> dict[str, str]:
    """The message with its signature, made as the vendor's page says."""
    text = "".join(f"{name}\n{message[name]}\n" for name in names if name in message)
    hash = SHA1() if message["SignatureVersion"] == "1" else SHA256()  # noqa: S303 - as version 1 has it
    return message | {"Signature": base64.b64encode(certified()[0].sign(text.encode(), PKCS1v15(), hash)).decode()}


def posted(message: dict[str, Any]) -> Webhook:
    return webhook(json.dumps(message).encode(), x_amz_sns_message_type=str(message.get("Type", "")))


def sns(message: dict[str, Any], text: str = SNS, *, pem: str = "", now: float = NOW) -> str:
    return verdict(read(text), posted(message), TOPICS, {PEM: pem or certified()[1]}, now)


def test_a_message_signed_by_sns_opens_the_door():
    good = [
        sealed(MESSAGE),
        sealed({name: value for name, value in MESSAGE.items() if name != "Subject"}),
        sealed(CONFIRMATION, CONFIRMED),
        sealed(CONFIRMATION | {"Type": "UnsubscribeConfirmation"}, CONFIRMED),
        sealed(MESSAGE | {"TopicArn": "arn:aws-cn:sns:cn-north-1:123456789012:team-a"}),
        sealed(MESSAGE | {"TopicArn": "arn:aws:sns:us-east-1:210987654321:a"}),
    ]
    assert [sns(message) for message in good] == [""] * len(good)
    assert asks(read(SNS), posted(good[0]), Secrets(TOPICS)) == PEM
    assert sns(sealed(MESSAGE | {"SignatureVersion": "1"}), BOTH) == ""


def test_a_changed_message_is_refused():
    for name in NOTIFIED:
        changed = sealed(MESSAGE) | {name: MESSAGE[name] + "x"}
        expected = {
            "TopicArn": "topic: the topic arn:aws:sns:eu-west-1:123456789012:alarmsx is not among `topics`",
            "Type": "envelope: the message has no usable Type",
        }
        assert sns(changed) == expected.get(name, MISFIT), name
    for name in (*NOTIFIED, "Signature", "SignatureVersion", "SigningCertURL"):
        gone = {key: value for key, value in sealed(MESSAGE).items() if key != name}
        assert sns(gone) == (MISFIT if name == "Subject" else f"envelope: the message has no usable {name}"), name
    assert sns(sealed(MESSAGE) | {"Type": "SubscriptionConfirmation", "Token": "t", "SubscribeURL": "u"}) == MISFIT
    assert sns(sealed(MESSAGE) | {"Signature": "!"}) == MISFIT
    assert sns(sealed(MESSAGE) | {"Signature": 7}) == "envelope: the message has no usable Signature"
    assert sns(sealed(MESSAGE | {"SignatureVersion": "1"}) | {"SignatureVersion": "2"}) == MISFIT


def test_the_weaker_version_is_taken_only_where_the_file_says_so():
    hint = "version: signature version 1 is not taken; set the topic's attribute SignatureVersion to 2, or allow it in `versions`"
    assert sns(sealed(MESSAGE | {"SignatureVersion": "1"})) == hint
    assert sns(sealed(MESSAGE | {"SignatureVersion": "3"})) == "version: signature version 3 is not taken"


@pytest.mark.parametrize(
    "address",
    [
        PEM.replace("https", "http"),
        PEM.replace(".com", ".com.evil.example"),
        PEM.replace("sns.eu-west-1.amazonaws.com", "s3.amazonaws.com"),
        PEM.replace("sns.eu-west-1.amazonaws.com", "sns.eu-west-1.amazonaws.com@evil.example"),
        PEM.replace("sns.", "SNS."),
        PEM.replace("amazonaws.com", "amazonaws.com:8443"),
        PEM.replace("eu-west-1", "eu\u2024west"),
        PEM.replace("eu-west-1", "evil.example"),
        PEM + "?x=1",
        PEM + "\n",
        PEM.replace("/Simple", "/bucket/Simple"),
        "https://127.0.0.1/SimpleNotificationService-60eadc530605d63b8e62a523676ef735.pem",
    ],
)
def test_a_certificate_is_fetched_from_nowhere_but_sns(address):
    sent = sealed(MESSAGE | {"SigningCertURL": address})
    assert asks(read(SNS), posted(sent), Secrets(TOPICS)) == ""
    assert sns(sent) == "certificate: SigningCertURL is no certificate of Amazon SNS"


def test_a_certificate_of_another_or_of_another_time_is_refused():
    good = sealed(MESSAGE)
    assert sns(good, pem=certified("Mallory")[1]) == "certificate: the certificate was not issued by Amazon"
    assert sns(good, SNS.replace("] }", "], issuer: Mallory }"), pem=certified("Mallory")[1]) == ""
    late = "certificate: the certificate is no longer valid, or not yet"
    assert [sns(good, now=NOW + days * 86400) for days in (-2, 2)] == [late, late]
    assert (
        sns(good, pem="-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")
        == "certificate: what lies at SigningCertURL is no certificate"
    )
    assert verdict(read(SNS), posted(good), TOPICS) == "certificate: what lies at SigningCertURL is no certificate"


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"{", b"[" * 5000, b"{}"])
def test_what_is_no_envelope_is_refused(body):
    said = verdict(read(SNS), webhook(body, x_amz_sns_message_type="Notification"), TOPICS)
    assert said == (
        "envelope: the message has no usable Type" if body == b"{}" else "envelope: the body is no message of Amazon SNS"
    )


def test_the_topics_must_be_named():
    assert verdict(read(SNS), posted(sealed(MESSAGE)), {}) == "unset: TOPICS is not set"
    other = (
        "unset: TOPICS (it is no topic's ARN, with its account, as in arn:aws:sns:eu-central-1:123456789012:alarms) is not set"
    )
    for value in ("*", "arn:aws:sns:*:*:*", "alarms", "arn:aws:sns:eu-west-1:123456789012:a, x"):
        assert verdict(read(SNS), posted(sealed(MESSAGE)), {"TOPICS": value}) == other


def test_raw_delivery_has_no_signature_so_another_scheme_decides():
    either = read(f"{{ scheme: any, of: [ {SNS}, {{ scheme: token, query: key, token: {{ env: TOKEN }} }} ] }}")
    raw = webhook(b"{}", x_amz_sns_message_type="Notification", x_amz_sns_rawdelivery="true")
    assert (
        verdict(either, raw, TOPICS | {"TOKEN": "t0ken"})
        == "absent: there is none of: x-amz-sns-message-type, the query parameter key"
    )
    assert asks(either, raw, Secrets(TOPICS)) == ""
    assert asks(either, posted(sealed(MESSAGE)), Secrets(TOPICS)) == PEM
    forged = posted(MESSAGE | {"Signature": "AAAA"})
    assert verdict(either, forged, TOPICS | {"TOKEN": "t0ken"}, {PEM: certified()[1]}) == MISFIT


# A certificate that a proxy has checked


CERTIFICATE = "{ scheme: client_certificate, header: X-Client-Name, names: ['CN=alerts,O=Acme', 'CN=team-*,O=Acme'], proxies: [10.0.0.0/8] }"


@pytest.mark.parametrize(
    "sent, expected",
    [
        (webhook(peer="10.1.2.3", x_client_name="CN=alerts,O=Acme"), ""),
        (webhook(peer="10.1.2.3", x_client_name="CN=team-web,O=Acme"), ""),
        (
            webhook(peer="10.1.2.3", x_client_name="CN=alerts,O=Acme,OU=x"),
            "mismatch: X-Client-Name names a certificate that is not among `names`",
        ),
        (webhook(peer="10.1.2.3"), "absent: there is no X-Client-Name"),
        (webhook(peer="10.1.2.3", x_client_name=""), "absent: X-Client-Name is empty"),
        (
            webhook(repeated=("x-client-name",), peer="10.1.2.3", x_client_name="CN=alerts,O=Acme"),
            "repeated: X-Client-Name came more than once",
        ),
        (
            webhook(peer="192.0.2.1", x_client_name="CN=alerts,O=Acme"),
            "address: X-Client-Name comes from an address that is none of our proxies",
        ),
        (webhook(x_client_name="CN=alerts,O=Acme"), "address: X-Client-Name comes from an address that is none of our proxies"),
    ],
)
def test_a_proxy_says_whose_certificate_it_was_and_nobody_else_does(sent, expected):
    assert verdict(read(CERTIFICATE), sent, {}) == expected


REFUSED = {
    "{ scheme: ed25519, public_key: { env: K, decode: base64 }, signature: { header: X } }": "whether it is hex or base64 is seen by its form; take `decode` away",
    "{ scheme: ed25519, public_key: { env: K }, signed: '{{ timestamp }}', signature: { header: X } }": "the body is not in it, so anybody could change it",
    "{ scheme: ed25519, public_key: { env: K }, signed: '{{ secret }}{{ body }}', signature: { header: X } }": "there is no secret here; the sender signs with a key that only it has",
    "{ scheme: ed25519, public_key: { env: K }, signed: '{{ timestamp }}{{ body }}', signature: { header: X } }": "`{{ timestamp }}` is signed, so say where it stands: `timestamp: { header: … }`",
    "{ scheme: jwt, issuer: a, audience: b, keys: 'http://a.test' }": "only an https address says whose keys they are",
    "{ scheme: sns, topics: [] }": "name the topics; anybody with an account can have a message signed",
    "{ scheme: sns, topics: ['*'] }": "'*' is no topic's ARN, with its account, as in arn:aws:sns:eu-central-1:123456789012:alarms",
    "{ scheme: sns, topics: [{ env: T }], versions: [3] }": "there are 1 (SHA-1) and 2 (SHA-256)",
    "{ scheme: sns, topics: [{ env: T }], versions: [] }": "there are 1 (SHA-1) and 2 (SHA-256)",
    "{ scheme: client_certificate, header: X, names: ['*'], proxies: [10.0.0.0/8] }": "say whose certificate may come in; `*` alone lets anybody in whom the proxy lets in",
    "{ scheme: client_certificate, header: X, names: [], proxies: [10.0.0.0/8] }": "say whose certificate may come in; `*` alone lets anybody in whom the proxy lets in",
    "{ scheme: client_certificate, header: X, names: [a], proxies: [] }": "name the networks of the proxies; anybody else could write this header",
    "{ scheme: client_certificate, header: 'X:', names: [a], proxies: [10.0.0.0/8] }": "'X:' is no header's name",
}  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_a_door_that_cannot_be_watched_is_a_problem_when_it_is_read(text):
    assert problems(text) == [REFUSED[text]]
