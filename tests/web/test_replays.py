"""Replays through the API: as delivered or remapped, `force`, and what is said where it cannot be done."""

from __future__ import annotations

import pytest

from .house_stand import SETTINGS, TEAM, error, house

pytestmark = pytest.mark.anyio
DOWN = {"id": "db-1", "state": "down", "level": "bad", "text": "db-1 is down"}
UP = {**DOWN, "state": "up"}
STALE = "this would trigger an incident that is resolved by now; say force to do it all the same"


async def replay(here, path: str, body=None, **more):
    answer = await here.api(f"/{path}/replay", "POST", **({} if body is None else {"json": body}), **more)
    return answer.status_code, answer.json()


def conflict(message: str):
    return 409, error("api", "replay", message)


async def dead(here, *items) -> str:
    """The id of the first of these events' deliveries, dead."""
    receipt = await here.told(*(items or [DOWN]))
    await here.bury()
    return f"{receipt['events'][0]['id']}.main"


@pytest.mark.parametrize("body", [None, {}, {"mode": "as_delivered"}, {"force": True}])
async def test_a_dead_delivery_is_sent_again_as_it_was_delivered(tmp_path, body):
    async with house(tmp_path) as here:
        id = await dead(here)
        assert await replay(here, f"dead-letters/{id}", body) == (202, {"deliveries": 1})
        (delivery,) = (await here.api("/deliveries")).json()["items"]
        assert (delivery["id"], delivery["state"], delivery["tries"]) == (id, "pending", 0)
        assert (await here.api("/dead-letters")).json()["items"] == []
        assert here.worker.lanes["main"].woken.is_set()


async def test_a_dead_delivery_remapped_goes_to_its_own_sink_alone_by_todays_words(tmp_path):
    second = {"sinks.d/second.yaml": 'title: Second\nrequest: { url: "http://second.test/" }\n'}
    async with house(tmp_path, files=second) as here:
        id = await dead(here, {**DOWN, "id": "a"}, {**DOWN, "id": "b"})
    async with house(
        tmp_path, files=second | {"providers.d/team.yaml": TEAM.replace("summary: $.text", 'summary: "new: {{ item.text }}"')}
    ) as here:
        status, got = await replay(here, f"dead-letters/{id}", {"mode": "remapped"})
        (told,) = got["receipt"]["events"]
        assert (status, told["dedup_key"], told["sinks"], told["outcome"]) == (202, "a", ["main"], "told")
        newest = (await here.api("/deliveries?limit=1")).json()["items"][0]
        assert (newest["id"], newest["summary"], newest["state"]) == (f"{told['id']}.main", "new: db-1 is down", "pending")
        opened = (await here.api("/incidents?dedup_key=a")).json()["items"]
        assert [(incident["status"], incident["triggers"]) for incident in opened] == [("open", 1)], "its incident stays as it is"


async def test_of_a_webhook_only_the_dead_item_is_mapped_again(tmp_path):
    async with house(tmp_path) as here:
        receipt = await here.told({**DOWN, "id": "a"}, {**DOWN, "id": "b", "state": "odd"}, {**DOWN, "id": "c", "state": "odd"})
        id = f"{receipt['webhook_id']}.1"
        assert await replay(here, f"dead-letters/{id}") == conflict(
            "it still cannot be mapped: action: 'odd' is in no row of the table, and there is no default"
        )
    async with house(
        tmp_path, files={"providers.d/team.yaml": TEAM.replace("down: trigger", "down: trigger, odd: trigger")}
    ) as here:
        assert await replay(here, f"dead-letters/{id}", {"mode": "as_delivered"}) == conflict(
            "this webhook was never mapped, so there is nothing to deliver as it was; replay it remapped"
        )
        status, got = await replay(here, f"dead-letters/{id}")
        assert (status, [told["dedup_key"] for told in got["receipt"]["events"]]) == (202, ["b"])
        assert [letter["item_index"] for letter in (await here.api("/dead-letters")).json()["items"]] == [2], "the other stays"
        assert await replay(here, f"dead-letters/{id}") == conflict("this dead letter has been replayed already")
        assert len((await here.api("/events")).json()["items"]) == 2


async def test_a_webhook_that_could_not_be_told_apart_is_replayed_whole_and_what_is_still_wrong_stays_dead(tmp_path):
    broken = TEAM.replace("events: $.items[*]", 'cases: [ { when: "{{ 1 / item.nothing }}", events: "$.items[*]" } ]')
    async with house(tmp_path, files={"providers.d/team.yaml": broken}) as here:
        receipt = await here.told({**DOWN, "id": "a"}, {**DOWN, "id": "b", "state": "odd"})
        assert [item["index"] for item in receipt["dead"]] == [-1]
        id = f"{receipt['webhook_id']}.-1"
        assert (await replay(here, f"dead-letters/{id}"))[0] == 409
    async with house(tmp_path, files={"providers.d/team.yaml": TEAM}) as here:
        status, got = await replay(here, f"dead-letters/{id}")
        assert (status, [told["dedup_key"] for told in got["receipt"]["events"]]) == (202, ["a"])
        assert [letter["id"] for letter in (await here.api("/dead-letters")).json()["items"]] == [f"{receipt['webhook_id']}.1"]


async def test_a_stored_webhook_goes_through_todays_words_as_a_new_one(tmp_path):
    async with house(tmp_path) as here:
        first = await here.told(DOWN)
        status, got = await replay(here, f"webhooks/{first['webhook_id']}")
        again = got["receipt"]
        assert (status, [told["outcome"] for told in again["events"]]) == (202, ["held"])
        assert again["webhook_id"] != first["webhook_id"]
        assert again["events"][0]["id"] == f"{again['webhook_id']}-0"
        assert again["events"][0]["incident_id"] == first["events"][0]["id"]


async def test_a_trigger_of_an_incident_that_is_over_wants_force_however_it_is_replayed(tmp_path):
    async with house(tmp_path) as here:
        id = await dead(here)
        webhook = id.rpartition("-")[0]
        await here.told(UP)
        for path, body in [
            (f"dead-letters/{id}", {}),
            (f"dead-letters/{id}", {"mode": "remapped"}),
            (f"deliveries/{id}", {}),
            (f"webhooks/{webhook}", {}),
        ]:
            assert await replay(here, path, body) == conflict(STALE), path
        assert await replay(here, f"deliveries/{id}", {"force": True}) == (202, {"deliveries": 1})
        status, got = await replay(here, f"webhooks/{webhook}", {"force": True})
        assert (status, got["receipt"]["events"][0]["outcome"]) == (202, "told")


async def test_a_dead_item_whose_incident_ended_after_it_came_wants_force_too(tmp_path):
    async with house(tmp_path) as here:
        await here.told(DOWN)
        late = await here.told({**DOWN, "state": "odd"})
        await here.told(UP)
    async with house(
        tmp_path, files={"providers.d/team.yaml": TEAM.replace("down: trigger", "down: trigger, odd: trigger")}
    ) as here:
        path = f"dead-letters/{late['webhook_id']}.0"
        assert await replay(here, path) == conflict(STALE)
        assert (await replay(here, path, {"force": True}))[0] == 202


async def test_a_trigger_that_came_after_the_end_of_the_last_incident_is_news(tmp_path):
    async with house(tmp_path) as here:
        await here.told(DOWN)
        await here.told(UP)
        late = await here.told({**DOWN, "state": "odd"})
    async with house(
        tmp_path, files={"providers.d/team.yaml": TEAM.replace("down: trigger", "down: trigger, odd: trigger")}
    ) as here:
        status, got = await replay(here, f"dead-letters/{late['webhook_id']}.0")
        assert (status, got["receipt"]["events"][0]["outcome"]) == (202, "told")


async def test_what_is_on_its_way_is_not_replayed(tmp_path):
    async with house(tmp_path) as here:
        id = f"{(await here.told(DOWN))['events'][0]['id']}.main"
        assert await replay(here, f"deliveries/{id}") == conflict(
            "this delivery is pending already: it is on its way, and there is nothing to replay"
        )


async def test_a_mode_that_makes_no_sense_is_refused(tmp_path):
    async with house(tmp_path) as here:
        id = await dead(here)
        assert await replay(here, f"deliveries/{id}", {"mode": "remapped"}) == conflict(
            "a delivery is replayed as it was delivered; remap its dead letter or its webhook instead"
        )
        assert await replay(here, f"webhooks/{id.rpartition('-')[0]}", {"mode": "as_delivered"}) == conflict(
            "a webhook is replayed remapped; replay its deliveries to send the same events again"
        )


async def test_what_lost_its_file_says_so(tmp_path):
    async with house(tmp_path) as here:
        id = await dead(here)
    (tmp_path / "conf" / "providers.d" / "slow.yaml").unlink()
    (tmp_path / "conf" / "providers.d" / "team.yaml").rename(tmp_path / "conf" / "providers.d" / "crew.yaml")
    off = {
        "sinks.d/main.yaml": 'title: Main\nvars: { url: { env: GONE } }\nrequest: { url: "{{ vars.url }}" }\n',
        "gateway.yaml": SETTINGS.replace("team", "crew"),
    }
    files = {"providers.d/team.yaml": "", "providers.d/slow.yaml": ""}
    async with house(tmp_path, files=files | off, without=files) as here:
        assert await replay(here, f"dead-letters/{id}") == conflict(
            "the sink 'main' is gone or off; bring its file and secrets back first"
        )
        assert await replay(here, f"webhooks/{id.rpartition('-')[0]}") == conflict(
            "the provider 'team' is gone; bring its file back first"
        )


@pytest.mark.parametrize("what, name", [("dead-letters", "dead letter"), ("deliveries", "delivery")])
async def test_what_is_not_there_cannot_be_replayed(tmp_path, what, name):
    async with house(tmp_path) as here:
        assert await replay(here, f"{what}/none") == (404, error("api", "not_found", f"there is no {name} 'none'"))
        assert await replay(here, "webhooks/none") == (
            404,
            error(
                "api", "not_found", "there is no webhook 'none'; it may have been kept no longer than `retention.webhooks` says"
            ),
        )


MALFORMED = {
    b'{"mode": "sideways"}': "mode: Invalid enum value 'sideways'",
    b'{"force": "yes"}': "force: Expected `bool`, got `str`",
    b'{"mode": "remapped", "colour": 1}': "Object contains unknown field `colour`",
    b"[]": "Expected `object | null`, got `array`",
    b"{": "the body is not JSON: Input data was truncated",
    b"\xff": "the body is not JSON: JSON is malformed: invalid character (byte 0)",
}


@pytest.mark.parametrize("body", MALFORMED)
async def test_a_malformed_order_is_told_what_is_wrong(tmp_path, body):
    async with house(tmp_path) as here:
        id = await dead(here)
        answer = await here.call(
            "POST",
            f"/api/v1/dead-letters/{id}/replay",
            content=body,
            headers={"authorization": "Bearer adm1n-t0ken", "content-type": "application/json"},
        )
        assert (answer.status_code, answer.json()) == (400, error("api", "parameter", MALFORMED[body]))
        assert len((await here.api("/dead-letters")).json()["items"]) == 1
