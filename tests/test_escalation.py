"""`escalate_after`: a sink that is told only of what is still open by then, delivery by delivery and as a story on a real store."""

from datetime import UTC, datetime

import anyio
import httpx2
import pytest
from msgspec.structs import replace
from trips import DOOR, NOW, Receiver, answering, brought, delivery, sink

from gateway.config import Config
from gateway.config.schema import Settings
from gateway.model import Attempt, Event, Webhook
from gateway.outbound import Client
from gateway.pipeline import Pipeline
from gateway.stages.lifecycle import Lifecycle, advance
from gateway.store import Intake, Result, open_store
from gateway.values import Secrets

WAITING = DOOR + "escalate_after: 15m\n"
LATER = "2026-03-12T07:45:00.000Z"  # fifteen minutes before NOW
TOLD = {"escalated": True}


@pytest.mark.parametrize(
    "one, state, verdict, due_at, memory",
    [
        (delivery(), "pending", "escalates after 900 s, if the incident is still open then", NOW + 900.0, None),
        (delivery(received_at=LATER), "delivered", "answered 200", 0.0, TOLD),
        (delivery(received_at=LATER, memory={"ts": "1"}), "delivered", "answered 200", 0.0, {"ts": "1"} | TOLD),
        (delivery(memory=TOLD), "delivered", "answered 200", 0.0, TOLD),
        (delivery(received_at="2026-03-13T08:00:00.000Z"), "delivered", "answered 200", 0.0, TOLD),  # the clock was set back
        (
            delivery(received_at=LATER, status="acknowledged"),
            "cancelled",
            "the incident is acknowledged; only an open one is escalated",
            0.0,
            None,
        ),
        (delivery(status="resolved"), "cancelled", "the incident is resolved; only an open one is escalated", 0.0, None),
        (delivery(action="resolve", status="resolved", memory=TOLD), "delivered", "answered 200", 0.0, None),
        (delivery(action="acknowledge", status="acknowledged", memory=TOLD), "delivered", "answered 200", 0.0, None),
        (
            delivery(action="resolve", status="resolved"),
            "cancelled",
            "its incident was never told to this sink",
            0.0,
            None,
        ),
        (delivery(action="notice"), "delivered", "answered 200", 0.0, None),
    ],
)
def test_a_sink_that_escalates_is_told_only_of_what_is_still_open_by_then(one, state, verdict, due_at, memory):
    receiver = Receiver(answering(200))
    (result,) = brought(WAITING, [one], receiver)
    sent = state == "delivered"
    attempt = Attempt(number=1, at=NOW, seconds=0.0, verdict="delivered", status=200) if sent else None
    assert result == Result(delivery=one, attempt=attempt, state=state, due_at=due_at, verdict=verdict, memory=memory)
    assert len(receiver.requests) == sent


def test_a_trigger_that_was_tried_in_vain_counts_as_escalated_as_it_may_have_arrived():
    (result,) = brought(WAITING, [delivery(received_at=LATER)], Receiver(answering(503)))
    assert (result.state, result.memory) == ("pending", TOLD)


def test_a_trigger_whose_try_was_lost_may_have_arrived_so_its_end_is_told_though_it_is_not_sent_again():
    lost = replace(delivery(received_at=LATER, status="resolved"), attempts=2)
    (result,) = brought(WAITING, [lost], Receiver(answering(200)))
    assert (result.state, result.attempt, result.memory) == ("cancelled", None, TOLD)
    (end,) = brought(WAITING, [delivery(2, "resolve", status="resolved", memory=TOLD)], Receiver(answering(200)))
    assert end.state == "delivered"


FOLDED = DOOR + "fold: true\n"


@pytest.mark.parametrize(
    "one, state, verdict, memory",
    [
        (delivery(), "delivered", "answered 200", TOLD),
        (delivery(status="acknowledged"), "delivered", "answered 200", TOLD),
        (delivery(status="resolved"), "cancelled", "its incident was resolved before it was told", None),
        (delivery(status="resolved", memory=TOLD), "delivered", "answered 200", TOLD),  # one that got worse
        (delivery(action="resolve", status="resolved"), "cancelled", "its incident was never told to this sink", None),
        (delivery(action="resolve", status="resolved", memory=TOLD), "delivered", "answered 200", None),
        (delivery(action="acknowledge", status="resolved"), "cancelled", "its incident was never told to this sink", None),
        (delivery(action="notice"), "delivered", "answered 200", None),
    ],
)
def test_what_is_over_before_its_turn_comes_is_folded(one, state, verdict, memory):
    receiver = Receiver(answering(200))
    (result,) = brought(FOLDED, [one], receiver)
    assert (result.state, result.verdict, result.memory) == (state, verdict, memory)
    assert len(receiver.requests) == (state == "delivered")


def test_a_trigger_that_may_have_arrived_is_not_sent_again_when_it_is_over_and_its_end_is_told():
    (result,) = brought(FOLDED, [replace(delivery(status="resolved"), attempts=2)], Receiver(answering(200)))
    assert (result.state, result.attempt, result.memory) == ("cancelled", None, TOLD)


HALF_SENT = {"send": True}


@pytest.mark.parametrize("how", ["fold: true\n", "escalate_after: 15m\n"])
def test_the_end_of_what_was_half_sent_is_told(how):
    steps = (
        "title: T\nsteps:\n"
        "  - { name: send, request: { url: https://sink.test/in } }\n"
        "  - name: ask\n    request: { url: https://sink.test/ask }\n"
        "    response: { rules: [ { when: '{{ true }}', then: wait } ] }\n"
    )
    (first,) = brought(steps + how, [delivery(received_at=LATER)], Receiver(answering(200)))
    assert (first.state, first.attempt, first.memory) == ("pending", None, TOLD)
    over = delivery(received_at=LATER, status="resolved", progress=HALF_SENT)
    (second,) = brought(steps + how, [over], Receiver(answering(200)))
    assert (second.state, second.memory) == ("cancelled", TOLD)


MINUTE = 60.0


def told(tmp_path, story):
    """
    What a sink that waits fifteen minutes hears of one incident: `story` says at which minute which action comes with which
    severity. The worker's claims are made here, whenever the store says that something is due; the states are those at the end.
    """
    receiver, now = Receiver(answering(200)), [NOW]
    config = Config(settings=Settings(), secrets=Secrets({}), providers={}, sinks={"s": sink(WAITING)})

    async def go():
        store = open_store(f"sqlite:///{tmp_path}/gateway.db")
        pipeline = Pipeline(config, store, Client(httpx2.MockTransport(receiver)), lambda: now[0])

        async def deliver_until(end):
            while (due := await store.next_due("s", now=now[0])) is not None and due <= end:
                now[0] = max(now[0], due)
                await pipeline.deliver("s", await store.claim("s", 1, now=now[0], lease=30.0, line=900.0))
            now[0] = max(now[0], end)

        for number, (minute, action, severity) in enumerate(story, 1):
            await deliver_until(NOW + minute * MINUTE)
            await store.accept(intake(f"e{number}", action, severity, NOW + minute * MINUTE))
        await deliver_until(NOW + 1_000 * MINUTE)
        found = [(each["id"], each["state"]) for each in (await store.deliveries({})).items]
        counts = (await store.conservation())["s"]
        assert counts["accepted"] == sum(counts.values()) - counts["accepted"]
        await store.close()
        return sorted(found)

    return anyio.run(go), receiver.bodies


def intake(id, action, severity, at):
    when = datetime.fromtimestamp(at, UTC)
    text = when.isoformat()
    event = Event(
        id=id, provider="p", action=action, dedup_key="k", severity=severity, summary=id, occurred_at=text, received_at=text
    )
    webhook = Webhook(id=f"w-{id}", provider="p", received_at=when)
    return Intake(webhook=webhook, decide=lambda before, event: advance(before, event, ["s"], Lifecycle()), events=[event])


STORIES = {
    "nobody acknowledges": (
        [(0, "trigger", "error"), (20, "acknowledge", "error"), (30, "resolve", "error")],
        {"e1.s": "delivered", "e2.s": "delivered", "e3.s": "delivered"},
    ),
    "somebody acknowledges in time": (
        [(0, "trigger", "error"), (14, "acknowledge", "error"), (30, "resolve", "error")],
        {"e1.s": "cancelled", "e2.s": "cancelled", "e3.s": "cancelled"},
    ),
    "it resolves in time": (
        [(0, "trigger", "error"), (14, "resolve", "error")],
        {"e1.s": "cancelled", "e2.s": "cancelled"},
    ),
    "it rises before it escalates, and goes on": (
        [(0, "trigger", "error"), (5, "trigger", "critical"), (40, "resolve", "error")],
        {"e1.s": "delivered", "e2.s": "delivered", "e3.s": "delivered"},
    ),
    "it rises after it was acknowledged in time": (
        [(0, "trigger", "error"), (5, "acknowledge", "error"), (20, "trigger", "critical"), (40, "resolve", "error")],
        {"e1.s": "cancelled", "e2.s": "cancelled", "e3.s": "cancelled", "e4.s": "cancelled"},
    ),
    "it resolves and comes again": (
        [(0, "trigger", "error"), (5, "resolve", "error"), (6, "trigger", "error")],
        {"e1.s": "cancelled", "e2.s": "cancelled", "e3.s": "delivered"},
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_a_story_of_an_incident_and_a_sink_that_waits(tmp_path, name):
    story, states = STORIES[name]
    found, bodies = told(tmp_path, story)
    assert dict(found) == states
    assert bodies == [id.removesuffix(".s") for id, state in states.items() if state == "delivered"]
