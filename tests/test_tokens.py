"""Access tokens: what the endpoint is asked, how long a token is used, and what a sink's 401 makes of it. RFC 6749, 4.4 and 2.3.1."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qsl

import anyio
import httpx2
import pytest
from msgspec.structs import replace
from trips import DOOR, delivery, sink

from gateway.config import Config
from gateway.config.schema import Settings
from gateway.courier import bring, patience
from gateway.errors import SecretUnset, Undelivered
from gateway.outbound import Client
from gateway.tokens import Tokens
from gateway.values import Secrets

pytestmark = pytest.mark.anyio
AUTH = "auth: { scheme: oauth2, token_url: https://idp.test/token, client_id: { env: ID }, client_secret: { env: SECRET }%s }\n"
VALUES = {"ID": "gate way", "SECRET": "s3cret:&"}
BASIC = "Basic " + base64.b64encode(b"gate+way:s3cret%3A%26").decode()


def auth(more: str = "") -> Any:
    return sink(DOOR + AUTH % more).auth


class Endpoint:
    """Gives out tokens tok-1, tok-2, …; and a sink behind it that takes those that are `good`."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.headers: list[str] = []
        self.sent: list[str] = []
        self.answer: dict[str, Any] | httpx2.Response = {"token_type": "bearer", "expires_in": 3600}
        self.good = lambda token: True
        self.now, self.slow = 1000.0, 0.0
        self.client = Client(httpx2.MockTransport(self._serve))
        self.tokens = self.client.tokens = Tokens(self.client, lambda: self.now)
        self.secrets = Secrets(VALUES)

    async def _serve(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.host != "idp.test":
            token = request.headers.get("authorization", "").removeprefix("Bearer ")
            self.sent.append(token)
            return httpx2.Response(200 if self.good(token) else 401, text=f"{token}?")
        self.asked.append(dict(parse_qsl(request.content.decode())))
        self.headers.append(request.headers.get("authorization", ""))
        await anyio.sleep(self.slow)
        if isinstance(self.answer, httpx2.Response):
            return self.answer
        return httpx2.Response(200, text=json.dumps({"access_token": f"tok-{len(self.asked)}"} | self.answer))

    async def get(self, more: str = "") -> str:
        return await self.tokens.get(auth(more), self.secrets)

    async def bring(self) -> Any:
        sinks = {"s": sink(DOOR + AUTH % "")}
        config = Config(settings=Settings(), secrets=self.secrets, providers={}, sinks=sinks)

        async def silent(line: str) -> None:
            raise AssertionError(line)

        (result,) = await bring(config, self.client, "s", [delivery()], lambda: 1_773_302_400.0, lambda: 0.5, say=silent)
        return result


async def test_a_token_is_asked_for_as_the_rfc_says():
    there = Endpoint()
    assert await there.get() == "tok-1"
    assert (there.asked, there.headers) == ([{"grant_type": "client_credentials"}], [BASIC])
    more = ", scope: alerts write, parameters: { audience: { env: ID }, resource: 'urn:x' }, client_in: body"
    assert await there.get(more) == "tok-2"
    assert (there.asked[1], there.headers[1]) == (
        {
            "grant_type": "client_credentials",
            "scope": "alerts write",
            "audience": "gate way",
            "resource": "urn:x",
            "client_id": "gate way",
            "client_secret": "s3cret:&",
        },
        "",
    )


async def test_a_token_is_kept_until_a_minute_before_it_ends():
    there = Endpoint()
    for at, token in ((1000.0, "tok-1"), (4539.9, "tok-1"), (4540.0, "tok-2")):
        there.now = at
        assert await there.get() == token


@pytest.mark.parametrize("expires, kept", [(None, 240.0), ("soon", 240.0), (30, 0.0), (-5, 240.0), (1e300, 240.0), (True, 0.0)])
async def test_an_end_that_is_not_told_is_five_minutes_away(expires, kept):
    there = Endpoint()
    there.answer = {} if expires is None else {"expires_in": expires}
    assert await there.get() == "tok-1"
    there.now += max(0.0, kept - 0.1)
    assert await there.get() == ("tok-1" if kept else "tok-2")
    there.now += 0.2
    assert await there.get() == ("tok-2" if kept else "tok-3")


async def test_one_asks_for_all_who_wait():
    there, found = Endpoint(), []
    there.slow = 0.02

    async def get() -> None:
        found.append(await there.get())

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(get)
    assert (found, len(there.asked)) == (["tok-1"] * 20, 1)


async def test_what_goes_wrong_goes_wrong_for_all_who_wait():
    there, said = Endpoint(), []
    there.slow, there.answer = 0.05, httpx2.Response(503)

    async def get() -> None:
        with pytest.raises(Undelivered) as caught:
            await there.get()
        said.append((str(caught.value), caught.value.reason, caught.value.retryable))

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(get)
    assert (said, len(there.asked)) == ([("auth: the token endpoint answered 503", "token", True)] * 20, 1)


async def test_a_token_is_masked_as_long_as_it_holds_however_many_others_there_are():
    there = Endpoint()
    first = await there.get()
    for number in range(40):
        there.secrets.conceal_for_now(f"other-{number:04}", 60.0)
    assert there.secrets.mask(f"{first} other-0000") == "*** ***"


REFUSALS = [
    (
        httpx2.Response(401, text='{"error": "invalid_client"}'),
        "credentials",
        "auth: the token endpoint answered 401 (invalid_client)",
    ),
    (
        httpx2.Response(400, text='{"error": "invalid_scope"}'),
        "credentials",
        "auth: the token endpoint answered 400 (invalid_scope)",
    ),
    (httpx2.Response(503, text="busy"), "token", "auth: the token endpoint answered 503"),
    (httpx2.Response(302, headers={"location": "https://else.test"}), "token", "auth: the token endpoint answered 302"),
    (httpx2.Response(200, text="<html>"), "token", "auth: the token endpoint answered 200 without a token"),
    (httpx2.Response(200, text="[]"), "token", "auth: the token endpoint answered 200 without a token"),
    (httpx2.Response(200, text='{"access_token": "a\\r\\nb"}'), "token", "auth: the token endpoint answered 200 without a token"),
    (httpx2.Response(200, text='{"access_token": ""}'), "token", "auth: the token endpoint answered 200 without a token"),
]


@pytest.mark.parametrize("answer, reason, message", REFUSALS)
async def test_an_endpoint_that_gives_none_says_why(answer, reason, message):
    there = Endpoint()
    there.answer = answer
    with pytest.raises(Undelivered) as caught:
        await there.get()
    assert (caught.value.reason, str(caught.value), caught.value.retryable) == (reason, message, reason == "token")
    there.answer = {}
    assert await there.get() == "tok-2"  # nobody waits for ever behind one who failed


async def test_what_is_not_set_is_said_and_a_secret_goes_to_no_plain_address():
    there = Endpoint()
    there.secrets = Secrets({"ID": "x"})
    with pytest.raises(SecretUnset, match=r"^SECRET is not set$"):
        await there.get()
    there.secrets = Secrets({"URL": "http://idp.test", **VALUES})
    plain = replace(auth(), token_url=sink(DOOR + (AUTH % "").replace("https://idp.test/token", "{ env: URL }")).auth.token_url)
    with pytest.raises(SecretUnset, match=r"^URL \(token_url: a secret is sent there, so it begins with https://\) is not set$"):
        await there.tokens.get(plain, there.secrets)
    assert there.asked == []


async def test_a_sink_that_refuses_a_token_is_shown_another_once():
    there = Endpoint()
    assert (await there.bring()).state == "delivered"
    there.good = lambda token: token != "tok-1"
    assert (await there.bring()).state == "delivered"
    assert there.sent == ["tok-1", "tok-1", "tok-2"]
    there.good = lambda token: False
    result = await there.bring()
    assert (result.state, there.sent[3:]) == ("parked", ["tok-2", "tok-3"])
    assert result.attempt.excerpt == "***?"  # a token that is echoed is masked
    assert patience(sink(DOOR + AUTH % "")) == 30.0  # two tries, and one for what the clock loses


async def test_wrong_credentials_park_and_an_endpoint_that_is_down_is_tried_again():
    there = Endpoint()
    there.answer = httpx2.Response(401, text='{"error": "invalid_client"}')
    assert (await there.bring()).state == "parked"
    there.answer = httpx2.Response(500)
    result = await there.bring()
    assert (result.state, result.verdict, there.sent) == ("pending", "auth: the token endpoint answered 500", [])


def test_a_token_is_masked_until_it_is_none_any_more_and_for_an_hour_at_least(monkeypatch):
    secrets, now = Secrets({}), [0.0]
    monkeypatch.setattr("gateway.values.secrets.time.monotonic", lambda: now[0])
    secrets.conceal_for_now("token-of-a-minute", 60.0)
    secrets.conceal_for_now("token-of-a-day", 86_400.0)
    told = "token-of-a-minute token-of-a-day"
    for at, shown in ((3600.0, "*** ***"), (3601.0, "token-of-a-minute ***"), (86_401.0, told)):
        now[0] = at
        secrets.conceal_for_now(f"another-{at}", 1.0)
        assert secrets.mask(told) == shown


def test_a_token_that_is_none_any_more_is_forgotten_however_it_is_written(monkeypatch):
    secrets, now = Secrets({}), [0.0]
    monkeypatch.setattr("gateway.values.secrets.time.monotonic", lambda: now[0])
    secrets.conceal_for_now("t0k/en+1==", 60.0)
    assert {"t0k/en+1==", "t0k%2Fen%2B1%3D%3D", "t0k\\/en+1=="} <= set(secrets.revealed())
    now[0] = 3601.0
    secrets.conceal_for_now("another", 60.0)
    assert secrets.revealed() == ["another"]
