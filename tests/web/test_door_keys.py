"""A door whose senders are verified by keys that somebody publishes, and one behind a proxy that checks certificates."""

from __future__ import annotations

import base64
import hmac
import json
import time

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.keyring import Keyring
from gateway.outbound import Client
from tests.web.house_stand import error, house, spoken

pytestmark = pytest.mark.anyio
SIGNER = Ed25519PrivateKey.generate()
PUSH = """
title: Push
auth: { scheme: jwt, issuer: "https://issuer.test", audience: { env: AUDIENCE }, keys: "https://issuer.test/keys" }
map: { action: { default: notice }, severity: { default: info }, summary: $.text }
"""
FRONT = """
title: Front
auth: { scheme: client_certificate, header: X-Client-Name, names: [ "CN=alerts" ], proxies: [ 10.0.0.0/8 ] }
map: { action: { default: notice }, severity: { default: info }, summary: $.text }
"""
BODY = {"text": "disk is full"}


def url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def token(**claims: object) -> str:
    held = {"iss": "https://issuer.test", "aud": "https://us.test", "exp": time.time() + 600} | claims
    signed = ".".join(url64(json.dumps(part).encode()) for part in ({"alg": "EdDSA", "kid": "e"}, held))
    return f"Bearer {signed}.{url64(SIGNER.sign(signed.encode()))}"


def published() -> str:
    public = SIGNER.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "e", "x": url64(public)}]})


async def test_a_token_is_verified_by_the_issuers_keys_and_without_them_the_sender_is_asked_to_try_again(tmp_path):
    asked, answer = [], httpx2.Response(503)

    def publish(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        return answer

    async with house(tmp_path, files={"providers.d/push.yaml": PUSH}, env={"AUDIENCE": "https://us.test"}) as here:
        client, ticks = Client(httpx2.MockTransport(publish)), [1000.0]
        here.pipeline.keyring = Keyring(client, lambda: ticks[0])
        told = await here.post(BODY, "/webhooks/push", authorization="Bearer not-a-token")
        assert (told.status_code, asked) == (401, [])
        told = await here.post(BODY, "/webhooks/push", authorization=token())
        assert (told.status_code, told.headers["retry-after"]) == (503, "5")
        assert told.json() == error("verify", "unverifiable", "the public keys to verify this by cannot be fetched now")
        answer, ticks[0] = httpx2.Response(200, text=published()), 1010.0
        for claims, status in (({}, 202), ({"aud": "https://else.test"}, 401), ({"exp": 1}, 401), ({}, 202)):
            told = await here.post(BODY, "/webhooks/push", authorization=token(**claims))
            assert told.status_code == status
        assert asked == ["https://issuer.test/keys"] * 2
        assert here.pipeline.config.secrets.mask("https://us.test") == "https://us.test"
        await client.close()


async def test_an_unset_audience_keeps_the_door_shut_and_asks_nobody(tmp_path):
    async with house(tmp_path, files={"providers.d/push.yaml": PUSH}, env={}) as here:
        told = await here.post(BODY, "/webhooks/push", authorization=token())
        assert (told.status_code, told.json()["error"]["message"]) == (
            503,
            "the provider push is not set up yet: its secret is missing",
        )


@pytest.mark.parametrize(
    "client, peer, name, status",
    [
        ("198.51.100.7", "10.0.0.1", "CN=alerts", 202),
        ("10.0.0.1", "", "CN=alerts", 202),  # no proxy speaks for anybody
        ("10.0.0.9", "198.51.100.7", "CN=alerts", 401),  # whom it claims to speak for counts for nothing
        ("198.51.100.7", "10.0.0.1", "CN=else", 401),
    ],
)
async def test_a_certificate_counts_where_the_proxy_itself_is_at_the_door(tmp_path, client, peer, name, status):
    async with house(tmp_path, files={"providers.d/front.yaml": FRONT}, env={}) as here:
        message = {"type": "http.request", "body": json.dumps(BODY).encode(), "more_body": False}
        found = await spoken(
            here.app, [message], path="/webhooks/front", raw_path=b"/webhooks/front", client=(client, 1), peer=peer,
            headers=[(b"x-client-name", name.encode())],
        )  # fmt: skip
        assert found[0] == status


CHALLENGED = """
title: Challenged
auth: { scheme: token, header: X-Token, token: { env: TEAM_TOKEN } }
methods: [POST, GET]
secrets: { challenge: { env: CHALLENGE } }
handshake:
  - when: "{{ query.said }}"
    before_auth: true
    reply: { json: { said: "{{ secrets.challenge }}" } }
  - when: "{{ query.shown }}"
    before_auth: true
    reply: { text: "{{ [secrets.challenge] | join }}" }
  - when: "{{ query.crc }}"
    before_auth: true
    reply: { json: { response: "sha256={{ query.crc | hmac(secrets.challenge, encoding='base64') }}" } }
map: { action: { default: notice }, severity: { default: info }, summary: $.text }
"""
UNSAID = "a secret is not said; give it to a function that takes one, as in `hmac(secrets.key)`"


async def test_a_challenge_is_answered_with_a_secret_that_is_never_said(tmp_path):
    files, env = {"providers.d/challenged.yaml": CHALLENGED}, {"TEAM_TOKEN": "t0ken-of-team", "CHALLENGE": "ch4llenge"}
    async with house(tmp_path, files=files, env=env) as here:
        answer = await here.call("GET", "/webhooks/challenged?crc=abc")
        expected = base64.b64encode(hmac.digest(b"ch4llenge", b"abc", "sha256")).decode()
        assert (answer.status_code, answer.json()) == (200, {"response": f"sha256={expected}"})
        for name in ("said", "shown"):
            answer = await here.call("GET", f"/webhooks/challenged?{name}=1")
            assert (answer.status_code, "ch4llenge" in answer.text, UNSAID in answer.text) == (400, False, True)
        assert here.pipeline.config.secrets.mask("it is ch4llenge") == "it is ***"
    async with house(tmp_path / "unset", files=files, env={"TEAM_TOKEN": "t0ken-of-team"}) as here:
        answer = await here.call("GET", "/webhooks/challenged?crc=abc")
        assert (answer.status_code, answer.json()["error"]["reason"]) == (503, "secret_unset")


BY_QUERY = """
title: By query
auth:
  scheme: any
  of:
    - { scheme: hmac, secret: { env: TEAM_TOKEN }, signature: { header: X-Sig }%s }
    - { scheme: token, query: key, token: { env: TEAM_TOKEN } }
methods: [POST, GET]
body: { format: auto }
map: { action: { default: notice }, severity: { default: info }, summary: $.text }
"""


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "signed, query, sent, status",
    [
        ("", "text=forged", b"", 401),  # whoever has seen one signature of nothing could say anything
        ("", "text=told&key=t0ken-of-team", None, 202),
        (', signed: "{{ url }}{{ body }}"', "text=told", b"http://gateway.test/webhooks/asked?text=told", 202),
    ],
)
async def test_a_signature_of_the_body_proves_nothing_of_the_query(tmp_path, method, signed, query, sent, status):
    files, env = {"providers.d/asked.yaml": BY_QUERY % signed}, {"TEAM_TOKEN": "t0ken-of-team"}
    async with house(tmp_path, files=files, env=env) as here:
        headers = {} if sent is None else {"X-Sig": hmac.new(b"t0ken-of-team", sent, "sha256").hexdigest()}
        answer = await here.call(method, f"/webhooks/asked?{query}", headers=headers)
        assert answer.status_code == status, answer.text
        if status == 401:
            assert answer.json()["error"]["reason"] == "unsigned"
