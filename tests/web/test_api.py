"""The API: who may use it, what its lists and single things show, and what it says of wrong questions."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from gateway.web import shown

from .house_stand import ADMIN, ENVIRONMENT, error, house

pytestmark = pytest.mark.anyio
DOWN = {"id": "db-1", "state": "down", "level": "bad", "text": "db-1 is down"}
LISTS = ["events", "incidents", "deliveries", "dead-letters"]
OPEN_TO_ALL = {"/api/v1/openapi.json", "/api/v1/docs", "/api/v1/docs.css"}

CLOSED = error("api", "closed", "GATEWAY_ADMIN_TOKEN is not set, so the API is closed")
WRONG = error("api", "token", "send the admin token: Authorization: Bearer …")
KEYS = {
    "none": ({}, 401),
    "wrong": ({"authorization": "Bearer wrong"}, 401),
    "empty": ({"authorization": "Bearer "}, 401),
    "no scheme": ({"authorization": ADMIN}, 401),
    "another scheme": ({"authorization": f"Basic {ADMIN}"}, 401),
    "a part of it": ({"authorization": f"Bearer {ADMIN[:-1]}"}, 401),
    "more than it": ({"authorization": f"Bearer {ADMIN} "}, 401),
    "not ASCII": ({"authorization": b"Bearer \xff\xfe"}, 401),
    "in the query": ({}, 401),
    "right": ({"authorization": f"Bearer {ADMIN}"}, 200),
    "right, in small letters": ({"authorization": f"bearer {ADMIN}"}, 200),
}


@pytest.mark.parametrize("name", KEYS)
async def test_only_the_admin_token_opens_the_api(tmp_path, name):
    headers, status = KEYS[name]
    async with house(tmp_path) as here:
        answer = await here.call(
            "GET", f"/api/v1/events?token={ADMIN}" if name == "in the query" else "/api/v1/events", headers=headers
        )
    assert answer.status_code == status
    if status == 401:
        assert (answer.json(), answer.headers["www-authenticate"]) == (WRONG, "Bearer")


async def test_a_token_sent_twice_is_refused(tmp_path):
    async with house(tmp_path) as here:
        answer = await here.call("GET", "/api/v1/events", headers=[("authorization", f"Bearer {ADMIN}")] * 2)
    assert (answer.status_code, answer.json()) == (401, WRONG)


@pytest.mark.parametrize("token", [None, ""])
async def test_without_a_token_the_api_is_closed(tmp_path, token):
    env = {"TEAM_TOKEN": "x"} | ({} if token is None else {"GATEWAY_ADMIN_TOKEN": token})
    async with house(tmp_path, env=env) as here:
        for headers in ({}, {"authorization": "Bearer "}, {"authorization": "Bearer None"}):
            answer = await here.call("GET", "/api/v1/events", headers=headers)
            assert (answer.status_code, answer.json()) == (503, CLOSED)


async def test_in_dev_mode_the_api_is_open_until_a_token_is_set(tmp_path):
    ours = {"host": "localhost:8080"}
    async with house(tmp_path, env={}, dev=True) as here:
        assert (await here.call("GET", "/api/v1/events", headers=ours)).status_code == 200
    async with house(tmp_path, dev=True) as here:
        assert (await here.call("GET", "/api/v1/events", headers=ours)).status_code == 401


FOREIGN = "dev mode answers this machine alone: use localhost or 127.0.0.1"


@pytest.mark.parametrize(
    "headers, status",
    [
        ({"host": "localhost:8080"}, 200),
        ({"host": "127.0.0.1:8080"}, 200),
        ({"host": "[::1]:8080"}, 200),
        ({"host": "[::1]"}, 200),
        ({"host": "localhost", "origin": "http://localhost:8080"}, 200),
        ({"host": "evil.example"}, 403),
        ({"host": "localhost.evil.example:8080"}, 403),
        ({"host": "localhost", "origin": "http://evil.example"}, 403),
        ({"host": "localhost", "origin": "null"}, 403),
        ({"host": "localhost", "sec-fetch-site": "cross-site"}, 403),
    ],
)
async def test_in_dev_mode_a_page_of_somebody_else_reaches_nothing(tmp_path, headers, status):
    async with house(tmp_path, env={}, dev=True) as here:
        for method, path in (("GET", "/api/v1/events"), ("GET", "/readyz")):
            answer = await here.call(method, path, headers=headers)
            if path == "/api/v1/events" or status == 403:
                assert answer.status_code == status
            if status == 403:
                assert answer.json() == error("receive", "foreign", FOREIGN)


async def test_the_token_before_is_good_until_previous_is_taken_away(tmp_path):
    settings = {"gateway.yaml": "catalogue: false\nadmin_token: { env: NEW, previous: { env: OLD } }\n"}
    async with house(tmp_path, files=settings, env=ENVIRONMENT | {"NEW": "new-töken", "OLD": "old"}) as here:
        for token, status in {"new-töken": 200, "old": 200, ADMIN: 401}.items():
            answer = await here.call("GET", "/api/v1/events", headers={"authorization": f"Bearer {token}".encode()})
            assert answer.status_code == status, token


async def test_every_path_under_the_api_is_behind_the_token(tmp_path):
    async with house(tmp_path) as here:
        document = (await here.call("GET", "/api/v1/openapi.json")).json()
        for path, item in document["paths"].items():
            if path.startswith("/api/v1") and path not in OPEN_TO_ALL:
                for method in item:
                    answer = await here.call(method.upper(), path.replace("{id}", "x"))
                    assert (answer.status_code, answer.json()) == (401, WRONG), path


async def test_a_list_is_walked_page_by_page_and_each_item_comes_once_though_more_arrive(tmp_path):
    async with house(tmp_path) as here:
        for number in range(7):
            await here.told({**DOWN, "id": f"a{number}"})
        for what, count in {"events": 7, "incidents": 7, "deliveries": 7}.items():
            ids, cursor, pages = [], "", 0
            while True:
                page = (await here.api(f"/{what}?limit=3&cursor={cursor}")).json()
                ids += [item["id"] for item in page["items"]]
                await here.told({**DOWN, "id": f"later-{what}-{pages}"})
                pages += 1
                if not (cursor := page["next"]):
                    break
            assert len(ids) == len(set(ids)), what
            assert len(ids) >= count
            newest = (await here.api(f"/{what}?limit=200")).json()["items"]
            assert ids == [item["id"] for item in newest][pages:], "newest first, and none is left out"


async def test_dead_letters_are_walked_though_they_are_replayed_meanwhile(tmp_path):
    async with house(tmp_path) as here:
        await here.told(
            *[{"id": f"x{number}", "state": "odd", "text": "x"} for number in range(3)],
            *[{**DOWN, "id": f"d{n}"} for n in range(4)],
        )
        assert await here.bury() == 4
        ids, cursor = [], ""
        while True:
            page = (await here.api(f"/dead-letters?limit=2&cursor={cursor}")).json()
            ids += [item["id"] for item in page["items"]]
            for item in page["items"]:
                if item["kind"] == "delivery":
                    assert (await here.api(f"/dead-letters/{item['id']}/replay", "POST")).status_code == 202
            if not (cursor := page["next"]):
                break
        assert (len(ids), len(set(ids))) == (7, 7)


WRONGS = {
    "/events?limit=0": "limit: '0' is not a number from 1 to 200",
    "/events?limit=201": "limit: '201' is not a number from 1 to 200",
    "/incidents?limit=-1": "limit: '-1' is not a number from 1 to 200",
    "/deliveries?limit=ten": "limit: 'ten' is not a number from 1 to 200",
    "/dead-letters?limit=": "limit: '' is not a number from 1 to 200",
    "/events?limit=%D9%A3": "limit: '٣' is not a number from 1 to 200",
    f"/events?limit={'9' * 5000}": "limit: '99999999999999999999' is not a number from 1 to 200",
    "/events?limit=5&limit=6": "limit: it is given twice; keep one",
    "/deliveries?state=dead&state=parked": "state: it is given twice; keep one",
    "/events?colour=red": "events have no filter 'colour'; they have action, dedup_key, incident, outcome, project, provider, severity",
    "/incidents?sink=x": "incidents have no filter 'sink'; they have dedup_key, project, provider, severity, status",
    "/deliveries?provider=x": "deliveries have no filter 'provider'; they have event, incident, sink, state",
    "/dead-letters?state=x&a=b": "state: 'x' is none of pending, claimed, delivered, parked, dead, cancelled",
    "/dead-letters?a=b": "dead letters have no filter 'a'; they have kind, provider, sink",
    "/events?action=fire": "action: 'fire' is none of trigger, acknowledge, resolve, notice",
    "/incidents?status=closed": "status: 'closed' is none of open, acknowledged, resolved",
    "/events?severity=": "severity: '' is none of critical, error, warning, info",
    "/events?cursor=nonsense": "the cursor 'nonsense' is none of ours; begin without one",
    "/events?cursor=%FF%00": "the cursor '\ufffd\\x00' is none of ours; begin without one",
    "/dead-letters?cursor=MTI=": "the cursor 'MTI=' is none of ours; begin without one",
}


@pytest.mark.parametrize("path", WRONGS)
async def test_a_wrong_question_is_told_what_may_be_asked(tmp_path, path):
    async with house(tmp_path) as here:
        answer = await here.api(path)
    assert (answer.status_code, answer.json()) == (400, error("api", "parameter", WRONGS[path]))


@pytest.mark.parametrize("what", LISTS)
@pytest.mark.parametrize("position", [10**30, -(10**30), [1e308, "x"], [1, 2], {"a": 1}, None, "x", 1.5])
async def test_a_cursor_that_somebody_made_up_is_refused_or_harmless(tmp_path, what, position):
    cursor = base64.urlsafe_b64encode(json.dumps(position).encode()).decode()
    async with house(tmp_path) as here:
        answer = await here.api(f"/{what}?cursor={cursor}")
    ours = f"the cursor {cursor[:80]!r} is none of ours; begin without one"
    fine = what == "dead-letters" and position == [1e308, "x"]
    assert (answer.status_code, answer.json()) == (
        (200, {"items": [], "next": ""}) if fine else (400, error("api", "parameter", ours))
    )


@pytest.mark.parametrize(
    "what, name", [("events", "event"), ("incidents", "incident"), ("deliveries", "delivery"), ("dead-letters", "dead letter")]
)
async def test_what_is_not_there_is_a_404(tmp_path, what, name):
    async with house(tmp_path) as here:
        answer = await here.api(f"/{what}/%3Cb%3E")
    assert (answer.status_code, answer.json()) == (404, error("api", "not_found", f"there is no {name} '<b>'"))


async def test_everything_the_store_knows_of_a_thing_is_shown(tmp_path):
    async with house(tmp_path) as here:
        store = here.pipeline.store
        receipt = await here.told({**DOWN, "id": "a"}, {"id": "b", "state": "odd", "text": "b"})
        await here.bury()
        event, webhook = receipt["events"][0]["id"], receipt["webhook_id"]
        pairs = [
            ("/events", msgspec.structs.asdict(await store.events({}))),
            ("/incidents", msgspec.structs.asdict(await store.incidents({}))),
            ("/deliveries", msgspec.structs.asdict(await store.deliveries({}))),
            ("/dead-letters", msgspec.structs.asdict(await store.dead_letters({}))),
            (f"/events/{event}", await store.event(event)),
            (f"/incidents/{event}", await store.incident(event)),
            (f"/deliveries/{event}.main", await store.delivery(f"{event}.main")),
            (f"/dead-letters/{event}.main", await store.dead_letter(f"{event}.main")),
            (f"/dead-letters/{webhook}.1", await store.dead_letter(f"{webhook}.1")),
        ]
        for path, known in pairs:
            answer = await here.api(path)
            assert (answer.status_code, answer.json()) == (200, as_moments(msgspec.to_builtins(known))), path


def as_moments(known: Any) -> Any:
    """What the store knows, with its epoch seconds as the API says them: RFC 3339 in UTC, like every other time."""
    if isinstance(known, list):
        return [as_moments(each) for each in known]
    if not isinstance(known, dict):
        return known
    return {
        key: datetime.fromtimestamp(value, UTC).isoformat().replace("+00:00", "Z")
        if key in ("at", "due_at", "held_since", "ended_at", "resolve_at") and value is not None
        else as_moments(value)
        for key, value in known.items()
    }


async def test_a_delivery_is_shown_with_its_attempts(tmp_path):
    async with house(tmp_path) as here:
        event = (await here.told(DOWN))["events"][0]["id"]
        await here.bury()
        got = (await here.api(f"/deliveries/{event}.main")).json()
    (attempt,) = got.pop("attempts")
    assert (attempt["number"], attempt["verdict"], attempt["status"], attempt["batch"]) == (1, "dead", 400, 1)
    assert (got["state"], got["tries"], got["verdict"], got["summary"], got["sink"]) == (
        "dead",
        1,
        "answered 400",
        "db-1 is down",
        "main",
    )


async def test_sinks_and_providers_say_whether_they_work(tmp_path):
    files = {"sinks.d/off.yaml": 'title: Off\nvars: { url: { env: OFF_URL } }\nrequest: { url: "{{ vars.url }}" }\n'}
    async with house(tmp_path, files=files) as here:
        await here.told(DOWN)
        zero = msgspec.to_builtins(shown.Counts())
        assert (await here.api("/sinks")).json() == {
            "items": [
                {"name": "main", "state": "on", "reason": "", "counts": zero | {"accepted": 1, "pending": 1}},
                {"name": "off", "state": "off", "reason": "OFF_URL is not set", "counts": zero},
            ]
        }
        assert (await here.api("/providers")).json() == {
            "items": [
                {"name": "shut", "title": "Shut", "door": "closed", "unset": "SHUT_TOKEN"},
                {"name": "slow", "title": "Team", "door": "locked", "unset": ""},
                {"name": "team", "title": "Team", "door": "locked", "unset": ""},
            ]
        }


async def test_a_store_that_refuses_is_a_503_that_says_why(tmp_path):
    async with house(tmp_path) as here:
        await here.pipeline.store.close()
        answer = await here.api("/events")
        assert (answer.status_code, answer.json()) == (503, error("store", "store", "the store is closed"))
        assert (answer.headers["retry-after"], answer.headers["x-content-type-options"]) == ("5", "nosniff")


async def test_an_answer_is_never_kept_or_guessed_at(tmp_path):
    async with house(tmp_path) as here:
        for path in ("/events", "/sinks", "/events/none"):
            headers = (await here.api(path)).headers
            assert (headers["content-type"], headers["x-content-type-options"], headers["cache-control"]) == (
                "application/json",
                "nosniff",
                "no-store",
            )


@pytest.mark.parametrize("path", ["/api/v1/eventz", "/api/v1", "/api/v1/", "/api/v2", "/nope", "/api/v1/openapi.yaml"])
async def test_a_path_that_is_none_is_answered_in_the_one_shape(tmp_path, path):
    async with house(tmp_path) as here:
        answer = await here.call("GET", path)
    assert (answer.status_code, answer.json()) == (404, error("api", "not_found", "there is nothing at this path"))
