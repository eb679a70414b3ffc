"""What a sink is told again while its incident is open, because it forgets what it is not told of."""

from __future__ import annotations

import pytest
from store_examples import NOON, an_event, claim, conserved, history, ids, keep, tried

pytestmark = pytest.mark.anyio
EVERY = {"splunk": 300.0}


async def told(store, *, at=NOON, sink="splunk", again=300.0, state="delivered"):
    """What is due is told, and is to be told again after so many seconds."""
    claimed = await claim(store, sink, now=at)
    await store.record([tried(each, state, at=at, again=again) for each in claimed], now=at)
    return ids(claimed)


async def repeat(store, at, every=EVERY, limit=10):
    return await store.repeat(every, now=at, limit=limit)


async def test_an_open_incident_is_told_again_when_its_time_has_come_and_again_after_that(store):
    await keep(store, an_event())
    await told(store)
    assert await repeat(store, NOON + 299.9) == frozenset()
    assert await claim(store, now=NOON + 299.9) == []
    assert await repeat(store, NOON + 300) == {"splunk"}
    assert (await conserved(store))["splunk"]["pending"] == 1
    (again,) = await claim(store, now=NOON + 300)
    assert (again.id, again.event.id, again.again, again.attempts, again.progress) == ("e1.splunk", "e1", True, 1, {})
    await store.record([tried(again, at=NOON + 300, again=300.0)], now=NOON + 300)
    assert (await conserved(store))["splunk"] == {
        "accepted": 1, "delivered": 1, "filtered": 0, "cancelled": 0, "dead": 0, "pending": 0, "claimed": 0, "parked": 0,
    }  # fmt: skip
    assert await repeat(store, NOON + 599) == frozenset()
    assert await repeat(store, NOON + 600) == {"splunk"}


async def test_of_the_tries_those_of_the_last_telling_stay_on_record(store):
    await keep(store, an_event())
    await told(store)
    await repeat(store, NOON + 300)
    await told(store, at=NOON + 300)
    assert await history(store) == [(2, "delivered", "")]


async def test_what_is_not_to_be_told_again_is_not(store):
    await keep(store, an_event())
    await told(store, again=0.0)
    assert await repeat(store, NOON + 10_000) == frozenset()


@pytest.mark.parametrize("action, repeated", [("acknowledge", {"splunk"}), ("resolve", frozenset())])
async def test_an_acknowledged_incident_is_told_again_and_a_resolved_one_is_not(store, action, repeated):
    await keep(store, an_event())
    await told(store)
    await keep(store, an_event("e2", action))
    assert await told(store, at=NOON + 1, again=0.0) == ["e2.splunk"]
    assert await repeat(store, NOON + 300) == repeated
    assert ids(await claim(store, now=NOON + 300)) == ["e1.splunk"] * len(repeated)


async def test_the_trigger_that_was_told_last_is_told_again(store):
    await keep(store, an_event())
    await told(store)
    await keep(store, an_event("e2"))
    await told(store, at=NOON + 100)
    assert await repeat(store, NOON + 300) == frozenset()
    assert await repeat(store, NOON + 400) == {"splunk"}
    assert ids(await claim(store, now=NOON + 400)) == ["e2.splunk"]


async def test_an_older_trigger_that_arrives_late_is_not_the_one_that_is_told_again(store):
    await keep(store, an_event())
    await told(store, state="pending", again=0.0)
    await keep(store, an_event("e2"))
    late, newer = await claim(store, now=NOON + 901)
    await store.record([tried(newer, at=NOON + 902, again=300.0)], now=NOON + 902)
    await store.record([tried(late, at=NOON + 932, again=300.0)], now=NOON + 932)
    assert await repeat(store, NOON + 1232) == {"splunk"}
    assert ids(await claim(store, now=NOON + 1232)) == ["e2.splunk"]


@pytest.mark.parametrize("state", ["pending", "parked"])
async def test_nothing_is_told_again_while_something_newer_of_its_line_is_unfinished(store, state):
    await keep(store, an_event())
    await told(store)
    await keep(store, an_event("e2", "acknowledge"))
    await told(store, at=NOON + 1, state=state, again=0.0)
    assert await repeat(store, NOON + 300) == frozenset()
    await store.release(states=("pending", "parked"), now=NOON + 301)
    await told(store, at=NOON + 301, again=0.0)
    assert await repeat(store, NOON + 302) == frozenset()  # it is looked at again after a while
    assert await repeat(store, NOON + 400) == {"splunk"}


async def test_a_sink_that_repeats_nothing_for_now_is_told_nothing_again_until_it_does(store):
    await keep(store, an_event())
    await told(store)
    assert await repeat(store, NOON + 300, every={"datadog": 60.0}) == frozenset()
    assert await repeat(store, NOON + 1000, every={}) == frozenset()
    await store.begin_to_repeat(EVERY, now=NOON + 1000)
    assert await repeat(store, NOON + 1299) == frozenset()
    assert await repeat(store, NOON + 1300) == {"splunk"}


async def test_a_clock_that_was_set_back_keeps_nobody_waiting(store):
    await keep(store, an_event())
    await told(store, at=NOON + 10_000)
    assert await repeat(store, NOON + 1) == {"splunk"}


async def test_each_sink_goes_by_its_own_time_and_no_look_takes_more_than_its_limit(store):
    await keep(store, an_event(), an_event("e2", key="db-2"), sinks=("splunk", "datadog"))
    await told(store)
    await told(store, sink="datadog", again=60.0)
    every = EVERY | {"datadog": 60.0}
    assert await repeat(store, NOON + 60, every, limit=1) == {"datadog"}
    assert len(await claim(store, "datadog", now=NOON + 60)) == 1
    assert await repeat(store, NOON + 300, every) == {"splunk", "datadog"}
    await conserved(store)


async def test_what_died_when_it_was_told_again_is_a_dead_letter_until_it_is_told_again(store):
    await keep(store, an_event())
    await told(store)
    await repeat(store, NOON + 300)
    await told(store, at=NOON + 300, state="dead")
    assert ((await conserved(store))["splunk"]["dead"], await repeat(store, NOON + 599)) == (1, frozenset())
    assert await repeat(store, NOON + 600) == {"splunk"}
    sums = (await conserved(store))["splunk"]
    assert (sums["dead"], sums["delivered"], sums["pending"]) == (0, 0, 1)
    await told(store, at=NOON + 600)
    sums = (await conserved(store))["splunk"]
    assert (sums["dead"], sums["delivered"], sums["pending"]) == (0, 1, 0)


async def test_what_died_and_never_arrived_is_not_told_again(store):
    await keep(store, an_event())
    await told(store, state="dead", again=0.0)
    assert await repeat(store, NOON + 10_000) == frozenset()


async def test_what_parked_when_it_was_told_again_is_told_no_more_until_it_arrives(store):
    await keep(store, an_event())
    await told(store)
    await repeat(store, NOON + 300)
    await told(store, at=NOON + 300, state="parked")
    assert await repeat(store, NOON + 10_000) == frozenset()
    await store.release(now=NOON + 10_000)
    await told(store, at=NOON + 10_000)
    assert await repeat(store, NOON + 10_300) == {"splunk"}


async def test_what_a_sink_was_told_before_it_began_to_repeat_is_told_again_from_then_on(store):
    await keep(store, an_event())
    await told(store, again=0.0)
    await keep(store, an_event("e2"), an_event("e3", "acknowledge"), an_event("e4", key="db-2"), an_event("e5", key="db-3"))
    assert await told(store, again=0.0) == ["e2.splunk", "e4.splunk", "e5.splunk"]
    assert await told(store, again=0.0) == ["e3.splunk"]
    await keep(store, an_event("e6", "resolve", key="db-2"), an_event("e7", key="db-3"), an_event("e8", key="db-4"))
    assert await told(store, again=0.0, state="parked") == ["e6.splunk", "e7.splunk", "e8.splunk"]
    for at in (NOON + 10, NOON + 20):
        await store.begin_to_repeat(EVERY, now=at)
    assert await repeat(store, NOON + 309.9) == frozenset()
    assert await repeat(store, NOON + 310) == {"splunk"}
    assert ids(await claim(store, now=NOON + 310)) == ["e2.splunk"]  # of db-3 something newer is on its way


async def test_what_is_told_again_already_stays_as_it_is_when_its_sink_begins_anew(store):
    await keep(store, an_event())
    await told(store)
    await store.begin_to_repeat(EVERY, now=NOON + 200)
    assert await repeat(store, NOON + 300) == {"splunk"}
    await store.begin_to_repeat(EVERY, now=NOON + 300)
    assert await repeat(store, NOON + 10_000) == frozenset()  # it is on its way
    await conserved(store)


async def test_a_delivery_that_was_told_again_by_hand_is_no_repeat(store):
    await keep(store, an_event())
    await told(store)
    await store.release(ids=["e1.splunk"], states=("delivered",), now=NOON + 1)
    (by_hand,) = await claim(store, now=NOON + 1)
    assert by_hand.again is False


async def test_the_incident_s_end_is_told_after_the_repeat_that_is_under_way(store):
    await keep(store, an_event())
    await told(store)
    await repeat(store, NOON + 300)
    (again,) = await claim(store, now=NOON + 300)
    await keep(store, an_event("e2", "resolve"), at=NOON + 301)
    assert await claim(store, now=NOON + 302) == []
    await store.record([tried(again, at=NOON + 303, again=300.0)], now=NOON + 303)
    assert ids(await claim(store, now=NOON + 303)) == ["e2.splunk"]
