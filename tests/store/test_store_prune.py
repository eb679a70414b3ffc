"""Forgetting: what is old and finished goes, what is unfinished stays, and the tallies never change."""

from __future__ import annotations

import pytest
from store_examples import LEASE, NOON, a_dead_item, a_webhook, an_event, an_intake, claim, conserved, keep, tried

from gateway.store import open_store

pytestmark = pytest.mark.anyio

DAY = 86_400.0
LATER = NOON + 100 * DAY


async def prune(store, *, webhooks=LATER, events=LATER, dead=LATER, delivery_ids=LATER, limit=1000):
    return await store.prune(webhooks=webhooks, events=events, dead=dead, delivery_ids=delivery_ids, limit=limit)


async def finish(store, state="delivered", *, at=NOON):
    """Bring every due delivery to this end."""
    while claimed := await claim(store, now=at):
        await store.record([tried(delivery, state) for delivery in claimed], now=at)


async def left(store):
    return (
        [event["id"] for event in (await store.events({})).items],
        [incident["id"] for incident in (await store.incidents({})).items],
        [delivery["id"] for delivery in (await store.deliveries({})).items],
        [letter["id"] for letter in (await store.dead_letters({})).items],
    )


async def test_what_is_old_and_finished_goes_with_all_that_belongs_to_it(store):
    await keep(store, an_event("e1"), an_event("e2", "resolve"))
    await finish(store)
    sums = await conserved(store)
    assert await prune(store) == 7  # two webhooks, two events, two deliveries, one incident
    assert await left(store) == ([], [], [], [])
    assert await store.webhook("w-e1") is None
    assert await store.delivery("e1.splunk") is None
    assert await conserved(store) == sums


async def test_what_is_young_stays(store):
    await keep(store, an_event("e1"), an_event("e2", "resolve"))
    await finish(store)
    before = await left(store)
    assert await prune(store, webhooks=NOON, events=NOON, dead=NOON, delivery_ids=NOON) == 0
    assert await left(store) == before


@pytest.mark.parametrize("state", ["pending", "claimed", "parked"])
async def test_what_is_under_way_stays(store, state):
    await keep(store, an_event("e1", "notice"))
    if state != "pending":
        (delivery,) = await claim(store)
    if state == "parked":
        await store.record([tried(delivery, "parked")], now=NOON)
    assert await prune(store) == 0
    assert await store.webhook("w-e1") is not None
    assert (await store.delivery("e1.splunk"))["state"] == state


async def test_what_belongs_to_a_living_incident_stays(store):
    await keep(store, an_event("e1"))
    await finish(store)
    assert await prune(store) == 1  # its webhook
    assert await left(store) == (["e1"], ["e1"], ["e1.splunk"], [])


async def test_an_incident_stays_as_long_as_one_of_its_events(store):
    await keep(store, an_event("e1"))
    await keep(store, an_event("e2", "resolve"), at=NOON + 50 * DAY)
    await finish(store, at=NOON + 50 * DAY)
    await prune(store, events=NOON + DAY)
    assert await left(store) == (["e2"], ["e1"], ["e2.splunk"], [])
    await prune(store)
    assert await left(store) == ([], [], [], [])


async def test_dead_letters_have_an_age_of_their_own(store):
    await keep(store, an_event("e1", "notice"))
    await finish(store, "dead", at=NOON + DAY)
    await store.accept(an_intake(webhook=a_webhook("w2"), dead=[a_dead_item()]))
    assert await prune(store, dead=NOON) == 0
    assert await store.webhook("w2") is not None, "its dead item may still be replayed"
    await prune(store, events=NOON, webhooks=NOON, dead=NOON + 1)
    assert await left(store) == (["e1"], [], ["e1.splunk"], ["e1.splunk"])
    sums = await conserved(store)
    assert await prune(store, events=NOON, webhooks=NOON, dead=NOON + DAY + 1) == 1
    assert await left(store) == (["e1"], [], [], [])
    assert await prune(store) == 3
    assert await conserved(store) == sums


async def test_delivery_ids_are_remembered_longer_than_their_webhooks(store):
    await store.accept(an_intake(an_event("e1", "notice"), delivery_id="d"))
    await finish(store)
    assert await prune(store, delivery_ids=NOON) == 3
    again = await store.accept(an_intake(an_event("e2", "notice"), webhook=a_webhook("w2"), delivery_id="d"))
    assert (again.duplicate, [told.id for told in again.events]) == (True, ["e1"])
    assert await prune(store) == 1
    assert not (await store.accept(an_intake(an_event("e3"), webhook=a_webhook("w3"), delivery_id="d"))).duplicate


async def test_pruning_goes_in_bounded_steps_oldest_first(store):
    await keep(store, *(an_event(f"e{n}", "notice") for n in range(5)))
    await finish(store)
    assert await prune(store, limit=2) == 6
    assert (await left(store))[0] == ["e4", "e3", "e2"]
    assert await prune(store, limit=2) == 6
    assert await prune(store, limit=2) == 3
    assert await prune(store, limit=2) == 0


async def test_the_memory_and_history_of_what_went_are_gone_too(store, url):
    await keep(store, an_event("e1"), an_event("e2", "resolve"))
    (first,) = await claim(store)
    await store.record([tried(first, memory={"number": 7})], now=NOON)
    await claim(store)
    await finish(store, at=NOON + LEASE)
    await prune(store)
    await keep(store, an_event("e1"))
    (again,) = await claim(store)
    assert again.memory == {}
    await store.record([tried(again)], now=NOON)
    assert len((await store.delivery("e1.splunk"))["attempts"]) == 1
    await store.close()
    await open_store(url).close()
