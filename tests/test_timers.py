"""What happens because time passes, on a real store: a clock that is passed in, and looks that come when they must."""

import io
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import anyio
import httpx2
import pytest

from gateway import telemetry, timers
from gateway.config import Config
from gateway.config.decode import decode
from gateway.config.schema import Provider, Retention, Settings, Sink
from gateway.config.yaml import Document
from gateway.errors import StoreError
from gateway.model import Event, Webhook
from gateway.outbound import Client
from gateway.pipeline import Pipeline
from gateway.reading import decider
from gateway.store import Intake, open_store
from gateway.timers import PRUNE_EVERY, Timers
from gateway.values import Duration, Secrets

NOON = 1_767_268_800.0  # 2026-01-01T12:00:00Z
DAY = 86_400.0
PROVIDER = """
title: P
auth: { scheme: none, because: it is a test }
map: { action: { default: trigger }, dedup_key: $.k, severity: { default: info }, summary: $.s }
lifecycle: { resolve_after: 1h }
"""


def read(type, text):
    document = Document("x.yaml", text.encode())
    found = decode(document, type)
    assert found is not None, [str(problem) for problem in document.problems]
    return found


def text_of(at):
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Meddled:
    """The real store; `meddle` runs once, after the named method has looked, or instead of it where it raises."""

    def __init__(self, store):
        self.store, self.prunes, self.meddle = store, 0, {}

    def __getattr__(self, name):
        return getattr(self.store, name)

    async def quiet(self, **more):
        found = await self.store.quiet(**more)
        await self._meddle("quiet")
        return found

    async def prune(self, **more):
        self.prunes += 1
        await self._meddle("prune")
        return await self.store.prune(**more)

    async def settle(self, *given, **more):
        await self._meddle("settle")
        return await self.store.settle(*given, **more)

    async def _meddle(self, name):
        if name in self.meddle:
            await self.meddle.pop(name)()


class Stand:
    """A store, the timers over it, and what was woken."""

    def __init__(self, store, sinks=None, settings=None):
        sinks = {name: read(Sink, f"title: T\nprint: x\n{text}") for name, text in (sinks or {"s": ""}).items()}
        self.provider = read(Provider, PROVIDER)
        self.config = Config(
            settings=settings or Settings(),
            secrets=Secrets({}),
            providers={"p": self.provider},
            sinks=sinks,
        )
        self.store, self.woken = store, []
        self.pipeline = Pipeline(self.config, store, Client(httpx2.MockTransport(lambda request: httpx2.Response(200))))
        self.pipeline.wake = lambda names: self.woken.append(set(names))
        self.timers = Timers(self.pipeline)

    async def take(self, id, action="trigger", at=NOON, key="k"):
        event = Event(
            id=id,
            webhook_id=f"w-{id}",
            provider="p",
            action=action,
            dedup_key=key,
            severity="error",
            summary=f"{id} says",
            occurred_at=text_of(at),
            received_at=text_of(at),
        )
        webhook = Webhook(id=f"w-{id}", provider="p", received_at=datetime.fromtimestamp(at, UTC))
        return await self.store.accept(Intake(webhook=webhook, decide=decider(self.config, self.provider), events=[event]))

    async def incidents(self):
        return {found["dedup_key"]: found["status"] for found in (await self.store.incidents({})).items}

    async def deliveries(self):
        found = (await self.store.deliveries({})).items
        return [(each["id"], each["state"]) for each in reversed(found)]


@asynccontextmanager
async def stand(tmp_path, **more):
    store = Meddled(open_store(f"sqlite:///{tmp_path}/gateway.db"))
    try:
        yield Stand(store, **more)
    finally:
        await store.close()


QUIET = "e1-quiet-1767272400000"


@pytest.mark.anyio
async def test_a_quiet_incident_resolves_when_its_time_has_come_and_its_sinks_are_told(tmp_path):
    async with stand(tmp_path) as made:
        await made.take("e1")
        await made.timers.tick(NOON + 3599)
        assert (await made.incidents(), made.woken) == ({"k": "open"}, [])
        await made.timers.tick(NOON + 3600)
        assert (await made.incidents(), made.woken) == ({"k": "resolved"}, [{"s"}])
        assert await made.deliveries() == [("e1.s", "pending"), (f"{QUIET}.s", "pending")]
        event = await made.store.event(QUIET)
        expected = {
            "id": QUIET,
            "provider": "p",
            "action": "resolve",
            "dedup_key": "k",
            "severity": "error",
            "summary": "e1 says",
            "occurred_at": text_of(NOON + 3600),
            "received_at": text_of(NOON + 3600),
            "incident_id": "e1",
            "outcome": "told",
        }
        assert {key: event.get(key) for key in expected} == expected
        await made.timers.tick(NOON + 7200)
        assert len(await made.deliveries()) == 2


@pytest.mark.anyio
async def test_each_trigger_sets_the_time_anew(tmp_path):
    async with stand(tmp_path) as made:
        await made.take("e1")
        await made.take("e2", at=NOON + 1800)
        await made.timers.tick(NOON + 3600)
        assert await made.incidents() == {"k": "open"}
        await made.timers.tick(NOON + 5400)
        assert await made.incidents() == {"k": "resolved"}


@pytest.mark.anyio
async def test_an_acknowledged_incident_resolves_as_well(tmp_path):
    async with stand(tmp_path) as made:
        await made.take("e1")
        await made.take("e2", "acknowledge", at=NOON + 60)
        await made.timers.tick(NOON + 3600)
        assert await made.incidents() == {"k": "resolved"}


@pytest.mark.anyio
@pytest.mark.parametrize("action, after", [("trigger", "open"), ("resolve", "resolved")])
async def test_what_comes_between_the_look_and_the_commit_counts(tmp_path, action, after):
    async with stand(tmp_path) as made:
        await made.take("e1")

        async def meanwhile():
            await made.take("e2", action, at=NOON + 3600)

        made.store.meddle["quiet"] = meanwhile
        await made.timers.tick(NOON + 3600)
        assert await made.incidents() == {"k": after}
        assert (await made.store.event(QUIET))["outcome"] == "stray"
        await made.timers.tick(NOON + 7200)
        assert await made.incidents() == {"k": "resolved"}
        told = [id for id, _ in await made.deliveries()]
        assert told == ["e1.s", "e1-quiet-1767276000000.s" if action == "trigger" else "e2.s"]


@pytest.mark.anyio
async def test_an_incident_whose_provider_is_gone_resolves_all_the_same(tmp_path):
    async with stand(tmp_path) as made:
        await made.take("e1")
        del made.config.providers["p"]
        await made.timers.tick(NOON + 3600)
        assert await made.incidents() == {"k": "resolved"}
        assert await made.deliveries() == [("e1.s", "pending"), (f"{QUIET}.s", "pending")]


@pytest.mark.anyio
async def test_a_sink_that_wants_no_resolves_is_not_told(tmp_path):
    async with stand(tmp_path, sinks={"s": "match: { action: [ trigger ] }"}) as made:
        await made.take("e1")
        await made.timers.tick(NOON + 3600)
        assert (await made.incidents(), await made.deliveries()) == ({"k": "resolved"}, [("e1.s", "pending")])


@pytest.mark.anyio
async def test_many_quiet_incidents_resolve_at_one_look_a_chunk_in_each_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(timers, "CHUNK", 20)
    async with stand(tmp_path) as made:
        for number in range(50):
            await made.take(f"e{number}", key=f"k{number}", at=NOON + number)
        before = made.store.commits
        await made.timers.tick(NOON + DAY)
        assert set((await made.incidents()).values()) == {"resolved"}
        assert made.store.commits - before <= 3 + 2 * 3  # three chunks; and what pruning asks


OLD = Settings(retention=Retention(webhooks=Duration(DAY), events=Duration(DAY), dead=Duration(DAY), delivery_ids=Duration(DAY)))


@pytest.mark.anyio
async def test_what_is_old_is_forgotten_in_chunks_and_once_a_minute(tmp_path, monkeypatch):
    monkeypatch.setattr(timers, "CHUNK", 2)
    async with stand(tmp_path, sinks={"s": "match: { severity: [ info ] }"}, settings=OLD) as made:
        for number in range(5):
            await made.take(f"e{number}", "notice", at=NOON)
        await made.take("young", "notice", at=NOON + DAY)
        await made.timers.tick(NOON + DAY + 1)
        left = [event["id"] for event in (await made.store.events({})).items]
        assert (left, await made.store.webhook("w-e0"), made.store.prunes) == (["young"], None, 4)
        assert await made.store.webhook("w-young") is not None
        await made.timers.tick(NOON + DAY + PRUNE_EVERY)
        assert made.store.prunes == 4
        await made.timers.tick(NOON + DAY + 1 + PRUNE_EVERY)
        assert made.store.prunes == 5


@pytest.mark.anyio
async def test_what_is_owed_to_a_sink_that_is_gone_dies_and_to_one_that_is_off_waits(tmp_path):
    async with stand(tmp_path, sinks={"s": "", "off": "", "gone": ""}) as made:
        await made.take("e1")
        made.config.sinks.pop("gone")
        made.config.off["off"] = "X is not set"
        made.config.sinks.pop("off")
        await made.timers.tick(NOON + 60)
        assert await made.deliveries() == [("e1.s", "pending"), ("e1.off", "pending"), ("e1.gone", "dead")]
        dead = await made.store.delivery("e1.gone")
        assert dead["verdict"] == "the sink gone is gone; put its file back and replay"


@pytest.mark.anyio
@pytest.mark.parametrize("error", [StoreError("the disk is full"), RuntimeError("a fault of ours")])
@pytest.mark.parametrize("method", ["quiet", "prune"])
async def test_an_error_does_not_stop_the_clock(tmp_path, monkeypatch, method, error):
    monkeypatch.setattr(timers, "EVERY", 0.01)
    async with stand(tmp_path) as made:
        await made.take("e1", at=NOON - DAY)

        async def fail():
            raise error

        made.store.meddle[method] = fail
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(made.timers.run)
            with anyio.fail_after(5):
                while method in made.store.meddle or await made.incidents() != {"k": "resolved"}:  # noqa: ASYNC110 - the clock runs beside
                    await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_room_is_made_on_a_disk_that_is_too_full_for_anything_else(tmp_path):
    async with stand(tmp_path, sinks={"s": "match: { severity: [ info ] }"}, settings=OLD) as made:
        await made.take("e1", "notice", at=NOON)

        async def fail():
            raise StoreError("the disk is full")

        made.store.meddle["settle"] = fail
        with pytest.raises(StoreError, match=r"^the disk is full$"):
            await made.timers.tick(NOON + DAY + 1)
        assert (await made.store.events({})).items == []


@pytest.mark.anyio
async def test_what_was_taken_while_the_clock_was_ahead_waits_no_longer_than_a_minute(tmp_path):
    async with stand(tmp_path, sinks={"s": "", "later": "escalate_after: 10m"}) as made:
        made.pipeline.ticks = lambda: 0.0
        await made.timers.tick(NOON)
        await made.take("e1", "notice", at=NOON + DAY)  # between two looks, so that nobody saw the clock go there and back
        made.pipeline.ticks = lambda: PRUNE_EVERY - 1
        await made.timers.tick(NOON + PRUNE_EVERY - 1)
        assert (await made.store.next_due("s", now=NOON), made.woken) == (NOON + DAY, [])
        await made.timers.tick(NOON + PRUNE_EVERY)
        assert await made.store.next_due("s", now=NOON) == NOON + PRUNE_EVERY
        assert await made.store.next_due("later", now=NOON) == NOON + PRUNE_EVERY + 600
        assert made.woken == [{"s"}, {"later"}]


@pytest.mark.anyio
async def test_a_clock_that_was_set_is_seen_at_the_next_look_and_told(tmp_path):
    telemetry.set_up(dev=False, mask=str, stream=(log := io.StringIO()))
    async with stand(tmp_path) as made:
        made.pipeline.ticks = lambda: 100.0
        await made.timers.tick(NOON + 3600)
        made.pipeline.ticks = lambda: 105.0
        await made.take("e1", "notice", at=NOON + 3605)
        await made.timers.tick(NOON + 5)
        assert (await made.store.next_due("s", now=NOON), made.woken) == (NOON + 5, [{"s"}])
        made.pipeline.ticks = lambda: 110.0
        await made.timers.tick(NOON + 10.9)
    telemetry.finish()
    said = [json.loads(line) for line in log.getvalue().splitlines() if "clock.set" in line]
    telemetry.set_up(dev=False, mask=str)
    assert [each["seconds"] for each in said] == [-3600.0]
