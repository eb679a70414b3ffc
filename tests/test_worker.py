"""The lanes at work on a real store: as many at once and as fast as a sink takes, and nothing lost or in a hurry for nothing."""

import json
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import anyio
import httpx2
import pytest

from gateway import pipeline, worker
from gateway.config import Config
from gateway.config.decode import decode
from gateway.config.schema import Settings, Sink
from gateway.config.yaml import Document
from gateway.courier import patience
from gateway.errors import StoreError
from gateway.model import Attempt, Decision, Event, Webhook
from gateway.outbound import Client
from gateway.pipeline import Pipeline
from gateway.store import Intake, open_store
from gateway.timers import Timers
from gateway.values import Secrets
from gateway.worker import LEASE_MARGIN, LONGEST_REST, Worker

DOOR = "title: T\nrequest: { url: https://sink.test/in, json: $.summary }\n"
EAGER = "retry: { first_delay: 10ms, max_delay: 10ms, attempts: 99 }\n"


class Watched:
    """The real store, its claims counted; `before` and `after` are called by the name of the method, and may raise."""

    def __init__(self, store):
        self.store, self.claims, self.leases, self.before, self.after = store, {}, [], {}, {}

    def __getattr__(self, name):
        return getattr(self.store, name)

    async def claim(self, sink, limit, **more):
        self.claims[sink] = self.claims.get(sink, 0) + 1
        self.leases.append(more["lease"])
        return await self._watched("claim", sink, limit, **more)

    async def next_due(self, sink, **more):
        return await self._watched("next_due", sink, **more)

    async def record(self, results, **more):
        return await self._watched("record", results, **more)

    async def _watched(self, name, *given, **more):
        if name in self.before:
            await self.before[name]()
        found = await getattr(self.store, name)(*given, **more)
        if name in self.after:
            await self.after[name]()
        return found


class Receiver:
    """Answers by `answer(number of the request)`, after `takes` seconds; keeps when each began, and how many were at once."""

    def __init__(self, answer=lambda number: 200, takes=0.0):
        self.answer, self.takes, self.bodies, self.times, self.now, self.most = answer, takes, [], [], 0, 0

    async def __call__(self, request):
        self.times.append(time.monotonic())
        self.bodies.append(json.loads(request.content))
        number = len(self.times)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await anyio.sleep(self.takes)
        finally:
            self.now -= 1
        answer = self.answer(number)
        return answer if isinstance(answer, httpx2.Response) else httpx2.Response(answer)


def sink(text):
    document = Document("s.yaml", text.encode())
    read = decode(document, Sink)
    assert read is not None, [str(problem) for problem in document.problems]
    return read


class Stand:
    """A store, a pipeline and a worker over these sinks."""

    def __init__(self, store, receiver, sinks):
        self.store, self.receiver = store, receiver
        config = Config(
            settings=Settings(), secrets=Secrets({}), providers={}, sinks={name: sink(text) for name, text in sinks.items()}
        )
        self.ahead = 0.0  # seconds that the clock is wrong
        self.pipeline = Pipeline(config, store, Client(httpx2.MockTransport(receiver)), lambda: time.time() + self.ahead)
        self.worker = Worker(self.pipeline)
        self.count = 0

    async def tell(self, *names, times=1):
        """Events of their own, owed to these sinks."""
        for _ in range(times):
            self.count += 1
            at = datetime.fromtimestamp(self.pipeline.clock(), UTC)
            id, text = f"e{self.count}", at.isoformat()
            event = Event(id=id, provider="p", action="notice", severity="info", summary=id, occurred_at=text, received_at=text)
            decision = Decision(outcome="told", tell=names)
            webhook = Webhook(id=f"w{self.count}", provider="p", received_at=at)
            await self.store.accept(Intake(webhook=webhook, decide=lambda *_, told=decision: told, events=[event]))
        self.pipeline.wake(names)

    async def until(self, condition, seconds=5.0):
        with anyio.fail_after(seconds):
            while not condition():  # noqa: ASYNC110 - what is waited for happens in the lanes
                await anyio.sleep(0.005)

    async def settled(self):
        """What was under way is written down."""
        await self.until(lambda: not any(lane.under_way for lane in self.worker.lanes.values()))

    async def sums(self, name="s"):
        """A sink's deliveries by state, after a look that none is missing."""
        counts = dict((await self.store.conservation())[name])
        assert counts.pop("accepted") == sum(counts.values())
        return {state: count for state, count in counts.items() if count}


@asynccontextmanager
async def stand(tmp_path, receiver, **sinks):
    """The worker runs inside; at the end it is stopped."""
    store = Watched(open_store(f"sqlite:///{tmp_path}/gateway.db"))
    made = Stand(store, receiver, sinks)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(made.worker.run)
            await anyio.sleep(0.02)
            yield made
            await made.worker.stop(5.0)
            tasks.cancel_scope.cancel()
    finally:
        await made.pipeline.client.close()
        await store.close()


@pytest.mark.anyio
async def test_as_many_at_once_as_a_sink_takes(tmp_path):
    receiver = Receiver(takes=0.03)
    async with stand(tmp_path, receiver, s=DOOR + "limits: { concurrency: 3 }") as made:
        await made.tell("s", times=12)
        await made.until(lambda: len(receiver.times) == 12)
    assert receiver.most == 3


@pytest.mark.anyio
async def test_a_batch_is_one_request_and_the_rest_gathers(tmp_path):
    receiver = Receiver()
    async with stand(tmp_path, receiver, s=DOOR + "batch: { events: 4, wait: 100ms, join: array }") as made:
        await made.tell("s")
        await made.until(lambda: len(receiver.times) == 1)
        await made.tell("s", times=6)
        await made.until(lambda: sum(map(len, receiver.bodies)) == 7)
    assert receiver.bodies == [["e1"], ["e2", "e3", "e4", "e5"], ["e6", "e7"]]
    assert receiver.times[1] - receiver.times[0] >= 0.09


@pytest.mark.anyio
async def test_no_faster_than_the_rate(tmp_path):
    receiver = Receiver()
    async with stand(tmp_path, receiver, s=DOOR + "limits: { rate: 10/s, concurrency: 100 }") as made:
        await made.tell("s", times=14)
        await made.until(lambda: len(receiver.times) == 14)
    assert receiver.times[13] - receiver.times[0] >= 0.35


@pytest.mark.anyio
async def test_nothing_is_claimed_before_the_rate_lets_it_go(tmp_path):
    receiver = Receiver()
    async with stand(tmp_path, receiver, s=DOOR + "limits: { rate: 10/h, concurrency: 100 }") as made:
        await made.tell("s", times=14)
        await made.until(lambda: len(receiver.times) == 10)
        await made.settled()
        assert await made.sums() == {"delivered": 10, "pending": 4}


@pytest.mark.anyio
async def test_of_several_rates_all_hold(tmp_path):
    receiver = Receiver()
    async with stand(tmp_path, receiver, s=DOOR + "limits: { rate: 100/s 3/h 90/m, concurrency: 100 }") as made:
        await made.tell("s", times=5)
        await made.until(lambda: len(receiver.times) == 3)
        await made.settled()
        assert await made.sums() == {"delivered": 3, "pending": 2}


@pytest.mark.anyio
async def test_each_channel_has_a_rate_of_its_own_and_what_waits_for_its_turn_was_not_tried(tmp_path):
    receiver = Receiver()
    each = "limits: { concurrency: 100, each: { of: \"{{ 'even' if event.id in ['e2', 'e4', 'e6'] else 'odd' }}\", rate: 2/h } }"
    async with stand(tmp_path, receiver, s=DOOR + each) as made:
        await made.tell("s", times=6)
        await made.until(lambda: len(receiver.times) == 4)
        await made.settled()
        assert await made.sums() == {"delivered": 4, "pending": 2}
        waiting = [await made.store.delivery(id) for id in ("e5.s", "e6.s")]
        assert [(one["state"], one["attempts"], one["verdict"]) for one in waiting] == [
            ("pending", [], "waits for its turn: limits.each")
        ] * 2
    assert sorted(map(str, receiver.bodies)) == ["e1", "e2", "e3", "e4"]


PACED = """
response:
  rules:
    - when: "{{ response.status == 200 and response.json.left == 0 }}"
      then: delivered
      after: "{{ response.json.reset_after }}"
"""


@pytest.mark.anyio
@pytest.mark.parametrize(
    "answer, rests",
    [
        (lambda number: httpx2.Response(200, json={"left": int(number != 2), "reset_after": 0.5}), 0.5),
        (lambda number: httpx2.Response(429, headers={"retry-after": "1"}) if number == 2 else httpx2.Response(200), 1.0),
    ],
)
async def test_a_sink_that_says_that_it_has_enough_for_now_is_asked_nothing_more_until_then(tmp_path, answer, rests):
    receiver = Receiver(answer)
    async with stand(tmp_path, receiver, s=DOOR + "limits: { concurrency: 1 }" + PACED) as made:
        await made.tell("s", times=5)
        await made.until(lambda: len(receiver.times) >= 5)
    gaps = [later - earlier for earlier, later in zip(receiver.times, receiver.times[1:], strict=False)]
    assert rests <= gaps[1] < rests + 0.4
    assert max(gaps[0], *gaps[2:4]) < 0.3


@pytest.mark.anyio
async def test_a_delivery_that_is_to_wait_for_another_reason_holds_up_no_other(tmp_path):
    receiver = Receiver(
        lambda number: httpx2.Response(503, headers={"retry-after": "3600"}) if number == 1 else httpx2.Response(200)
    )
    async with stand(tmp_path, receiver, s=DOOR + "limits: { concurrency: 1 }") as made:
        await made.tell("s", times=3)
        await made.until(lambda: len(receiver.times) == 3)
        await made.settled()
        assert await made.sums() == {"delivered": 2, "pending": 1}


@pytest.mark.anyio
async def test_a_batch_that_is_halved_pays_for_each_request(tmp_path):
    receiver = Receiver(lambda number: 413 if number <= 2 else 200)
    async with stand(tmp_path, receiver, s=DOOR + "batch: { events: 4, join: array }\nlimits: { rate: 4/h }") as made:
        await made.tell("s", times=4)
        await made.until(lambda: len(receiver.times) == 5)
        await made.settled()
        assert receiver.bodies == [["e1", "e2", "e3", "e4"], ["e1", "e2"], ["e1"], ["e2"], ["e3", "e4"]]
        assert 1790 < made.worker.lanes["s"]._bucket.missing(time.monotonic()) <= 1800  # five of four are paid for


@pytest.mark.anyio
async def test_a_failing_sink_is_left_alone_then_probed_by_one_and_then_everything_follows(tmp_path):
    receiver = Receiver(lambda number: 503 if number <= 3 else 200)
    text = DOOR + EAGER + "breaker: { failures: 2, pause: 300ms }\nlimits: { concurrency: 1 }"
    async with stand(tmp_path, receiver, s=text) as made:
        await made.tell("s", times=5)
        await made.until(lambda: len(receiver.times) >= 8)
        await made.settled()
        assert await made.sums() == {"delivered": 5}
    gaps = [later - earlier for earlier, later in zip(receiver.times, receiver.times[1:], strict=False)]
    assert len(receiver.times) == 8
    assert (gaps[1] >= 0.28, gaps[2] >= 0.55, max(gaps[3:]) < 0.28) == (True, True, True), gaps


@pytest.mark.anyio
async def test_only_one_delivery_probes_however_many_a_sink_would_take(tmp_path):
    receiver = Receiver(lambda number: 503 if number == 1 else 200)
    text = DOOR + "retry: { first_delay: 1h, max_delay: 1h }\nbreaker: { failures: 1, pause: 100ms }\nlimits: { concurrency: 4 }"
    async with stand(tmp_path, receiver, s=text) as made:
        await made.tell("s")
        await made.until(lambda: made.worker.lanes["s"].fuse.blown)
        receiver.takes = 0.3
        await made.tell("s", times=4)
        await made.until(lambda: len(receiver.times) == 2)
        await anyio.sleep(0.15)
        assert receiver.now == 1
        await made.until(lambda: len(receiver.times) == 5)
    assert receiver.most == 3


@pytest.mark.anyio
async def test_a_sink_that_locks_us_out_is_paused_at_once_and_what_parked_goes_when_it_lets_us_in(tmp_path):
    receiver = Receiver(lambda number: 401 if number == 1 else 200)
    async with stand(tmp_path, receiver, s=DOOR + "breaker: { pause: 300ms }\nlimits: { concurrency: 1 }") as made:
        await made.tell("s", times=3)
        await made.until(lambda: len(receiver.times) >= 1)
        await made.settled()
        assert await made.sums() == {"parked": 1, "pending": 2}
        await made.until(lambda: len(receiver.times) >= 4)
        await made.settled()
        assert await made.sums() == {"delivered": 3}
    assert receiver.times[1] - receiver.times[0] >= 0.28


@pytest.mark.anyio
async def test_a_sink_that_refuses_one_event_whenever_it_comes_is_not_left_alone_for_it_again_and_again(tmp_path):
    receiver = Receiver()
    receiver.answer = lambda number: 403 if receiver.bodies[-1] == "e1" else 200
    async with stand(tmp_path, receiver, s=DOOR + "breaker: { pause: 200ms }\nlimits: { concurrency: 1 }") as made:
        for count in range(1, 12):
            await made.tell("s")
            await made.until(lambda count=count: f"e{count}" in receiver.bodies, seconds=1.0)
            await made.settled()
        assert (receiver.bodies.count("e1"), await made.sums()) == (2, {"delivered": 10, "parked": 1})
    gaps = [later - earlier for earlier, later in zip(receiver.times, receiver.times[1:], strict=False)]
    assert sum(gap > 0.15 for gap in gaps) == 1, gaps


@pytest.mark.parametrize(
    "verdict, status, alive",
    [
        ("delivered", 200, True),
        ("delivered", None, True),  # printed
        ("dead", 400, True),
        ("split", 413, True),
        ("dead", None, False),  # it could not be rendered, or not be sent
        ("retry", 503, False),
        ("retry", None, False),
    ],
)
def test_only_what_a_sink_itself_says_is_a_sign_of_life(verdict, status, alive):
    assert worker._is_alive(Attempt(number=1, at=0.0, seconds=0.0, verdict=verdict, status=status)) == alive


@pytest.mark.parametrize("error", [StoreError("the disk is full"), RuntimeError("a fault of ours")])
@pytest.mark.parametrize("method", ["claim", "next_due", "record"])
@pytest.mark.anyio
async def test_an_error_of_the_store_does_not_stop_a_lane(tmp_path, monkeypatch, method, error):
    monkeypatch.setattr(worker, "STORE_PAUSE", 0.05)
    monkeypatch.setattr(pipeline, "STORE_PAUSE", 0.05)
    receiver, left = Receiver(), [2]

    async def fail():
        if left[0]:
            left[0] -= 1
            raise error

    async with stand(tmp_path, receiver, s=DOOR) as made:
        made.store.before[method] = fail
        await made.tell("s")
        await made.until(lambda: len(receiver.times) >= 1 and (left[0] == 0 or method == "record"))
        made.store.before.clear()
        await made.tell("s")
        await made.until(lambda: receiver.bodies[-1] == "e2")
        await made.settled()
        lost = method == "record" and not isinstance(error, StoreError)
        assert await made.sums() == ({"claimed": 1, "delivered": 1} if lost else {"delivered": 2})


def refusing(error, state):
    async def refuse():
        state["asked"] += 1
        if state["refuses"]:
            raise error

    return refuse


@pytest.mark.anyio
async def test_how_a_try_went_is_written_down_once_the_store_takes_it_and_nothing_is_sent_before(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "STORE_PAUSE", 0.02)
    monkeypatch.setattr(pipeline, "STORE_PAUSE", 0.02)
    receiver, state = Receiver(), {"refuses": True, "asked": 0}
    async with stand(tmp_path, receiver, s=DOOR, t=DOOR) as made:
        made.store.before["record"] = refusing(StoreError("the disk is full"), state)
        await made.tell("s")
        await made.until(lambda: state["asked"] > 1)
        await made.tell("s", "t", times=3)
        await anyio.sleep(0.2)
        assert receiver.bodies == ["e1"]
        state["refuses"] = False
        await made.until(lambda: len(receiver.bodies) >= 7)
        await made.settled()
        assert sorted(receiver.bodies) == ["e1", "e2", "e2", "e3", "e3", "e4", "e4"]
        assert (await made.sums("s"), await made.sums("t")) == ({"delivered": 4}, {"delivered": 3})


@pytest.mark.parametrize("patience, retryable", [(0.1, True), (25.0, False)])
@pytest.mark.anyio
async def test_a_store_that_never_takes_it_does_not_stop_a_lane_for_ever(tmp_path, monkeypatch, patience, retryable):
    monkeypatch.setattr(worker, "STORE_PAUSE", 0.02)
    monkeypatch.setattr(pipeline, "STORE_PAUSE", 0.02)
    monkeypatch.setattr(pipeline, "TIME_TO_WRITE", patience)
    receiver, state = Receiver(), {"refuses": True, "asked": 0}
    async with stand(tmp_path, receiver, s=DOOR) as made:
        made.store.before["record"] = refusing(StoreError("no", retryable=retryable), state)
        await made.tell("s")
        await made.until(lambda: state["asked"] > 0)
        await made.settled()
        assert (state["asked"] > 1) == retryable
        state["refuses"] = False
        await made.tell("s")
        await made.until(lambda: receiver.bodies == ["e1", "e2"])
        await made.settled()
        assert await made.sums() == {"claimed": 1, "delivered": 1}


@pytest.mark.anyio
async def test_a_webhook_that_arrives_between_a_claim_and_the_rest_is_not_slept_over(tmp_path):
    receiver = Receiver()
    async with stand(tmp_path, receiver, s=DOOR) as made:

        async def arrive():
            made.store.after.clear()
            await made.tell("s")

        await made.until(lambda: made.store.claims.get("s", 0) >= 1)
        made.store.after["next_due"] = arrive  # nothing is due, says the store; and now something is
        made.worker.wake(["s"])
        await made.until(lambda: receiver.bodies == ["e1"], seconds=LONGEST_REST / 10)


@pytest.mark.anyio
async def test_a_lane_with_nothing_to_do_asks_the_store_hardly_ever(tmp_path):
    receiver = Receiver(lambda number: 503, takes=0.0)
    sinks = {
        "idle": DOOR,
        "later": DOOR + "retry: { first_delay: 1h, max_delay: 1h }",
        "blown": DOOR + EAGER + "breaker: { failures: 1, pause: 1h }",
        "slow": DOOR + "limits: { rate: 1/h }\n" + EAGER,
        "waiting": DOOR + "escalate_after: 1h",
    }
    async with stand(tmp_path, receiver, **sinks) as made:
        await made.tell(*sinks, times=2)
        await anyio.sleep(0.3)
        made.store.claims.clear()
        await anyio.sleep(1.0)
        assert {name: count for name, count in made.store.claims.items() if count > 2} == {}


@pytest.mark.anyio
async def test_a_lane_that_got_all_there_was_does_not_ask_a_second_time(tmp_path):
    receiver = Receiver(takes=0.2)
    async with stand(tmp_path, receiver, s=DOOR) as made:
        made.store.claims.clear()
        await made.tell("s")
        await made.until(lambda: receiver.now == 1)
        await anyio.sleep(0.05)
        assert made.store.claims == {"s": 1}


@pytest.mark.anyio
async def test_a_full_lane_waits_for_room_without_asking(tmp_path):
    receiver = Receiver(takes=0.6)
    async with stand(tmp_path, receiver, s=DOOR + "limits: { concurrency: 1 }") as made:
        await made.tell("s", times=2)
        await made.until(lambda: receiver.now == 1)
        made.store.claims.clear()
        await anyio.sleep(0.4)
        assert made.store.claims == {}


@pytest.mark.anyio
async def test_a_stop_lets_what_is_under_way_end_and_claims_no_more(tmp_path):
    receiver = Receiver(takes=0.2)
    async with stand(tmp_path, receiver, s=DOOR + "limits: { concurrency: 2 }") as made:
        await made.tell("s", times=5)
        await made.until(lambda: receiver.now == 2)
        await made.worker.stop(5.0)
        assert await made.sums() == {"delivered": 2, "pending": 3}


@pytest.mark.anyio
async def test_a_stop_does_not_wait_longer_than_it_may(tmp_path):
    receiver = Receiver(takes=30.0)
    async with stand(tmp_path, receiver, s=DOOR + "limits: { timeout: 60s }") as made:
        await made.tell("s")
        await made.until(lambda: receiver.now == 1)
        began = time.monotonic()
        await made.worker.stop(0.1)
        assert time.monotonic() - began < 1.0
        made.worker.lanes["s"].idle.set()  # what hangs is cancelled with the tasks


@pytest.mark.parametrize(
    "extra", ["limits: { rate: 1/h }", "batch: { wait: 1h, join: array }", "breaker: { failures: 1, pause: 1h }"]
)
@pytest.mark.anyio
async def test_a_lane_that_waits_stops_at_once(tmp_path, extra):
    receiver = Receiver(lambda number: 503 if "breaker" in extra else 200)
    async with stand(tmp_path, receiver, s=DOOR + extra) as made:
        await made.tell("s", times=3)
        await made.until(lambda: len(receiver.times) >= 1)
        await anyio.sleep(0.05)
        began = time.monotonic()
        await made.worker.stop(5.0)
        assert time.monotonic() - began < 1.0


@pytest.mark.parametrize(
    "extra",
    ["limits: { timeout: 60s }", "batch: { events: 500, join: array }\nlimits: { timeout: 30s }", "limits: { timeout: 1s }"],
)
@pytest.mark.anyio
async def test_a_lease_outlasts_the_couriers_patience(tmp_path, extra):
    async with stand(tmp_path, Receiver(), s=DOOR + extra) as made:
        await made.until(lambda: made.store.leases != [])
        assert made.store.leases[0] == patience(sink(DOOR + extra)) + LEASE_MARGIN


DAY = 86_400.0


@pytest.mark.anyio
async def test_a_clock_that_goes_ahead_a_day_and_comes_back_leaves_no_sink_alone_so_long(tmp_path):
    receiver = Receiver(lambda number: 503 if number == 1 else 200)
    async with stand(tmp_path, receiver, s=DOOR + EAGER + "breaker: { failures: 1, pause: 100ms }") as made:
        timers = Timers(made.pipeline)
        await timers.tick(made.pipeline.clock())
        made.ahead = DAY
        await timers.tick(made.pipeline.clock())
        await made.tell("s")
        await made.until(lambda: made.worker.lanes["s"].fuse.blown)
        await made.settled()
        made.ahead = 0.0
        await timers.tick(made.pipeline.clock())
        await made.until(lambda: len(receiver.times) == 2, seconds=2.0)


@pytest.mark.anyio
async def test_a_clock_that_goes_ahead_does_not_fill_a_rate(tmp_path):
    receiver = Receiver()
    async with stand(tmp_path, receiver, s=DOOR + "limits: { rate: 2/h }") as made:
        await made.tell("s", times=3)
        await made.until(lambda: len(receiver.times) == 2)
        made.ahead = DAY
        await made.tell("s", times=3)
        await anyio.sleep(0.2)
        assert (len(receiver.times), await made.sums()) == (2, {"delivered": 2, "pending": 4})


@pytest.mark.anyio
async def test_what_is_under_way_when_the_clock_goes_ahead_is_not_sent_a_second_time(tmp_path):
    receiver = Receiver(takes=0.4)
    async with stand(tmp_path, receiver, s=DOOR) as made:
        await made.tell("s")
        await made.until(lambda: receiver.now == 1)
        made.ahead = DAY
        await made.store.settle(["s"], now=made.pipeline.clock(), ticks=made.pipeline.ticks())
        await made.tell("s")
        await made.until(lambda: len(receiver.times) == 2)
        await made.settled()
        assert (receiver.bodies, await made.sums()) == (["e1", "e2"], {"delivered": 2})
        assert [each["seconds"] < 60 for each in (await made.store.delivery("e1.s"))["attempts"]] == [True]


@pytest.mark.anyio
async def test_a_sink_whose_file_goes_and_comes_back_while_one_is_under_way_goes_on(tmp_path):
    receiver = Receiver(takes=0.4)
    async with stand(tmp_path, receiver, s=DOOR) as made:
        await made.tell("s")
        await made.until(lambda: receiver.now == 1)
        file = made.pipeline.config.sinks.pop("s")
        made.worker.follow()
        await anyio.sleep(0.05)
        made.pipeline.config.sinks["s"] = file
        made.worker.follow()
        await made.settled()
        await made.tell("s")
        await made.until(lambda: receiver.bodies == ["e1", "e2"], seconds=2.0)
