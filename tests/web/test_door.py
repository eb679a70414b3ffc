"""What a sender hears: every answer of POST /webhooks/{provider}, whole."""

from __future__ import annotations

import gzip
import json

import pytest

from gateway.errors import StoreError

from .house_stand import error, house

pytestmark = pytest.mark.anyio
DOWN = {"id": "db-1", "state": "down", "level": "bad", "text": "db-1 is down"}


async def counts(here) -> dict[str, int]:
    return (await here.pipeline.store.conservation()).get("main", {}) | {
        "events": len((await here.pipeline.store.events({})).items)
    }


async def test_an_accepted_webhook_is_answered_with_what_was_made_of_it(tmp_path):
    async with house(tmp_path) as here:
        answer = await here.post(
            {"items": [DOWN, {"id": "x", "state": "skip"}, {"id": "y", "state": "odd"}, {"id": "z", "state": "up"}]}
        )
        got = answer.json()
        id = got["webhook_id"]
        assert answer.status_code == 202
        assert got == {
            "webhook_id": id,
            "events": [
                {
                    "id": f"{id}-0",
                    "action": "trigger",
                    "severity": "critical",
                    "dedup_key": "db-1",
                    "incident_id": f"{id}-0",
                    "outcome": "told",
                    "sinks": ["main"],
                },
            ],
            "ignored": 1,
            "dead": [
                {
                    "index": 2,
                    "stage": "map",
                    "reason": "action",
                    "message": "action: 'odd' is in no row of the table, and there is no default",
                },
                {"index": 3, "stage": "map", "reason": "summary", "message": "summary: $.text finds nothing"},
            ],
        }
        assert dict(answer.headers) == {
            "x-content-type-options": "nosniff",
            "content-type": "application/json",
            "content-length": str(len(answer.content)),
        }


async def test_a_resolve_names_the_incident_it_ends_and_a_stray_one_names_none(tmp_path):
    async with house(tmp_path) as here:
        opened = await here.told(DOWN)
        ended = await here.told({**DOWN, "state": "up"}, {**DOWN, "id": "never", "state": "up"})
        assert [(told["action"], told["outcome"], told.get("incident_id"), told.get("sinks")) for told in ended["events"]] == [
            ("resolve", "told", opened["events"][0]["id"], ["main"]),
            ("resolve", "stray", None, None),
        ]


NOT_PROVED = error("verify", "mismatch", "this webhook does not prove that it comes from team")
LARGE = error("receive", "too_large", "the body has more than 2097152 bytes")
REFUSALS = {
    "no token": ({"x-token": ""}, b"{}", 401, error("verify", "absent", "this webhook does not prove that it comes from team")),
    "a wrong token": ({"x-token": "wrong"}, b"{}", 401, NOT_PROVED),
    "no JSON": (
        {},
        b"<script>alert(1)</script>",
        400,
        error("decode", "json", "the body is not JSON: invalid character (byte 0), at '>>><script>alert(1)</sc'"),
    ),
    "a type we do not read": (
        {"content-type": "application/xml"},
        b"<a/>",
        415,
        error("decode", "media_type", "JSON or a form is expected here, and a body of the type 'application/xml' came"),
    ),
    "an encoding we do not read": (
        {"content-encoding": "br"},
        b"{}",
        415,
        error("decode", "encoding", "the content encoding 'br' is not understood; send gzip or none"),
    ),
    "a gzip bomb": (
        {"content-encoding": "gzip"},
        gzip.compress(b" " * 3_000_000),
        413,
        error("decode", "too_large", "the body has more than 2097152 bytes once it is decompressed"),
    ),
    "nested too deep": (
        {},
        b"[" * 200 + b"]" * 200,
        400,
        error("decode", "too_deep", "the body is nested deeper than 100 levels"),
    ),
    "too large": ({}, b" " * 2_097_153, 413, LARGE),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_what_is_wrong_with_a_webhook_is_said_and_nothing_is_kept(tmp_path, name):
    headers, body, status, document = REFUSALS[name]
    async with house(tmp_path) as here:
        answer = await here.post(body, **headers)
        assert (answer.status_code, answer.json()) == (status, document)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert await counts(here) == {"events": 0}
        assert here.door.in_flight == 0


async def test_a_provider_whose_secret_is_unset_is_named_and_its_variable_is_not(tmp_path):
    async with house(tmp_path) as here:
        answer = await here.post({}, "/webhooks/shut")
    assert answer.status_code == 503
    assert answer.json() == error("verify", "secret_unset", "the provider shut is not set up yet: its secret is missing")
    assert answer.headers["retry-after"] == "5"


PATHS = {
    ("POST", "/webhooks/nobody"): (404, error("receive", "provider", "there is no provider 'nobody' here"), None),
    ("POST", "/webhooks"): (404, error("receive", "provider", "name a provider: /webhooks/NAME"), None),
    ("POST", "/webhooks/"): (404, error("receive", "provider", "name a provider: /webhooks/NAME"), None),
    ("POST", "/webhooks/%3Cimg%20src=x%3E%0A%1b"): (
        404,
        error("receive", "provider", r"there is no provider '<img src=x>\n\x1b' here"),
        None,
    ),
    ("POST", "/webhooks/%FF%FE"): (404, error("receive", "provider", "there is no provider '\ufffd\ufffd' here"), None),
    ("POST", "/api/v1/events"): (405, error("api", "method", "this path does not take this method"), "GET, OPTIONS"),
    ("DELETE", "/webhooks/team"): (405, error("receive", "method", "team takes POST, GET here"), "POST, GET"),
    ("OPTIONS", "/webhooks/team"): (405, error("receive", "method", "team takes POST, GET here"), "POST, GET"),
    ("PUT", "/webhooks/shut"): (405, error("receive", "method", "shut takes POST here"), "POST"),
    ("POST", "/webhooksteam"): (404, error("api", "not_found", "there is nothing at this path"), None),
    ("POST", "/"): (404, error("api", "not_found", "there is nothing at this path"), None),
    ("POST", "/healthz"): (405, error("api", "method", "this path does not take this method"), "GET, HEAD, OPTIONS"),
}


@pytest.mark.parametrize("method, path", PATHS)
async def test_a_wrong_path_or_method_says_what_there_is(tmp_path, method, path):
    status, document, allow = PATHS[method, path]
    async with house(tmp_path) as here:
        answer = await here.call(method, path)
    assert (answer.status_code, answer.json()) == (status, document)
    assert answer.headers.get("allow") == allow
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_head_is_refused_as_any_other_method_is(tmp_path):
    async with house(tmp_path) as here:
        answer = await here.call("HEAD", "/webhooks/team")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST, GET")


@pytest.mark.parametrize("path", ["/webhooks/team/", "/webhooks/team?x=1&x=2", "/old/door", "/old/door/", "/old/door?x=%FF&y"])
async def test_a_door_answers_under_each_of_its_names(tmp_path, path):
    async with house(tmp_path) as here:
        answer = await here.post({"items": [DOWN]}, path)
        assert answer.status_code == 202, answer.text
        assert [told["outcome"] for told in answer.json()["events"]] == ["told"]


@pytest.mark.parametrize("header, provider", [("X-Late", "slow"), ("x-late", "slow"), ("X-Other", "team"), ("X-None", None)])
async def test_where_several_share_a_path_a_header_tells_them_apart(tmp_path, header, provider):
    rest = "" if provider is None else ", '*': team"
    settings = f"catalogue: false\naliases: {{ /shared: {{ X-Late: slow{rest} }} }}\n"
    async with house(tmp_path, files={"gateway.yaml": settings}) as here:
        sent = {"x-token": "t0ken-of-team", header: "1"}
        answer = await here.call("POST", "/shared/", content=json.dumps({"items": [DOWN]}), headers=sent)
        if provider is None:
            assert (answer.status_code, answer.json()["error"]["message"]) == (404, "there is nothing at this path")
        else:
            assert (await here.pipeline.store.webhook(answer.json()["webhook_id"])).provider == provider


@pytest.mark.parametrize("path", ["/old/door", "/webhooks/team", "/webhooks/team/", "/webhooks/team/x%2Fy%C3%A9"])
async def test_the_url_is_the_one_that_was_called_for_some_senders_sign_it(tmp_path, path):
    async with house(tmp_path) as here:
        answer = await here.post({"items": [DOWN]}, f"{path}?a=1")
        stored = await here.pipeline.store.webhook(answer.json()["webhook_id"])
    assert (stored.url, stored.query, stored.provider) == (f"http://gateway.test{path}", {"a": "1"}, "team")


async def test_a_delivery_id_seen_before_is_a_success_and_not_taken_twice(tmp_path):
    async with house(tmp_path) as here:
        first = (await here.post({"items": [DOWN]}, x_delivery="d-1")).json()
        again = await here.post({"items": [DOWN]}, x_delivery="d-1")
        assert again.status_code == 202
        assert again.json() == first | {"duplicate": True}
        assert await counts(here) == {
            "accepted": 1,
            "delivered": 0,
            "filtered": 0,
            "cancelled": 0,
            "dead": 0,
            "pending": 1,
            "claimed": 0,
            "parked": 0,
            "events": 1,
        }


async def test_a_refused_webhook_does_not_use_its_delivery_id_up(tmp_path):
    async with house(tmp_path) as here:
        assert (await here.post({"items": [DOWN]}, x_delivery="d-1", x_token="wrong")).status_code == 401
        assert "duplicate" not in (await here.post({"items": [DOWN]}, x_delivery="d-1")).json()


async def test_who_sends_too_fast_hears_when_to_come_back(tmp_path):
    async with house(tmp_path) as here:
        assert (await here.post({"items": []}, "/webhooks/slow")).status_code == 202
        answer = await here.post({"items": []}, "/webhooks/slow")
        assert (answer.status_code, answer.json()) == (429, error("receive", "rate", "slow sends faster than allowed"))
        assert 55 <= int(answer.headers["retry-after"]) <= 61
        assert (await here.post({"items": []})).status_code == 202, "the others are not held up"


async def test_a_gateway_that_goes_down_takes_nothing_more(tmp_path):
    async with house(tmp_path) as here:
        here.state.draining = True
        answer = await here.post({"items": [DOWN]})
        assert (answer.status_code, answer.json()) == (
            503,
            error("receive", "draining", "the gateway is going down; send it again"),
        )
        assert answer.headers["retry-after"] == "5"
        assert await counts(here) == {"events": 0}


async def test_a_store_that_refuses_is_a_503_and_nothing_is_kept(tmp_path):
    async with house(tmp_path) as here:
        working = here.pipeline.store

        class Full:
            async def accept(self, intake):
                raise StoreError("the disk is full (/secret/path)")

        here.pipeline.store = Full()
        answer = await here.post({"items": [DOWN]})
        assert (answer.status_code, answer.json()) == (
            503,
            error("store", "store", "this cannot be stored right now; send it again"),
        )
        assert answer.headers["retry-after"] == "5"
        here.pipeline.store = working
        assert await counts(here) == {"events": 0}
        assert here.door.in_flight == 0


async def test_a_fault_of_ours_is_a_500_that_shows_nothing_of_it(tmp_path):
    async with house(tmp_path) as here:

        class Broken:
            async def accept(self, intake):
                raise RuntimeError("payload text <script>")

        here.pipeline.store = Broken()
        answer = await here.post({"items": [DOWN]})
        assert (answer.status_code, answer.json()) == (
            500,
            error("receive", "fault", "the gateway failed; nothing was stored, send it again"),
        )
        assert here.door.in_flight == 0


async def test_an_echoed_challenge_cannot_become_a_page(tmp_path):
    async with house(tmp_path) as here:
        answer = await here.call("GET", "/webhooks/team?challenge=%3Cscript%3Ealert(1)%3C/script%3E")
    assert (answer.status_code, answer.text) == (200, "<script>alert(1)</script>")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"


async def test_a_body_up_to_the_providers_limit_is_taken(tmp_path):
    body = json.dumps({"items": [DOWN]}).encode()
    async with house(tmp_path) as here:
        answer = await here.post(body + b" " * (2_097_152 - len(body)))
    assert answer.status_code == 202, answer.text


@pytest.mark.parametrize("count", [1, 3, 4, 20, 200])
async def test_however_many_items_cannot_be_mapped_each_is_kept_as_a_dead_letter(tmp_path, count):
    async with house(tmp_path) as here:
        receipt = await here.told(*[{"id": "x", "state": "odd"}] * count)
        letters = (await here.pipeline.store.dead_letters({}, limit=500)).items
        assert (len(receipt["dead"]), len(letters)) == (count, count)
