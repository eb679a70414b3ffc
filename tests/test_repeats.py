"""`repeat_every`: a sink that forgets what it is not told of is told again, delivery by delivery and as a story on a real store."""

import httpx2
import pytest
from msgspec.structs import replace
from test_timers import NOON, stand
from trips import DOOR, Receiver, answering, brought, delivery, sink

from gateway import timers
from gateway.config.decode import decode
from gateway.config.schema import Sink
from gateway.config.yaml import Document
from gateway.outbound import Client
from gateway.pipeline import Pipeline
from gateway.store import Result

REPEATING = DOOR + "repeat_every: 5m\n"


@pytest.mark.parametrize(
    "one, status, again",
    [
        (delivery(), 200, 300.0),
        (delivery(status="acknowledged"), 200, 300.0),
        (replace(delivery(), again=True), 200, 300.0),
        (replace(delivery(), again=True, attempts=8), 503, 300.0),
        (replace(delivery(), again=True), 503, 0.0),
        (replace(delivery(), again=True), 401, 0.0),
        (delivery(action="acknowledge", status="acknowledged"), 200, 0.0),
        (delivery(action="resolve", status="resolved"), 200, 0.0),
        (delivery(action="notice"), 200, 0.0),
        (delivery(), 503, 0.0),
        (delivery(), 401, 0.0),
        (delivery(), 400, 0.0),
    ],
)
def test_a_trigger_that_arrived_is_to_be_told_again_and_nothing_else(one, status, again):
    (result,) = brought(REPEATING, [one], Receiver(answering(status)))
    assert result.again == again
    (once,) = brought(DOOR, [one], Receiver(answering(status)))
    assert once == replace(result, again=0.0)


def test_a_repeat_whose_incident_is_over_is_not_sent_and_was_delivered_all_the_same():
    over, receiver = replace(delivery(status="resolved"), again=True, attempts=2), Receiver(answering(200))
    (result,) = brought(REPEATING, [over], receiver)
    assert result == Result(delivery=over, attempt=None, state="delivered", verdict="told before, and its incident is over")
    assert receiver.requests == []


@pytest.mark.parametrize("late", ["escalate_after: 1m", "fold: true", "escalate_after: 1m\nfold: true"])
@pytest.mark.parametrize("status", ["open", "acknowledged"])
def test_what_was_kept_back_once_is_told_again_as_anything_else(late, status):
    again = replace(delivery(status=status, memory={"escalated": True}), again=True)
    (result,) = brought(REPEATING + late, [again], Receiver(answering(200)))
    assert (result.state, result.verdict, result.again) == ("delivered", "answered 200", 300.0)


def test_a_repeat_for_which_there_is_nothing_to_do_was_delivered_all_the_same():
    text = "title: T\nrepeat_every: 5m\nsteps:\n  - name: open\n    when: '{{ not memory.key }}'\n    request: { url: https://sink.test/in }\n"
    again = replace(delivery(memory={"key": "K-1"}), again=True)
    (result,) = brought(text, [again], Receiver(answering(200)))
    said = "told before; this time, no step applies to it"
    assert result == Result(delivery=again, attempt=None, state="delivered", verdict=said, again=300.0)


def test_what_was_never_told_is_sent_though_its_incident_is_over():
    (result,) = brought(REPEATING, [delivery(status="resolved")], Receiver(answering(200)))
    assert (result.state, result.verdict) == ("delivered", "answered 200")


def test_nobody_is_told_every_moment():
    document = Document("s.yaml", (DOOR + "repeat_every: 9s\n").encode())
    assert decode(document, Sink) is None
    said = ["the shortest is 10s; who is told more often hears nothing else"]
    assert [problem.message for problem in document.problems] == said


@pytest.mark.anyio
async def test_a_receiver_hears_of_an_open_incident_every_five_minutes_and_of_its_end_once(tmp_path):
    heard = []
    transport = httpx2.MockTransport(lambda request: heard.append(request.content) or httpx2.Response(200))
    async with stand(tmp_path, sinks={"s": "repeat_every: 5m"}) as made:
        made.config.sinks["s"] = sink(REPEATING.replace("$.summary", "$.action"))
        now = [NOON]
        made.pipeline = Pipeline(made.config, made.store, Client(transport), lambda: now[0])
        made.timers.pipeline = made.pipeline

        async def until(minute):
            while now[0] < NOON + minute * 60:
                now[0] += 5
                await made.timers.tick(now[0])
                while claimed := await made.store.claim("s", 10, now=now[0], lease=30.0, line=900.0):
                    await made.pipeline.deliver("s", claimed)
            sums = (await made.store.conservation())["s"]
            assert sums["accepted"] == sums["delivered"]
            return [body.decode().strip('"') for body in heard]

        await made.take("e1")
        assert await until(4) == ["trigger"]
        assert await until(16) == ["trigger"] * 4
        await made.take("e2", "acknowledge", at=now[0])
        assert await until(21) == ["trigger"] * 4 + ["acknowledge", "trigger"]
        await made.take("e3", "resolve", at=now[0])
        assert await until(59) == ["trigger"] * 4 + ["acknowledge", "trigger", "resolve"]


@pytest.mark.anyio
async def test_a_file_that_says_repeat_every_anew_repeats_what_is_open(tmp_path):
    async with stand(tmp_path, sinks={"s": ""}) as made:
        await made.take("e1")
        await made.pipeline.deliver("s", await made.store.claim("s", 10, now=NOON, lease=30.0, line=900.0))
        await made.timers.tick(NOON + 5)
        made.config.sinks["s"] = replace(made.config.sinks["s"], repeat_every=300.0)
        await made.timers.tick(NOON + 10)
        await made.timers.tick(NOON + 309)
        assert await made.deliveries() == [("e1.s", "delivered")]
        await made.timers.tick(NOON + 310)
        assert await made.deliveries() == [("e1.s", "pending")]


@pytest.mark.anyio
async def test_a_trigger_that_got_worse_is_the_one_that_is_repeated(tmp_path):
    async with stand(tmp_path, sinks={"s": "repeat_every: 5m"}) as made:
        made.provider = replace(made.provider, lifecycle=replace(made.provider.lifecycle, repeats="deliver"))
        for id, at in (("e1", NOON), ("e2", NOON + 60)):
            await made.take(id, at=at)
            await made.pipeline.deliver("s", await made.store.claim("s", 10, now=at, lease=30.0, line=900.0))
        await made.timers.tick(NOON + 420)
        assert await made.deliveries() == [("e1.s", "delivered"), ("e2.s", "pending")]
        assert made.woken[-1] == {"s"}


@pytest.mark.anyio
async def test_what_is_new_waits_behind_a_few_repeats_and_not_behind_all_of_them(tmp_path, monkeypatch):
    monkeypatch.setattr(timers, "MOST_REPEATS", 2)
    async with stand(tmp_path, sinks={"s": "repeat_every: 5m"}) as made:
        for number in range(1, 4):
            await made.take(f"e{number}", key=f"k{number}")
        await made.pipeline.deliver("s", await made.store.claim("s", 10, now=NOON, lease=30.0, line=900.0))
        await made.timers.tick(NOON + 300)
        assert [state for _, state in await made.deliveries()].count("pending") == 2
        await made.timers.tick(NOON + 305)
        assert [state for _, state in await made.deliveries()] == ["pending"] * 3
