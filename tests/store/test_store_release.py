"""Deliveries put back, buried with their sink, or asked for because their incident went quiet."""

from __future__ import annotations

import pytest
from store_examples import (
    LEASE,
    LINE,
    LOST,
    NOON,
    a_webhook,
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

from gateway.store import Result

pytestmark = pytest.mark.anyio


async def record(store, *results, now=NOON):
    return await store.record(results, now=now)


# --- putting back --------------------------------------------------------------------------------------------------------


async def spread(store, *states):
    """Deliveries e0, e1, … to splunk and datadog, each incident in one of these states."""
    await keep(store, *(an_event(f"e{n}", key=f"k{n}") for n in range(len(states))), sinks=("splunk", "datadog"))
    for sink in ("splunk", "datadog"):
        claimed = {delivery.event.id: delivery for delivery in await claim(store, sink)}
        results = [
            Result(delivery=claimed[f"e{n}"], attempt=None, state=state)
            if state == "cancelled"
            else tried(claimed[f"e{n}"], state, due_at=NOON + 60)
            for n, state in enumerate(states)
        ]
        await record(store, *results)


@pytest.mark.parametrize(
    "wish, released",
    [
        ({}, ["e0.datadog", "e0.splunk"]),
        ({"sink": "splunk"}, ["e0.splunk"]),
        ({"ids": ["e0.datadog", "e1.datadog", "nobody"]}, ["e0.datadog"]),
        ({"states": ("dead",)}, ["e1.datadog", "e1.splunk"]),
        ({"states": ("dead", "cancelled", "delivered"), "sink": "splunk"}, ["e1.splunk", "e2.splunk", "e3.splunk"]),
        ({"states": ("pending",), "ids": ["e4.splunk"]}, ["e4.splunk"]),
        ({"states": ("dead",), "sink": "splunk", "ids": ["e1.datadog"]}, []),
    ],
)
async def test_release_puts_back_what_is_named(store, wish, released):
    await spread(store, "parked", "dead", "delivered", "cancelled", "pending")
    assert await store.release(**wish, now=NOON + 30) == len(released)
    claimed = [delivery for sink in ("splunk", "datadog") for delivery in await claim(store, sink, now=NOON + 30)]
    assert sorted(ids(claimed)) == released
    assert {delivery.attempts for delivery in claimed} <= {1}
    await conserved(store)


async def test_a_claimed_delivery_cannot_be_released(store):
    with pytest.raises(ValueError, match=r"^a claimed delivery cannot be released; its lease will expire$"):
        await store.release(states=("dead", "claimed"), now=NOON)


async def test_past_tries_stay_on_record_and_numbers_go_on(store):
    await keep(store, an_event())
    for _ in range(2):
        (delivery,) = await claim(store)
        await record(store, tried(delivery, "pending", due_at=NOON))
    (delivery,) = await claim(store)
    await record(store, tried(delivery, "dead", verdict="out of attempts"))
    await store.release(ids=["e1.splunk"], states=("dead",), now=NOON)
    (delivery,) = await claim(store)
    assert (delivery.attempts, delivery.verdict) == (1, "")
    await record(store, tried(delivery))
    assert await history(store) == [(1, "retry", ""), (2, "retry", ""), (3, "dead", ""), (4, "delivered", "")]


async def test_a_delivered_one_is_told_again_from_its_first_step_and_a_dead_one_goes_on(store):
    await keep(store, an_event("e1"), an_event("e2", key="b"))
    first, second = await claim(store)
    await record(store, tried(first, progress={"open": {}}), tried(second, "dead", progress={"open": {}}))
    await store.release(states=("delivered", "dead"), now=NOON)
    assert [(delivery.id, delivery.progress) for delivery in await claim(store)] == [
        ("e1.splunk", {}),
        ("e2.splunk", {"open": {}}),
    ]


async def test_a_released_one_holds_its_line_anew(store):
    await keep(store, an_event("e1"), an_event("e2", "resolve"))
    (first,) = await claim(store)
    await record(store, tried(first, "parked"))
    await store.release(now=NOON + 2 * LINE)
    assert ids(await claim(store, now=NOON + 2 * LINE)) == ["e1.splunk"]


# --- at start and reload -------------------------------------------------------------------------------------------------


async def test_deliveries_whose_sink_is_gone_die_and_say_so(store):
    await spread(store, "parked", "pending", "delivered")
    await keep(store, an_event("e9", key="k9"), sinks=("splunk", "datadog"))
    assert await store.settle(["datadog", "other"], now=NOON + 1) == 3
    gone = await store.delivery("e9.splunk")
    assert (gone["state"], gone["verdict"]) == ("dead", "the sink splunk is gone; put its file back and replay")
    sums = await conserved(store)
    assert (sums["splunk"]["dead"], sums["splunk"]["delivered"], sums["datadog"]["dead"]) == (3, 1, 0)
    assert await store.settle(["datadog", "other"], now=NOON + 1) == 0


async def test_settling_brings_expired_claims_back(store):
    await keep(store, an_event())
    await claim(store)
    await store.settle(["splunk"], now=NOON + LEASE - 1)
    assert (await store.delivery("e1.splunk"))["state"] == "claimed"
    await store.settle(["splunk"], now=NOON + LEASE)
    assert (await store.delivery("e1.splunk"))["state"] == "pending"
    assert await history(store) == [(1, "retry", LOST)]


async def test_a_claimed_delivery_whose_sink_is_gone_cannot_come_back_to_life(store):
    await keep(store, an_event())
    (delivery,) = await claim(store)
    assert await store.settle([], now=NOON) == 1
    assert await record(store, tried(delivery, "pending")) == 0
    assert (await conserved(store))["splunk"]["dead"] == 1


# --- incidents that went quiet -------------------------------------------------------------------------------------------


async def test_quiet_incidents_come_with_the_event_that_triggered_them_last(store):
    def quietly(id, action, key, resolve_at):
        event = an_event(id, action, key=key)
        return store.accept(an_intake(event, webhook=a_webhook(id), decide=telling("splunk", resolve_at=resolve_at)))

    await quietly("a1", "trigger", "a", NOON + 10)
    await quietly("a2", "trigger", "a", NOON + 20)
    await quietly("b1", "trigger", "b", NOON + 10)
    await quietly("b2", "acknowledge", "b", None)
    await quietly("c1", "trigger", "c", NOON + 5)
    await quietly("c2", "resolve", "c", None)
    await quietly("d1", "trigger", "d", None)
    await quietly("f1", "trigger", "f", NOON + 15)
    await quietly("f2", "acknowledge", "f", NOON + 15)
    assert [(incident.id, event.id) for incident, event in await store.quiet(now=NOON + 15, limit=5)] == [("f1", "f1")]
    found = await store.quiet(now=NOON + 20, limit=5)
    assert [(incident.id, incident.triggers, event) for incident, event in found] == [
        ("f1", 1, an_event("f1", key="f")),
        ("a1", 2, an_event("a2", key="a")),
    ]
    assert len(await store.quiet(now=NOON + 20, limit=1)) == 1
