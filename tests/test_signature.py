"""
The signature language: the vendors' own SDKs are the referees, in both directions; and what a spec may not say.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import standardwebhooks
import stripe
import svix
from signature_specs import (
    GITGUARDIAN,
    GITHUB,
    GRAFANA_TIMED,
    KEY,
    NOT_FIT,
    NOW,
    ONCALL,
    PAGERDUTY,
    SENTRY,
    SLACK,
    STANDARD,
    STRIPE,
    read,
    sent,
    verdict,
)
from slack_sdk.signature import Clock as SlackClock
from slack_sdk.signature import SignatureVerifier

from gateway.config.decode import decode
from gateway.config.yaml import Document
from gateway.signature import ByteTemplate, Signature, Signed
from gateway.values import Secrets

BODIES = [
    b"",
    b"{}",
    b'{"text": "caf\xc3\xa9 \xe2\x98\x83"}',
    b'{ "a" :\t1 }\r\n',
    b"payload=%7B%7D&x=+",
    b"0123456789abcdef" * 65536,
]


def problems(text: str) -> str:
    """Each problem with the key it is about; where that stands is the loader's business."""
    document = Document("a.yaml", text if "secret:" in text else f"secret: {{ env: SECRET }}\n{text}")
    decode(document, Signature)
    return "\n".join(f"{re.split('[.[]', found.path)[0]}: {found.message}" for found in document.problems)


class Stopped(SlackClock):
    def now(self) -> float:
        return NOW


def stripe_checks(body: bytes, headers: dict[str, str]) -> None:
    assert stripe.WebhookSignature.verify_header(body, headers["Stripe-Signature"], KEY, tolerance=None)


def standard_signs(webhook: type, prefix: str) -> Callable[[bytes], dict[str, str]]:
    def signs(body: bytes) -> dict[str, str]:
        signature = webhook(KEY).sign("msg_1", datetime.fromtimestamp(NOW, UTC), body.decode())
        return {f"{prefix}-id": "msg_1", f"{prefix}-timestamp": str(NOW), f"{prefix}-signature": signature}

    return signs


def standard_checks(webhook: type) -> Callable[[bytes, dict[str, str]], None]:
    def checks(body: bytes, headers: dict[str, str]) -> None:
        # These SDKs look at the machine's own clock: what they are handed is signed now.
        now = datetime.now(UTC).timestamp()
        fresh = read(STANDARD).sign(sent(body, {"webhook-id": "msg_1"}), Secrets({"SECRET": KEY}), now)
        webhook(KEY).verify(body, {"webhook-id": "msg_1", **fresh})

    return checks


ORACLES = {
    "stripe": (STRIPE, lambda body: {"Stripe-Signature": stripe.WebhookSignature.generate_signature_header(body.decode(), KEY, NOW)}, stripe_checks),
    "slack": (
        SLACK,
        lambda body: {"X-Slack-Request-Timestamp": str(NOW), "X-Slack-Signature": SignatureVerifier(KEY).generate_signature(timestamp=str(NOW), body=body)},
        lambda body, headers: SignatureVerifier(KEY, Stopped()).is_valid_request(body, headers) or pytest.fail("slack_sdk refuses it"),
    ),
    "svix": (STANDARD, standard_signs(svix.Webhook, "svix"), standard_checks(svix.Webhook)),
    "standardwebhooks": (STANDARD, standard_signs(standardwebhooks.Webhook, "webhook"), lambda body, headers: standard_checks(standardwebhooks.Webhook)(body or b"{}", headers) if body[:1] in (b"{", b"") else None),
}  # fmt: skip


@pytest.mark.parametrize("body", BODIES, ids=len)
@pytest.mark.parametrize("vendor", ORACLES)
def test_what_a_vendors_sdk_signs_we_verify_and_what_we_sign_it_verifies(vendor, body):
    spec, signs, checks = ORACLES[vendor]
    assert verdict(spec, sent(body, signs(body)), KEY) == ""
    assert verdict(spec, sent(body + b" ", signs(body)), KEY) == NOT_FIT.format(read(spec).signature.header)
    checks(body, read(spec).sign(sent(body, {"webhook-id": "msg_1"}), Secrets({"SECRET": KEY}), NOW))


def test_githubs_documented_vector_holds_in_both_directions():
    """https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries#testing-the-webhook-payload-validation"""
    expected = {"X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}
    body, secret = b"Hello, World!", "It's a Secret to Everybody"
    assert read(GITHUB).sign(Signed(body), Secrets({"SECRET": secret}), NOW) == expected
    assert verdict(GITHUB, sent(body, expected), secret) == ""


def test_four_headers_of_an_outgoing_webhook_are_one_spec_and_verify_as_its_receivers_are_told():
    spec = 'signed: "{{ timestamp }}.{{ body }}"\ntimestamp: { header: X-Webhook-Timestamp }\nsignature: { header: X-Webhook-Signature }'
    headers = read(spec).sign(Signed(b'{"a":1}'), Secrets({"SECRET": KEY}), NOW + 0.9)
    assert headers == {
        "X-Webhook-Timestamp": str(NOW),
        "X-Webhook-Signature": hmac.new(KEY.encode(), f'{NOW}.{{"a":1}}'.encode(), "sha256").hexdigest(),
    }


def test_a_key_made_of_timestamp_and_secret_verifies():
    signature = hmac.new(f"{NOW}tok".encode(), b"x", "sha256").hexdigest()
    headers = {"Timestamp": str(NOW), "X-Grafana-Alerting-Signature": signature}
    assert read(GITGUARDIAN).sign(Signed(b"x"), Secrets({"SECRET": "tok"}), NOW) == headers
    assert verdict(GITGUARDIAN, sent(b"x", headers), "tok") == ""
    assert verdict(GITGUARDIAN, sent(b"x", headers | {"Timestamp": str(NOW + 1)}), "tok") == NOT_FIT.format(
        "X-Grafana-Alerting-Signature"
    )


@pytest.mark.parametrize("stamp", ["", " ", "1e9", "+1715000000", "-1715000000", "1715000000.0", "0x66", "nan", "\u0661715000000", "1715000000\n", "1715000000000000", "1715000000 "])  # fmt: skip
def test_a_timestamp_is_whole_seconds_and_nothing_else(stamp):
    headers = read(GRAFANA_TIMED).sign(Signed(b"x"), Secrets({"SECRET": "tok"}), NOW) | {"X-Grafana-Alerting-Timestamp": stamp}
    wanted = (
        "X-Grafana-Alerting-Timestamp is empty" if not stamp else "X-Grafana-Alerting-Timestamp has no timestamp in whole seconds"
    )
    assert verdict(GRAFANA_TIMED, sent(b"x", headers), "tok") == wanted


def test_a_header_with_two_timestamps_is_refused():
    header = read(STRIPE).sign(Signed(b"x"), Secrets({"SECRET": KEY}), NOW)["Stripe-Signature"]
    assert (
        verdict(STRIPE, sent(b"x", {"Stripe-Signature": f"{header},t={NOW}"}), KEY)
        == "Stripe-Signature has no timestamp in whole seconds"
    )


def test_a_signed_header_must_be_there_once():
    headers = {"webhook-id": "msg_1"} | read(STANDARD).sign(sent(b"x", {"webhook-id": "msg_1"}), Secrets({"SECRET": KEY}), NOW)
    assert [
        verdict(STANDARD, sent(b"x", headers), KEY),
        verdict(STANDARD, sent(b"x", {k: v for k, v in headers.items() if k != "webhook-id"}), KEY),
        verdict(STANDARD, sent(b"x", headers | {"webhook-id": ""}), KEY),
        verdict(STANDARD, sent(b"x", headers | {"webhook-id": "msg_2"}), KEY),
        verdict(STANDARD, sent(b"x", headers, repeated=frozenset({"webhook-id"})), KEY),
        verdict(STANDARD, sent(b"x", headers | {"webhook-signature": "v1,"}), KEY),
    ] == ["", "there is no webhook-id", "webhook-id is empty", NOT_FIT.format("webhook-signature"), "webhook-id came more than once", NOT_FIT.format("webhook-signature")]  # fmt: skip


def test_an_alias_stands_in_only_where_the_header_itself_is_absent():
    good = read(SENTRY).sign(Signed(b"x"), Secrets({"SECRET": "tok"}), NOW)["Sentry-Hook-Signature"]
    assert [
        verdict(SENTRY, sent(b"x", {"Sentry-App-Signature": good}), "tok"),
        verdict(SENTRY, sent(b"x", {"Sentry-Hook-Signature": "0", "Sentry-App-Signature": good}), "tok"),
        verdict(SENTRY, sent(b"x", {"Sentry-Hook-Signature": "", "Sentry-App-Signature": good}), "tok"),
        verdict(SENTRY, sent(b"x", {"Sentry-App-Signature": good}, repeated=frozenset({"sentry-app-signature"})), "tok"),
    ] == [
        "",
        NOT_FIT.format("Sentry-Hook-Signature"),
        "Sentry-Hook-Signature is empty",
        "Sentry-Hook-Signature came more than once",
    ]


ROTATED = "secret: { env: SECRET, prefix: whsec_, decode: base64, previous: { env: OLD } }\n"


@pytest.mark.parametrize(
    "signing, current, old, says",
    [
        ("whsec_bmV3", "whsec_bmV3", "whsec_b2xk", ""),
        ("whsec_b2xk", "whsec_bmV3", "whsec_b2xk", ""),
        ("whsec_b2xk", "whsec_bmV3", "b2xk", ""),
        ("whsec_b2xk", "whsec_bmV3", "", NOT_FIT.format("X-Hub-Signature-256")),
        ("whsec_bmV3", "whsec_bmV3", "", ""),
        ("whsec_b2xk", "", "whsec_b2xk", "SECRET is not set"),
        ("whsec_bmV3", "whsec_", "", "SECRET (nothing stands behind whsec_) is not set"),
        ("whsec_bmV3", "whsec_not base64!", "", "SECRET (it is not base64) is not set"),
        ("whsec_bmV3", "whsec_bmV3", "whsec_====", "OLD (it is not base64) is not set"),
    ],
)
def test_the_secret_before_this_one_is_accepted_too_while_it_is_there(signing, current, old, says):
    headers = read(ROTATED + GITHUB).sign(Signed(b"x"), Secrets({"SECRET": signing}), NOW)
    assert verdict(ROTATED + GITHUB, sent(b"x", headers), current, old) == says


def test_a_header_that_holds_several_signatures_is_signed_with_both_secrets():
    spec, secrets = "secret: { env: SECRET, previous: { env: OLD } }\n", Secrets({"SECRET": "new", "OLD": "old"})
    new, old = (hmac.new(key, b"x", "sha256").hexdigest() for key in (b"new", b"old"))
    assert read(spec + PAGERDUTY).sign(Signed(b"x"), secrets, NOW) == {"X-PagerDuty-Signature": f"v1={new},v1={old}"}
    assert read(spec + GITHUB).sign(Signed(b"x"), secrets, NOW) == {"X-Hub-Signature-256": f"sha256={new}"}


def test_the_body_and_the_form_are_signed_byte_by_byte():
    everything = bytes(range(256))
    assert ByteTemplate("a{{ body }}b{{body}}")(Signed(everything), "", b"") == b"a" + everything + b"b" + everything
    form = Signed(b"b=%ff%00&a=1+2&b=%fe&\xe9=&c")
    assert ByteTemplate("{{ form | sorted_pairs }}")(form, "", b"") == b"a1 2b\xfeb\xff\0c" + b"\xe9"[:0] + b"\xe9"
    assert ByteTemplate("é{{ headers['X'] }}")(sent(b"", {"X": "\xff"}), "", b"") == "é".encode() + b"\xff"


def test_a_form_with_too_many_fields_is_refused_and_not_taken_for_an_empty_one():
    url_alone = base64.b64encode(hmac.digest(b"tok", b"", "sha1")).decode()
    many = sent(b"a=&" * 1001, {"X-VictorOps-Signature": url_alone})
    assert verdict(ONCALL, many, "tok") == "the form that is signed has more than 1000 fields"


HMAC = "signature: { header: X }\n"
WRONG = {
    'signature: { header: "X Y" }': "signature: 'X Y' is no header's name",
    'signature: { header: X, prefix: " v1=" }': "signature: no header's value begins with ' v1='",
    'signature: { header: X, prefix: "v\\n" }': "signature: no header's value begins with 'v\\n'",
    'signature: { header: X, split: ",", prefix: "v1," }': "signature: ',' splits the header, so that no value can begin with 'v1,'",
    'signature: { header: X, split: "a" }': "signature: 'a' may stand in a signature, so it cannot split the header",
    'encoding: base64\nsignature: { header: X, split: "=" }': "signature: '=' may stand in a signature, so it cannot split the header",
    HMAC + 'key: "{{ timestamp }}"\ntimestamp: { header: T }': "key: the secret is not in it, so anybody could sign",
    HMAC + 'signed: "{{ timestamp }}"\ntimestamp: { header: T }': "signed: the body is not in it, so anybody could change it",
    HMAC + 'signed: "{{ timestamp }}{{ body }}"': "signed: `{{ timestamp }}` is signed, so say where it stands: `timestamp: { header: … }`",
    HMAC + "timestamp: { header: T }": "timestamp: it is not signed, so anybody could change it; put `{{ timestamp }}` into `signed`, or take this away",
    STRIPE.replace('split: ",", prefix: "t="', 'split: ";", prefix: "t="'): "timestamp: it shares its header with the signature; give both the same `split`, and it a `prefix`",
    STRIPE.replace(', split: ","', ""): "timestamp: it shares its header with the signature; give both the same `split`, and it a `prefix`",
    STRIPE.replace(', prefix: "t="', ""): "timestamp: it shares its header with the signature; give both the same `split`, and it a `prefix`",
    HMAC + "aliases: { X: a b }": "aliases: 'a b' is no header's name",
    HMAC + "secret: { env: S, default: x }": "secret: a secret has no default; set its variable or file, and take `default` away",
    HMAC + "secret: { env: S, previous: { env: T, default: x } }": "secret: a secret has no default; set its variable or file, and take `default` away",
    HMAC + "algorithm: md5": "algorithm: `md5` is not one of `sha1`, `sha256`, `sha512`",
    HMAC + 'signed: "{{ bdy }}"': "signed: unknown name 'bdy' in what is signed; did you mean 'body'?",
    HMAC + 'signed: "{{ form|sorted_pairs }}"': "signed: unknown name 'form|sorted_pairs' in what is signed; did you mean 'form | sorted_pairs'?",
    HMAC + 'signed: "{{ payload.x.y }}"': "signed: unknown name 'payload.x.y' in what is signed; names here: body, timestamp, url, secret, form | sorted_pairs, headers['…']",
    HMAC + "signed: \"{{ headers['a b'] }}\"": "signed: unknown name \"headers['a b']\" in what is signed; did you mean \"headers['…']\"?",
    HMAC + 'signed: "{{ body"': "signed: '{{ body' has braces that open or close nothing; a name stands between {{ and }}",
    HMAC + "signed: 5": "signed: 5 is no text; put it in quotes",
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_a_spec_that_would_let_a_stranger_in_or_everybody_out_is_a_problem(text):
    assert problems(text) == WRONG[text]


@pytest.mark.parametrize(
    "off, said",
    [
        (300, ""),
        (-300, ""),
        (301, "X-Slack-Request-Timestamp is 301 s old; 300 s are tolerated"),
        (-301, "X-Slack-Request-Timestamp is 301 s in the future; 300 s are tolerated"),
    ],
)
def test_a_clock_may_be_off_by_the_tolerance_and_no_more(off, said):
    headers = read(SLACK).sign(Signed(b"{}"), Secrets({"SECRET": KEY}), NOW)
    assert verdict(SLACK, sent(b"{}", headers), KEY, now=NOW + off) == said
