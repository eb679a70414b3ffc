"""How we prove to a sink who we are: the headers we add, and signatures over the exact bytes at the time of the attempt."""

from __future__ import annotations

import gzip
import hmac
from datetime import UTC, datetime
from typing import Any

import pytest
import standardwebhooks
from msgspec.structs import replace

from gateway.config.decode import decode
from gateway.config.yaml import Document
from gateway.errors import SecretUnset, Undelivered, Unverified
from gateway.model import Request, Webhook
from gateway.signature import Signature
from gateway.stages.authorize import Auth, authorize, sign
from gateway.stages.verify import Hmac
from gateway.values import Keys, Secrets

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECRETS = {"KEY": "k3y", "PASSWORD": "pass:w\xf6rd", "NAME": "me@example.com", "HOOK": KEY}
NOW = 1_715_000_000.9
REQUEST = Request(
    method="POST", url="https://sink.test/hook?a=1", headers={"Content-Type": "application/json"}, content=b'{"a":1}'
)


class Way(Keys, frozen=True):
    """
    A way to a sink.

    auth: How we prove who we are.
    sign: How we sign.
    """

    auth: Auth | None = None
    sign: Signature | None = None


def read(text: str) -> Way:
    document = Document("a.yaml", text)
    way = decode(document, Way)
    assert way, document.problems
    return way


def headers(text: str, secrets: dict[str, str] = SECRETS, request: Request = REQUEST) -> dict[str, str] | str:
    """The headers that go out, or the whole message, in which no secret stands."""
    way, given = read(text), Secrets(secrets)
    try:
        return sign(way.sign, authorize(way.auth, request, given), given, NOW).headers
    except (SecretUnset, Undelivered) as error:
        said = str(error)
    assert not any(secret.strip() in said for secret in secrets.values() if len(secret) > 3)
    return said


API_KEY = "auth: { scheme: api_key, key: { env: KEY } }"
GENIE = "auth: { scheme: api_key, header: Authorization, prefix: 'GenieKey ', key: { env: KEY } }"
BEARER = "auth: { scheme: bearer, token: { env: KEY } }"
BASIC = "auth: { scheme: basic, username: { env: NAME }, password: { env: PASSWORD } }"
JSON = {"Content-Type": "application/json"}


def test_each_scheme_adds_its_header_and_changes_nothing_else():
    assert {text: headers(text) for text in ("{}", API_KEY, GENIE, BEARER, BASIC)} == {
        "{}": JSON,
        API_KEY: JSON | {"X-API-Key": "k3y"},
        GENIE: JSON | {"Authorization": "GenieKey k3y"},
        BEARER: JSON | {"Authorization": "Bearer k3y"},
        BASIC: JSON | {"Authorization": "Basic bWVAZXhhbXBsZS5jb206cGFzczp3w7ZyZA=="},
    }
    assert sign(None, authorize(None, REQUEST, Secrets({})), Secrets({}), NOW) is REQUEST


def test_a_header_of_ours_takes_the_place_of_the_requests_own_however_it_is_spelled():
    request = Request(
        method="POST", url="u", headers={"authorization": "Bearer theirs", "X-SIGNATURE": "theirs", "A": "b"}, content=b"x"
    )
    signed = hmac.new(b"k3y", b"x", "sha256").hexdigest()
    spec = BEARER + "\nsign: { secret: { env: KEY }, signature: { header: X-Signature } }"
    assert headers(spec, request=request) == {"A": "b", "Authorization": "Bearer k3y", "X-Signature": signed}


UNSENDABLE = "KEY (no header can carry it: a line break, a space around it, or a letter outside ASCII) is not set"


@pytest.mark.parametrize("text", [API_KEY, GENIE, BEARER])
@pytest.mark.parametrize(
    "secret", ["one\r\nX-Admin: yes", "one\ntwo", "a-secret\n\n", "a-secret\r", " a-secret", "a-secret ", "a-secret\t", "a\0secret", "pass-w\xf6rd", "sn\u2603wman"]
)  # fmt: skip
def test_a_secret_cannot_begin_another_header_nor_be_one_that_no_header_carries(text, secret):
    assert headers(text, {"KEY": secret}) == UNSENDABLE


def test_a_secret_that_ends_in_a_newline_is_sent_without_it():
    assert headers(BEARER, {"KEY": "a secret\n"}) == JSON | {"Authorization": "Bearer a secret"}
    assert headers(BASIC, {"NAME": "me\n", "PASSWORD": "in\nside"}) == JSON | {"Authorization": "Basic bWU6aW4Kc2lkZQ=="}


@pytest.mark.parametrize(
    "text, secrets, says",
    [
        (API_KEY, {}, "KEY is not set"),
        (BEARER, {"KEY": " "}, "KEY is not set"),
        (BASIC, {"NAME": "me"}, "PASSWORD is not set"),
        (BASIC, {"PASSWORD": "secret"}, "NAME is not set"),
        (
            BASIC,
            {"NAME": "me:you", "PASSWORD": "secret"},
            "NAME (a user name has no colon: the password would begin behind it) is not set",
        ),
        ("sign: { secret: { env: KEY }, signature: { header: X } }", {}, "KEY is not set"),
        (
            "sign: { secret: { env: KEY, decode: base64 }, signature: { header: X } }",
            {"KEY": "not base64!"},
            "KEY (it is not base64) is not set",
        ),
    ],
)
def test_a_missing_secret_is_named_and_nothing_is_sent_without_it(text, secrets, says):
    assert headers(text, secrets) == says


def test_what_a_sink_may_echo_of_our_credentials_is_masked():
    secrets = Secrets(SECRETS)
    sent = authorize(read(BASIC).auth, REQUEST, secrets).headers["Authorization"]
    assert secrets.mask(f"you sent {sent} for me@example.com:pass:w\xf6rd") == "you sent Basic *** for me@example.com:***"


def test_the_secrets_that_a_sink_needs_are_known_before_anything_is_sent():
    ways = {text: read(text).auth for text in (API_KEY, BEARER, BASIC)}
    assert {text: [str(each) for each in way.references()] for text, way in ways.items() if way} == {
        API_KEY: ["KEY"],
        BEARER: ["KEY"],
        BASIC: ["NAME", "PASSWORD"],
    }


STANDARD: dict[str, Any] = {
    "secret": "{ env: HOOK, prefix: whsec_, decode: base64 }",
    "encoding": "base64",
    "signed": "\"{{ headers['webhook-id'] }}.{{ timestamp }}.{{ body }}\"",
    "timestamp": "{ header: webhook-timestamp }",
    "signature": "{ header: webhook-signature, split: ' ', prefix: 'v1,' }",
}
STANDARD_SIGN = "sign: { " + ", ".join(f"{key}: {value}" for key, value in STANDARD.items()) + " }"


def test_the_exact_bytes_are_signed_compressed_as_they_are_sent_at_the_time_of_the_attempt():
    spec = "sign: { secret: { env: KEY }, signed: '{{ timestamp }}.{{ body }}', timestamp: { header: X-Webhook-Timestamp }, signature: { header: X-Webhook-Signature } }"
    request = Request(
        method="POST",
        url="https://sink.test",
        headers={"Content-Encoding": "gzip", "X-Webhook-Event": "trigger", "X-Webhook-Event-Id": "018f-0"},
        content=gzip.compress(b'{"a":1}'),
    )
    signature = hmac.new(b"k3y", b"1715000000." + request.content, "sha256").hexdigest()
    assert headers(spec, request=request) == request.headers | {
        "X-Webhook-Timestamp": "1715000000",
        "X-Webhook-Signature": signature,
    }
    later = sign(read(spec).sign, request, Secrets(SECRETS), NOW + 60)
    assert (later.content, later.headers["X-Webhook-Timestamp"]) == (request.content, "1715000060")
    assert later.headers["X-Webhook-Signature"] != signature


def test_a_signed_header_that_the_request_lacks_makes_it_unsendable_for_good():
    with pytest.raises(Undelivered) as caught:
        sign(read(STANDARD_SIGN).sign, REQUEST, Secrets(SECRETS), NOW)
    error = caught.value
    assert (str(error), error.reason, error.retryable) == (
        "sign: the request has no header webhook-id, which is signed; give it one under `request.headers`",
        "unsendable",
        False,
    )


def test_a_form_that_is_too_wide_to_sign_is_unsendable_for_good():
    spec = "sign: { secret: { env: KEY }, signed: '{{ form | sorted_pairs }}', signature: { header: X } }"
    with pytest.raises(Undelivered) as caught:
        sign(read(spec).sign, Request(method="POST", url="u", headers={}, content=b"a=&" * 1001), Secrets(SECRETS), NOW)
    assert (str(caught.value), caught.value.retryable) == ("sign: the form that is signed has more than 1000 fields", False)


def test_the_headers_the_request_has_itself_may_be_signed():
    request = Request(method="POST", url="u", headers={"Webhook-Id": "msg_1"}, content=b"x")
    signature = standardwebhooks.Webhook(KEY).sign("msg_1", datetime.fromtimestamp(int(NOW), UTC), "x")
    assert headers(STANDARD_SIGN, request=request) == {
        "Webhook-Id": "msg_1",
        "webhook-timestamp": "1715000000",
        "webhook-signature": signature,
    }


def test_what_a_block_signs_under_sign_it_verifies_under_auth():
    inbound = decode(
        Document("a.yaml", "{ scheme: hmac, " + ", ".join(f"{key}: {value}" for key, value in STANDARD.items()) + " }"), Hmac
    )
    request = sign(
        read(STANDARD_SIGN).sign,
        Request(method="POST", url="u", headers={"webhook-id": "m"}, content=b"x"),
        Secrets(SECRETS),
        NOW,
    )
    webhook = Webhook(id="w", provider="p", received_at=datetime.now(UTC), body=request.content, headers=request.headers)
    assert inbound is not None
    inbound.verify(webhook, Secrets(SECRETS), NOW)
    with pytest.raises(Unverified, match=r"^webhook-signature does not fit what was sent and the secret$"):
        inbound.verify(replace(webhook, body=b"y"), Secrets(SECRETS), NOW)


REFUSED = {
    "auth: { scheme: oauth2, token_url: 'http://u.test', client_id: c, client_secret: { env: S } }": "a secret is sent there, so it begins with https://",
    "auth: { scheme: oauth2, token_url: 'https://u.test', client_id: c, client_secret: { env: S, default: x } }": "a secret has no default; set its variable or file, and take `default` away",
    "auth: { scheme: oauth2, token_url: 'https://u.test', client_id: c, client_secret: { env: S }, parameters: { scope: x } }": "scope is sent already; take it away",
    "auth: { scheme: api_key, key: { env: K }, header: 'X Y' }": "'X Y' is no header's name",
    'auth: { scheme: api_key, key: { env: K }, prefix: "a\\r\\nb" }': "no header's value begins with 'a\\r\\nb'",
    "auth: { scheme: api_key, key: { env: K, default: x } }": "a secret has no default; set its variable or file, and take `default` away",
    "auth: { scheme: bearer, token: { env: K, default: x } }": "a secret has no default; set its variable or file, and take `default` away",
    "auth: { scheme: basic, username: { env: U }, password: { env: K, default: x } }": "a secret has no default; set its variable or file, and take `default` away",
    "auth: { scheme: bearer, token: { env: K, decode: base64 } }": "only the key of a signature is decoded; take `decode` away",
    "auth: { scheme: basic, username: { env: U } }": "is missing",
    "auth: { scheme: ntlm }": "`ntlm` is not one of `api_key`, `bearer`, `basic`, `oauth2`",
}  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_a_way_that_cannot_be_gone_is_a_problem_when_it_is_read(text):
    document = Document("a.yaml", text)
    assert decode(document, Way) is None
    assert [problem.message for problem in document.problems] == [REFUSED[text]]
