"""Deliveries: claimed under a lease and a fence, in the order of their incident, and written down as they went."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace
from store_examples import (
    LEASE,
    LINE,
    LOST,
    NOON,
    an_event,
    an_intake,
    claim,
    conserved,
    history,
    ids,
    keep,
    telling,
    tried,
)

from gateway.errors import StoreError
from gateway.model import Attempt, Delivery
from gateway.store import Result, Steps, claimed_next, open_store

pytestmark = pytest.mark.anyio


def lost(number, at=NOON):
    return {
        "number": number,
        "at": at,
        "seconds": 0.0,
        "verdict": "retry",
        "status": None,
        "excerpt": "",
        "error": LOST,
        "batch": 1,
    }


async def record(store, *results, now=NOON):
    return await store.record(results, now=now)


# --- claiming ------------------------------------------------------------------------------------------------------------


async def test_a_claim_brings_all_that_a_sink_needs(store):
    event = an_event(labels={"team": "db"}, details={"deep": [1, 2.5, None]})
    await store.accept(an_intake(event))
    (delivery,) = await claim(store)
    assert delivery == Delivery(
        id="e1.splunk",
        seq=delivery.seq,
        sink="splunk",
        event=event,
        incident=telling("splunk")(None, event).incident,
        state="claimed",
        attempts=1,
        due_at=NOON,
    )


async def test_claims_take_what_is_due_oldest_first_and_no_more_than_asked(store):
    await keep(store, *(an_event(f"e{n}", key=f"k{n}") for n in range(5)))
    await keep(store, an_event("later", key="later"), at=NOON + 60)
    assert ids(await claim(store, limit=2)) == ["e0.splunk", "e1.splunk"]
    assert ids(await claim(store)) == ["e2.splunk", "e3.splunk", "e4.splunk"]
    assert await claim(store) == []
    assert ids(await claim(store, now=NOON + LEASE - 1)) == []
    assert ids(await store.claim("splunk", 10, now=NOON + 60, lease=LEASE, line=LINE))[-1:] == ["later.splunk"]


async def test_a_sink_gets_its_own_deliveries_only(store):
    await keep(store, an_event(), sinks=("splunk", "datadog"))
    assert ids(await claim(store, "datadog")) == ["e1.datadog"]
    assert ids(await claim(store, "elastic")) == []


async def test_two_claims_at_once_never_take_the_same(store):
    await keep(store, *(an_event(f"e{n}", key=f"k{n}") for n in range(30)))
    taken = await asyncio.gather(*(claim(store, limit=10) for _ in range(5)))
    assert sorted(id for deliveries in taken for id in ids(deliveries)) == sorted(f"e{n}.splunk" for n in range(30))


# --- the order of an incident --------------------------------------------------------------------------------------------


async def test_a_resolve_never_overtakes_its_trigger(store):
    await keep(store, an_event("e1"), an_event("e2", "resolve"), an_event("other", key="other"))
    first, other = await claim(store)
    assert ids([first, other]) == ["e1.splunk", "other.splunk"]
    assert await claim(store) == []
    await record(store, tried(first))
    assert ids(await claim(store)) == ["e2.splunk"]


async def test_each_sink_has_a_line_of_its_own(store):
    await keep(store, an_event("e1"), an_event("e2", "resolve"), sinks=("splunk", "datadog"))
    (first,) = await claim(store, "datadog")
    await record(store, tried(first))
    assert ids(await claim(store, "datadog")) == ["e2.datadog"]
    assert ids(await claim(store, "splunk")) == ["e1.splunk"]


async def test_a_notice_waits_for_nobody(store):
    await keep(store, an_event("e1", "notice"), an_event("e2", "notice"))
    assert ids(await claim(store)) == ["e1.splunk", "e2.splunk"]


async def test_a_dead_or_cancelled_delivery_is_finished_and_lets_the_next_go(store):
    await keep(store, an_event("e1"), an_event("e2"), an_event("e3"))
    (first,) = await claim(store)
    await record(store, tried(first, "dead", verdict="400"))
    (second,) = await claim(store)
    await record(store, Result(delivery=second, attempt=None, state="cancelled", verdict="no step applies"))
    assert ids(await claim(store)) == ["e3.splunk"]


@pytest.mark.parametrize("state", ["pending", "parked"])
async def test_one_that_was_tried_holds_its_line_for_fifteen_minutes(store, state):
    await keep(store, an_event("e1"), an_event("e2", "resolve"))
    (first,) = await claim(store)
    await record(store, tried(first, state, due_at=NOON + 10 * LINE), now=NOON + 1)
    assert await claim(store, now=NOON + LINE - 1) == []
    assert ids(await claim(store, now=NOON + LINE)) == ["e2.splunk"]


async def test_later_tries_do_not_make_the_line_wait_longer(store):
    await keep(store, an_event("e1"), an_event("e2", "resolve"))
    for at in (NOON, NOON + 500):
        (first,) = await claim(store, now=at)
        await record(store, tried(first, "pending", due_at=at + 500), now=at)
    (first, second) = await claim(store, now=NOON + 1000)
    assert ids([first, second]) == ["e2.splunk", "e1.splunk"]


async def test_one_that_was_never_tried_holds_its_line_for_as_long_as_it_waits(store):
    await keep(store, an_event("e1"), an_event("e2", "resolve"))
    (first,) = await claim(store)
    await record(store, Result(delivery=first, attempt=None, state="pending", due_at=NOON + 10 * LINE))
    assert await claim(store, now=NOON + 9 * LINE) == []
    assert ids(await claim(store, now=NOON + 10 * LINE)) == ["e1.splunk"]


async def test_one_that_was_parked_unsent_holds_its_line_from_then_on(store):
    await keep(store, an_event("e1"), an_event("e2", "resolve"))
    (first,) = await claim(store, now=NOON + 100)
    await record(store, Result(delivery=first, attempt=None, state="parked"), now=NOON + 100)
    assert await claim(store, now=NOON + 99 + LINE) == []
    assert ids(await claim(store, now=NOON + 100 + LINE)) == ["e2.splunk"]


# --- leases and fences ---------------------------------------------------------------------------------------------------


async def test_an_expired_lease_is_claimed_again_and_the_lost_try_stands_on_record(store):
    await keep(store, an_event())
    await claim(store)
    assert await claim(store, now=NOON + LEASE - 1) == []
    (again,) = await claim(store, now=NOON + LEASE)
    assert (again.id, again.attempts) == ("e1.splunk", 2)
    assert (await store.delivery("e1.splunk"))["attempts"] == [lost(1)]


async def test_a_lease_ends_by_the_clock_that_nobody_sets(store):
    await keep(store, an_event())
    assert len(await store.claim("splunk", 9, now=NOON, ticks=5.0, lease=LEASE, line=LINE)) == 1
    day_after = NOON + 86_400
    assert await store.claim("splunk", 9, now=day_after, ticks=6.0, lease=LEASE, line=LINE) == []
    assert await store.settle(["splunk"], now=day_after, ticks=6.0) == 0
    assert (await store.delivery("e1.splunk"))["state"] == "claimed"
    assert await store.next_due("splunk", now=day_after, ticks=6.0) == day_after + LEASE - 1.0
    await store.settle(["splunk"], now=NOON, ticks=5.0 + LEASE)
    assert (await store.delivery("e1.splunk"))["state"] == "pending"


async def test_after_the_clock_was_set_back_nothing_waits_longer_than_it_may(store):
    tomorrow = NOON + 86_400
    await keep(store, *(an_event(f"e{n}", key=f"k{n}") for n in range(4)), at=tomorrow)
    tried_one, parked, claimed = await claim(store, limit=3, now=tomorrow)
    await record(store, tried(tried_one, "pending", due_at=tomorrow + 60), tried(parked, "parked"), now=tomorrow)
    assert await store.hasten("splunk", untried=5.0, longest=30.0, now=NOON) == 3
    assert await store.hasten("splunk", untried=5.0, longest=30.0, now=NOON) == 0
    assert await record(store, tried(claimed), now=NOON + 1) == 1
    assert ids(await claim(store, now=NOON + 4)) == []
    (untried,), (again,) = await claim(store, now=NOON + 5), await claim(store, now=NOON + 30)
    assert ids([untried, again]) == ["e3.splunk", "e0.splunk"]
    await record(store, tried(untried), tried(again))
    await keep(store, an_event("later", key="k1"))
    assert ids(await claim(store, now=NOON + LINE - 1)) == []
    assert ids(await claim(store, now=NOON + LINE + 30)) == ["later.splunk"]


async def test_where_the_clock_is_right_nothing_is_hastened(store):
    await keep(store, *(an_event(f"e{n}", key=f"k{n}") for n in range(2)))
    (delivery,) = await claim(store, limit=1)
    await record(store, tried(delivery, "pending", due_at=NOON + 30))
    assert await store.hasten("splunk", untried=0.0, longest=30.0, now=NOON) == 0


async def test_a_result_whose_lease_was_given_to_another_changes_nothing(store):
    await keep(store, an_event())
    (stale,) = await claim(store)
    (fresh,) = await claim(store, now=NOON + LEASE)
    assert await record(store, tried(stale, "dead", verdict="stale")) == 0
    assert (await store.delivery("e1.splunk"))["state"] == "claimed"
    assert await record(store, tried(fresh)) == 1
    assert await record(store, tried(fresh, "dead")) == 0
    assert (await conserved(store))["splunk"]["delivered"] == 1


async def test_a_release_does_not_let_a_stale_result_through(store):
    await keep(store, an_event())
    (stale,) = await claim(store)
    (fresh,) = await claim(store, now=NOON + LEASE)
    await record(store, tried(fresh, "parked"), now=NOON + 40)
    await store.release(now=NOON + 50)
    (again,) = await claim(store, now=NOON + 50)
    assert again.attempts == stale.attempts
    assert await record(store, tried(stale, "dead"), now=NOON + 60) == 0
    assert await record(store, tried(again), now=NOON + 60) == 1


async def test_results_of_one_claim_given_twice_count_once(store):
    await keep(store, an_event())
    (delivery,) = await claim(store)
    assert await record(store, tried(delivery), tried(delivery, "dead")) == 1
    assert (await conserved(store))["splunk"] == {
        "accepted": 1,
        "delivered": 1,
        "filtered": 0,
        "cancelled": 0,
        "dead": 0,
        "pending": 0,
        "claimed": 0,
        "parked": 0,
    }


async def test_records_that_share_a_commit_are_counted_each_for_its_caller(store):
    await keep(store, *(an_event(f"e{n}", key=f"k{n}") for n in range(6)))
    claimed = await claim(store)
    before = store.commits
    written = await asyncio.gather(
        record(store, *map(tried, claimed[:3])), record(store, *map(tried, claimed[2:5])), record(store, tried(claimed[5]))
    )
    assert (written, store.commits - before) == ([3, 2, 1], 1)


@pytest.mark.parametrize("stale_first", [True, False])
async def test_a_stale_result_that_shares_a_commit_with_the_one_that_counts_takes_nothing_from_it(store, stale_first):
    await keep(store, an_event())
    (stale,) = await claim(store)
    (fresh,) = await claim(store, now=NOON + LEASE)
    before = store.commits
    results = [tried(stale, "dead", verdict="stale"), tried(fresh)]
    written = await asyncio.gather(*(record(store, each) for each in (results if stale_first else results[::-1])))
    assert (written, store.commits - before) == ([0, 1] if stale_first else [1, 0], 1)
    delivery = await store.delivery("e1.splunk")
    assert (delivery["state"], [(each["number"], each["verdict"]) for each in delivery["attempts"]]) == (
        "delivered",
        [(1, "retry"), (2, "delivered")],
    )
    assert (await conserved(store))["splunk"]["delivered"] == 1


async def test_claims_do_not_survive_the_process(store, url):
    await keep(store, an_event())
    await claim(store)
    await store.close()
    again = open_store(url)
    (delivery,) = await claim(again)
    assert (delivery.attempts, (await again.delivery("e1.splunk"))["attempts"]) == (2, [lost(1)])
    await again.close()


# --- what is written down ------------------------------------------------------------------------------------------------


async def test_a_try_is_written_down_whole(store):
    await keep(store, an_event())
    (delivery,) = await claim(store)
    attempt = Attempt(number=1, at=NOON + 1, seconds=0.5, verdict="retry", status=503, excerpt="b" * 3000, error="busy", batch=7)
    result = Result(delivery=delivery, attempt=attempt, state="pending", due_at=NOON + 5, verdict="503: busy")
    assert await record(store, result, now=NOON + 2) == 1
    assert await store.delivery("e1.splunk") == {
        "id": "e1.splunk",
        "sink": "splunk",
        "state": "pending",
        "tries": 1,
        "due_at": NOON + 5,
        "held_since": NOON,
        "ended_at": None,
        "verdict": "503: busy",
        "event_id": "e1",
        "incident_id": "e1",
        "provider": "prometheus",
        "action": "trigger",
        "severity": "critical",
        "summary": "db-1 is down",
        "progress": {},
        "attempts": [
            {
                "number": 1,
                "at": NOON + 1,
                "seconds": 0.5,
                "verdict": "retry",
                "status": 503,
                "excerpt": "b" * 2000,
                "error": "busy",
                "batch": 7,
            }
        ],
    }


async def test_the_next_try_knows_the_progress_and_the_verdict(store):
    await keep(store, an_event())
    (delivery,) = await claim(store)
    await record(store, tried(delivery, "pending", due_at=NOON + 5, progress={"open": {"number": 7}}, verdict="503"))
    assert await claim(store, now=NOON + 4) == []
    (again,) = await claim(store, now=NOON + 5)
    assert again == replace(delivery, attempts=2, due_at=NOON + 5, progress={"open": {"number": 7}}, verdict="503")
    await record(store, tried(again, "pending", due_at=NOON + 9))
    (last,) = await claim(store, now=NOON + 9)
    assert last.progress == {"open": {"number": 7}}


@pytest.mark.parametrize("action", ["trigger", "notice"])
@pytest.mark.parametrize("sent", [True, False])
@pytest.mark.parametrize("more", [{}, {"progress": {"open": True}, "memory": {"number": 7}}])
async def test_a_result_says_what_is_claimed_next(store, action, sent, more):
    await keep(store, an_event(action=action))
    (first,) = await claim(store)
    result = tried(first, "pending", due_at=NOON + 5, progress={"find": True}, memory={"found": 1}, verdict="503")
    await record(store, result)
    (second,) = await claim(store, now=NOON + 5)
    assert second == claimed_next(result)
    result = tried(second, "pending", due_at=NOON + 9, verdict="not yet", **more)
    result = result if sent else replace(result, attempt=None)
    await record(store, result)
    assert await claim(store, now=NOON + 9) == [claimed_next(result)]


async def test_memory_is_kept_for_the_incident_and_the_sink(store):
    await keep(store, an_event("e1"), an_event("e2", "resolve"), sinks=("splunk", "datadog"))
    (first,) = await claim(store)
    await record(store, tried(first, memory={"number": 7}))
    (second,) = await claim(store)
    assert second.memory == {"number": 7}
    await record(store, tried(second, "pending", due_at=NOON + 1, memory={"number": 8}))
    assert [delivery.memory for delivery in await claim(store, now=NOON + 1)] == [{"number": 8}]
    assert [delivery.memory for delivery in await claim(store, "datadog")] == [{}]


async def test_a_notice_has_no_memory(store):
    await keep(store, an_event("e1", "notice"), an_event("e2", "notice"))
    first, second = await claim(store)
    await record(store, tried(first, memory={"number": 7}))
    await record(store, Result(delivery=second, attempt=None, state="pending", due_at=NOON))
    assert [delivery.memory for delivery in await claim(store)] == [{}]


async def test_a_claim_that_sent_nothing_is_not_counted_as_a_try(store):
    await keep(store, an_event())
    for _ in range(3):
        (delivery,) = await claim(store)
        assert delivery.attempts == 1
        await record(store, Result(delivery=delivery, attempt=None, state="pending", due_at=NOON, verdict="the breaker is open"))
    assert await history(store) == []


async def test_results_must_leave_the_claim(store):
    await keep(store, an_event())
    (delivery,) = await claim(store)
    with pytest.raises(StoreError, match=r"^the database refused \(CHECK constraint failed: "):
        await record(store, Result(delivery=delivery, attempt=None, state="claimed"))


# --- when to look again --------------------------------------------------------------------------------------------------


async def test_nothing_owed_is_never_due(store):
    await keep(store, an_event())
    (delivery,) = await claim(store)
    await record(store, tried(delivery, "parked"))
    assert await store.next_due("splunk", now=NOON) is None
    assert await store.next_due("unknown", now=NOON) is None


async def test_the_next_due_time_is_the_earliest_of_waiting_leased_and_held(store):
    await keep(store, an_event("e1"), an_event("e2", "resolve"))
    assert await store.next_due("splunk", now=NOON) == NOON
    (first,) = await claim(store)
    assert await store.next_due("splunk", now=NOON) == NOON + LEASE
    await record(store, tried(first, "pending", due_at=NOON + 60))
    assert await store.next_due("splunk", now=NOON) == NOON + 60
    (first,) = await claim(store, now=NOON + 60)
    await record(store, tried(first, "pending", due_at=NOON + 5000))
    assert await store.next_due("splunk", now=NOON + 60) == NOON + LINE
    assert ids(await claim(store, now=NOON + LINE)) == ["e2.splunk"]


async def test_what_was_asked_for_already_and_waits_behind_another_is_no_reason_to_ask_again(store):
    await keep(store, an_event("e1"), an_event("e2"))
    (head,) = await claim(store)
    assert await store.next_due("splunk", now=NOON, since=NOON) == NOON + LEASE
    await record(store, tried(head, "pending", due_at=NOON + 7))
    assert await store.next_due("splunk", now=NOON, since=NOON) == NOON + 7
    await keep(store, an_event("e3", key="other"), at=NOON + 1)
    assert await store.next_due("splunk", now=NOON + 2, since=NOON) == NOON + 1
    assert await store.next_due("splunk", now=NOON + 2, since=NOON + 1) == NOON + 7


async def test_one_behind_a_parked_one_is_due_when_its_line_goes_on(store):
    await keep(store, an_event("e1"), an_event("e2", "resolve"))
    (first,) = await claim(store)
    await record(store, tried(first, "parked"))
    assert await store.next_due("splunk", now=NOON + 1) == NOON + LINE
    assert await store.next_due("splunk", now=NOON + LINE) == NOON


async def test_how_far_a_delivery_has_come_is_kept_before_its_try_ends(store, url):
    await keep(store, an_event())
    (held,) = await claim(store)
    assert await store.note(Steps(delivery=held, progress={"open": True}, memory={"number": 7})) is True
    await store.close()
    again = open_store(url)  # as after a kill: the claim is void, and what was noted stands
    (anew,) = await claim(again)
    await again.close()
    assert (anew.progress, anew.memory, anew.attempts) == ({"open": True}, {"number": 7}, 2)


async def test_who_no_longer_holds_the_claim_notes_nothing(store):
    await keep(store, an_event())
    (held,) = await claim(store)
    (other,) = await claim(store, now=NOON + LEASE + 1)
    assert await store.note(Steps(delivery=held, progress={"open": True}, memory={"number": 7})) is False
    assert await store.record([tried(other, at=NOON + LEASE + 2)], now=NOON + LEASE + 2) == 1
    assert (await store.delivery("e1.splunk"))["progress"] == {}
    assert await store.note(Steps(delivery=other, progress={"open": True}, memory={})) is False


async def test_a_new_life_of_an_incident_waits_for_the_end_of_the_one_before(store):
    await keep(store, an_event("e1"), an_event("e2", "resolve"), an_event("e3"))
    order = []
    for step in range(3):
        (delivery,) = await claim(store, now=NOON + step)
        order.append(delivery.event.id)
        if step == 1:  # the resolve is to be tried again
            await store.record([tried(delivery, "pending", due_at=NOON + 1.5)], now=NOON + step)
            assert await claim(store, now=NOON + 1.2) == []
            (delivery,) = await claim(store, now=NOON + 1.6)
            assert delivery.event.id == "e2"
        await store.record([tried(delivery)], now=NOON + step + 0.7)
    assert order == ["e1", "e2", "e3"]
