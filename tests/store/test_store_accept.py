"""Keeping webhooks: all or nothing, many in one commit, each once."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace
from store_examples import NOON, a_dead_item, a_webhook, an_event, an_intake, claim, conserved, deciding, telling, tried

from gateway.errors import StoreError
from gateway.model import Decision, Incident, Receipt, Told
from gateway.store import Intake, open_store

pytestmark = pytest.mark.anyio


def told(id="e1", action="trigger", **more):
    return Told(id=id, action=action, severity="critical", dedup_key="db-1", outcome="told", **more)


async def test_a_webhook_is_kept_whole(store):
    receipt = await store.accept(
        an_intake(an_event(), decide=telling("datadog", "splunk"), dead=[a_dead_item(1)], ignored=2, filtered=3)
    )
    assert receipt == Receipt(
        webhook_id="w1",
        events=(told(incident_id="e1", sinks=("datadog", "splunk")),),
        ignored=2,
        filtered=3,
        dead=(a_dead_item(1),),
    )
    assert await store.webhook("w1") == a_webhook()
    event = await store.event("e1")
    assert event["webhook_id"] == "w1"
    assert event["incident_id"] == "e1"
    assert [(delivery["id"], delivery["state"]) for delivery in event["deliveries"]] == [
        ("e1.splunk", "pending"),
        ("e1.datadog", "pending"),
    ]
    incident = await store.incident("e1")
    assert incident["status"] == "open"
    assert [letter["id"] for letter in (await store.dead_letters({})).items] == ["w1.1"]


async def test_later_events_see_what_earlier_ones_of_the_webhook_changed(store):
    receipt = await store.accept(an_intake(an_event("e1"), an_event("e2"), an_event("e3", "resolve"), an_event("e4")))
    assert [told.incident_id for told in receipt.events] == ["e1", "e1", "e1", "e4"]
    first, second = await store.incident("e1"), await store.incident("e4")
    assert (first["status"], first["triggers"]) == ("resolved", 2)
    assert second["status"] == "open"


async def test_webhooks_that_share_a_commit_see_what_the_earlier_ones_changed(store):
    receipts = await asyncio.gather(*(store.accept(an_intake(an_event(f"e{n}"), webhook=a_webhook(f"w{n}"))) for n in range(50)))
    assert {receipt.events[0].incident_id for receipt in receipts} == {"e0"}
    assert (await store.incident("e0"))["triggers"] == 50


async def test_decide_sees_a_resolved_incident_as_it_ended_and_none_for_a_new_key(store):
    seen = []

    def watch(incident, event):
        seen.append(incident)
        return telling("splunk")(incident, event)

    for id, action in (("e1", "trigger"), ("e2", "resolve"), ("e3", "trigger")):
        await store.accept(an_intake(an_event(id, action), webhook=a_webhook(f"w-{id}"), decide=watch))
    assert [incident and (incident.id, incident.status) for incident in seen] == [
        None,
        ("e1", "open"),
        ("e1", "resolved"),
    ]
    assert (await store.incident("e3"))["status"] == "open"


@pytest.mark.parametrize("other", [{"provider": "grafana"}, {"project": "shop"}, {"key": "db-2"}])
async def test_an_incident_is_one_dedup_key_of_one_provider_and_project(store, other):
    receipt = await store.accept(an_intake(an_event("e1"), an_event("e2", **other)))
    assert [told.incident_id for told in receipt.events] == ["e1", "e2"]


async def test_dedup_keys_with_strange_characters_are_told_apart(store):
    keys = ["a", "a\x00b", "a\x00c", "é", "e\u0301", "'", '"', "%", ""]
    for round in "12":
        intake = an_intake(*(an_event(f"e{round}{n}", key=key) for n, key in enumerate(keys)), webhook=a_webhook(round))
        receipt = await store.accept(intake)
        assert [told.incident_id for told in receipt.events] == [f"e1{n}" for n in range(len(keys))]


async def test_concurrent_webhooks_share_a_commit(store):
    before = store.commits
    await asyncio.gather(*(store.accept(an_intake(an_event(f"e{n}"), webhook=a_webhook(f"w{n}"))) for n in range(500)))
    assert store.commits - before == 1


async def test_calls_that_come_while_the_disk_is_busy_share_the_next_commit(store):
    before = store.commits

    async def ten(caller):
        for n in range(10):
            id = f"{caller}-{n}"
            await store.accept(an_intake(an_event(id), webhook=a_webhook(id)))

    await asyncio.gather(*map(ten, range(64)))
    assert store.commits - before <= 40


async def test_a_poisonous_call_fails_alone(store):
    def poison(incident, event):
        raise ZeroDivisionError("poison")

    intakes = [an_intake(an_event(f"e{n}"), webhook=a_webhook(f"w{n}")) for n in range(10)]
    intakes[4] = replace(intakes[4], decide=poison)
    intakes[7] = replace(intakes[7], events=[an_event("e7", summary="half a \ud800 character")])
    answers = await asyncio.gather(*map(store.accept, intakes), return_exceptions=True)
    assert [n for n, answer in enumerate(answers) if isinstance(answer, Receipt)] == [0, 1, 2, 3, 5, 6, 8, 9]
    assert repr(answers[4]) == "ZeroDivisionError('poison')"
    assert isinstance(answers[7], UnicodeEncodeError)
    assert (await store.webhook("w4"), await store.webhook("w7")) == (None, None)
    assert (await conserved(store))["splunk"]["accepted"] == 8


async def test_what_the_database_refuses_fails_alone_too(store):
    twice = an_intake(an_event("e1"), webhook=a_webhook("w1"), decide=telling("splunk", "splunk"))
    fine = an_intake(an_event("e2"), webhook=a_webhook("w2"))
    answers = await asyncio.gather(store.accept(twice), store.accept(fine), return_exceptions=True)
    assert str(answers[0]) == "the database refused (UNIQUE constraint failed: deliveries.id)"
    assert isinstance(answers[0], StoreError)
    assert not answers[0].retryable
    assert answers[1].webhook_id == "w2"


async def test_of_a_hundred_webhooks_with_one_delivery_id_one_is_accepted(store):
    before = store.commits
    receipts = await asyncio.gather(
        *(store.accept(an_intake(an_event(f"e{n}"), webhook=a_webhook(f"w{n}"), delivery_id="d")) for n in range(100))
    )
    first = Receipt(webhook_id="w0", events=(told("e0", incident_id="e0", sinks=("splunk",)),))
    assert receipts == [first] + [replace(first, duplicate=True)] * 99
    assert store.commits - before == 1
    assert len((await store.events({})).items) == 1
    assert await store.webhook("w1") is None
    assert await store.accept(an_intake(an_event("e100"), webhook=a_webhook("w100"), delivery_id="d")) == receipts[1]


async def test_a_delivery_id_belongs_to_its_provider(store):
    await store.accept(an_intake(an_event("e1"), delivery_id="d"))
    other = an_intake(an_event("e2"), webhook=a_webhook("w2", provider="grafana"), delivery_id="d")
    assert not (await store.accept(other)).duplicate


async def test_a_refused_webhook_does_not_burn_its_delivery_id(store):
    def poison(incident, event):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store.accept(an_intake(an_event(), delivery_id="d", decide=poison))
    assert not (await store.accept(an_intake(an_event(), delivery_id="d"))).duplicate


async def test_an_event_that_is_kept_already_is_reported_as_it_stands(store):
    first = await store.accept(an_intake(an_event("e1"), decide=telling("splunk", "datadog")))
    again = an_intake(an_event("e1"), an_event("e2"), decide=telling("elastic"))
    before = store.commits
    receipt, twin = await asyncio.gather(store.accept(again), store.accept(again))
    assert (twin, store.commits - before) == (receipt, 1)
    assert receipt.events == (*first.events, told("e2", incident_id="e1", sinks=("elastic",)))
    assert (await store.incident("e1"))["triggers"] == 2
    assert len((await store.deliveries({})).items) == 3


async def test_a_notice_touches_no_incident(store):
    await store.accept(an_intake(an_event("e1")))
    receipt = await store.accept(an_intake(an_event("e2", "notice"), webhook=a_webhook("w2")))
    assert receipt.events == (told("e2", "notice", sinks=("splunk",)),)
    assert (await store.incident("e1"))["triggers"] == 1


async def test_a_stray_is_stored_and_told_to_nobody(store):
    receipt = await store.accept(an_intake(an_event("e1", "resolve")))
    assert receipt.events == (replace(told("e1", "resolve"), outcome="stray"),)
    assert (await store.event("e1"))["outcome"] == "stray"
    assert (await store.deliveries({})).items == []


async def test_an_event_held_by_a_living_incident_belongs_to_it(store):
    await store.accept(an_intake(an_event("e1")))
    hold = an_intake(an_event("e2"), webhook=a_webhook("w2"), decide=deciding(Decision(outcome="held", filtered=("splunk",))))
    assert (await store.accept(hold)).events == (replace(told("e2", incident_id="e1"), outcome="held"),)
    assert (await conserved(store))["splunk"] == {
        "accepted": 2,
        "delivered": 0,
        "filtered": 1,
        "cancelled": 0,
        "dead": 0,
        "pending": 1,
        "claimed": 0,
        "parked": 0,
    }


async def test_an_event_of_our_own_making_needs_no_webhook(store):
    receipt = await store.accept(Intake(webhook=None, decide=telling("splunk"), events=[an_event(webhook_id="")]))
    assert receipt == Receipt(webhook_id="", events=(told(incident_id="e1", sinks=("splunk",)),))
    assert [delivery.id for delivery in await claim(store)] == ["e1.splunk"]


async def test_a_replay_of_dead_items_marks_them_and_keeps_the_webhook_once(store):
    await store.accept(an_intake(an_event("e0"), dead=[a_dead_item(1), a_dead_item(2)], delivery_id="d"))
    still_dead = replace(a_dead_item(2), message="severity: 'P7' stands in no row of the table")
    receipt = await store.accept(an_intake(an_event("e1", key="b"), dead=[still_dead], replayed=[1, 2], delivery_id="d"))
    assert receipt == Receipt(
        webhook_id="w1",
        events=(replace(told("e1", incident_id="e1", sinks=("splunk",)), dedup_key="b"),),
        dead=(still_dead,),
    )
    assert await store.dead_letter("w1.1") == {
        "kind": "webhook",
        "id": "w1.1",
        "provider": "prometheus",
        "sink": "",
        "stage": "map",
        "reason": "unmappable",
        "message": "dedup_key: $.fingerprint finds nothing",
        "at": NOON,
        "webhook_id": "w1",
        "event_id": "",
        "item_index": 1,
        "state": "replayed",
    }
    assert [(letter["id"], letter["message"]) for letter in (await store.dead_letters({})).items] == [
        ("w1.2", "severity: 'P7' stands in no row of the table")
    ]


async def test_dead_items_without_their_webhook_are_refused(store):
    with pytest.raises(ValueError, match=r"^dead items and replays name their webhook$"):
        await store.accept(Intake(webhook=None, decide=telling(), dead=[a_dead_item()]))


async def test_an_incident_comes_back_as_it_was_written(store):
    whole = Incident(
        id="e1",
        provider="prometheus",
        project="shop",
        dedup_key="db-1",
        status="acknowledged",
        severity="warning",
        summary="slow",
        opened_at="2026-01-01T12:00:00Z",
        updated_at="2026-01-01T12:01:00Z",
        acknowledged_at="2026-01-01T12:01:00Z",
        triggers=3,
        sinks=("splunk",),
        resolve_at=NOON + 60.5,
    )
    decide = deciding(Decision(outcome="told", incident=whole, tell=("splunk",)))
    await store.accept(an_intake(an_event("e1", project="shop"), decide=decide))
    assert [delivery.incident for delivery in await claim(store)] == [whole]


async def test_calls_after_the_end_are_refused(store):
    await store.close()
    for call in (store.accept(an_intake(an_event())), store.events({}), store.ping()):
        with pytest.raises(StoreError, match=r"^the store is closed$"):
            await call


async def test_what_was_asked_before_the_end_is_done(store, url):
    waiting = asyncio.ensure_future(store.accept(an_intake(an_event())))
    await asyncio.sleep(0)
    await store.close()
    assert (await waiting).webhook_id == "w1"
    again = open_store(url)
    assert (await again.webhook("w1")) == a_webhook()
    await again.close()


async def test_a_result_is_committed_before_it_is_answered(store, url):
    await store.accept(an_intake(an_event()))
    (delivery,) = await claim(store)
    assert await store.record([tried(delivery)], now=NOON) == 1
    assert (await store.delivery("e1.splunk"))["state"] == "delivered"


async def test_a_store_says_when_it_can_be_written(store):
    assert await store.ping() is None
    assert await store.ping() is None


@pytest.mark.parametrize("many", [1, 3, 4, 5, 16, 64, 85, 200])
async def test_however_much_one_webhook_brings_all_of_it_is_kept(store, many):
    events = [an_event(f"e{n:03d}", key=f"key-{n}") for n in range(many)]
    dead = [a_dead_item(n) for n in range(many)]
    receipt = await store.accept(an_intake(*events, decide=telling("splunk", "datadog"), dead=dead))
    assert (len(receipt.events), len(receipt.dead)) == (many, many)
    assert len({item["id"] for item in (await store.events({}, limit=200)).items}) == many
    assert len({item["id"] for item in (await store.dead_letters({}, limit=200)).items}) == many
    claimed = await store.claim("splunk", 1000, now=NOON, lease=30, line=900)
    assert await store.record([tried(delivery) for delivery in claimed], now=NOON) == many
    replayed = await store.accept(an_intake(webhook=a_webhook(), replayed=list(range(many))))
    assert (replayed.events, (await store.dead_letters({}, limit=200)).items) == ((), [])
    told = {sink: {state: count for state, count in counts.items() if count} for sink, counts in (await conserved(store)).items()}
    assert told == {"datadog": {"accepted": many, "pending": many}, "splunk": {"accepted": many, "delivered": many}}
