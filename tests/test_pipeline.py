"""A webhook in, a request out: the whole engine on a real SQLite store; only the network and the clock are made up."""

from __future__ import annotations

import gzip
import hmac
import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import anyio
import httpx2
import pytest
import uuid_utils

from gateway import pipeline, reading
from gateway.config import load
from gateway.errors import Undecodable, Unverified
from gateway.model import Webhook
from gateway.outbound import Client
from gateway.pipeline import Pipeline
from gateway.reading import Understood
from gateway.replay import Replays, Unwise
from gateway.store import open_store

pytestmark = pytest.mark.anyio

PROVIDER = """
title: Nagger
auth: { scheme: hmac, secret: { env: NAGGER_SECRET }, signature: { header: X-Signature, prefix: "sha256=" } }
delivery_id: "{{ headers['x-delivery'] }}"
events: $.checks[*]
map:
  action: { from: $.state, table: { bad: trigger, worse: trigger, seen: acknowledge, good: resolve } }
  dedup_key: $.check
  severity: { from: $.state, table: { worse: critical }, default: error }
  summary: "{{ item.check }} is {{ item.state }}"
"""
SINK = """
title: Pager
vars: { url: { env: PAGER_URL } }
request: { url: "{{ vars.url }}/alerts", json: { id: $.id, what: $.summary, end: "{{ event.action == 'resolve' }}" } }
retry: { attempts: 2, first_delay: 10s }
"""
ENVIRONMENT = {"NAGGER_SECRET": "s3cret", "PAGER_URL": "https://pager.test", "GATEWAY_CATALOGUE": "off"}
NOON = datetime(2026, 3, 12, 12, tzinfo=UTC).timestamp()


class Stage:
    """A gateway without a door and a worker: what they would do is said line by line."""

    def __init__(self, folder: Path) -> None:
        for kind, name, text in (("providers.d", "nagger", PROVIDER), ("sinks.d", "pager", SINK)):
            (folder / kind).mkdir()
            (folder / kind / f"{name}.yaml").write_text(text)
        self.folder, self.now = folder, NOON
        self.sent: list[tuple[str, dict]] = []
        self.answer: Callable[[], httpx2.Response] = lambda: httpx2.Response(200)
        self.store = open_store(f"sqlite:///{folder}/gateway.db")
        self.pipeline = Pipeline(
            load(folder, ENVIRONMENT), self.store, Client(httpx2.MockTransport(self._receive)), clock=lambda: self.now
        )

    def _receive(self, request: httpx2.Request) -> httpx2.Response:
        self.sent.append((str(request.url), json.loads(request.content)))
        return self.answer()

    async def post(self, *checks: tuple[str, str], secret: str = "s3cret", body: bytes | None = None, **headers: str) -> dict:
        """A webhook, signed; the answer's document."""
        content = body or json.dumps({"checks": [{"check": check, "state": state} for check, state in checks]}).encode()
        signature = self.pipeline.config.providers["nagger"].auth
        signed = "sha256=" + hmac.digest(secret.encode(), content, signature.algorithm).hex()
        webhook = Webhook(
            id=str(uuid_utils.uuid7()),
            provider="nagger",
            received_at=datetime.fromtimestamp(self.now, UTC),
            body=content,
            headers={"x-signature": signed, "content-type": "application/json", **headers},
        )
        return json.loads((await self.pipeline.ingest(webhook)).body)

    async def work(self) -> list[str]:
        """What a worker does in one round; the states it leaves the deliveries in."""
        claimed = await self.store.claim("pager", 10, now=self.now, lease=60, line=900)
        return [result.state for result in await self.pipeline.deliver("pager", claimed)] if claimed else []

    async def conserved(self) -> dict[str, int]:
        """The sink's counts that are not zero; accepted is the sum of the others."""
        counts = (await self.store.conservation()).get("pager", {})
        assert counts.get("accepted", 0) == sum(number for state, number in counts.items() if state != "accepted")
        return {state: number for state, number in counts.items() if number}

    def remap(self, old: str, new: str) -> None:
        """Mend the provider's file, and start anew with it."""
        file = self.folder / "providers.d" / "nagger.yaml"
        file.write_text(file.read_text().replace(old, new))
        self.pipeline.config = load(self.folder, ENVIRONMENT)


@pytest.fixture
async def stage(tmp_path):
    stage = Stage(tmp_path)
    yield stage
    await stage.store.close()


async def test_an_incident_opens_repeats_rises_and_ends_and_the_sink_hears_only_news(stage):
    opened = await stage.post(("disk", "bad"))
    (told,) = opened["events"]
    assert told == {
        "id": f"{opened['webhook_id']}-0",
        "action": "trigger",
        "severity": "error",
        "dedup_key": "disk",
        "incident_id": f"{opened['webhook_id']}-0",
        "outcome": "told",
        "sinks": ["pager"],
    }
    assert await stage.work() == ["delivered"]
    assert (await stage.post(("disk", "bad")))["events"][0]["outcome"] == "held"
    assert await stage.work() == []
    for state in ("worse", "seen", "bad", "good"):
        await stage.post(("disk", state))
        await stage.work()
    assert [(body["what"], body["end"]) for _, body in stage.sent] == [
        ("disk is bad", False),
        ("disk is worse", False),
        ("disk is seen", False),
        ("disk is good", True),
    ]
    incident = await stage.store.incident(told["incident_id"])
    assert (incident["status"], incident["severity"], incident["triggers"]) == ("resolved", "critical", 4)
    assert await stage.conserved() == {"accepted": 6, "delivered": 4, "filtered": 2}


async def test_the_end_of_nothing_is_stored_and_told_to_nobody(stage):
    answer = await stage.post(("disk", "good"))
    assert (answer["events"][0]["outcome"], await stage.work(), stage.sent) == ("stray", [], [])
    assert await stage.conserved() == {}


async def test_a_forged_webhook_leaves_nothing_behind(stage):
    with pytest.raises(Unverified, match="X-Signature does not fit what was sent and the secret"):
        await stage.post(("disk", "bad"), secret="guessed")
    with pytest.raises(Undecodable, match="the body is not JSON"):
        await stage.post(body=b"{")
    assert (await stage.store.events({})).items == []
    assert (await stage.store.dead_letters({})).items == []


async def test_the_same_delivery_id_is_answered_as_before_and_nothing_is_done_again(stage):
    first = await stage.post(("disk", "bad"), **{"x-delivery": "d-1"})
    again = await stage.post(("disk", "bad"), **{"x-delivery": "d-1"})
    assert again == first | {"duplicate": True}
    assert await stage.work() == ["delivered"]
    assert await stage.conserved() == {"accepted": 1, "delivered": 1}


async def test_a_resolve_waits_while_its_trigger_is_tried_again_and_goes_on_when_that_is_given_up(stage):
    stage.answer = lambda: httpx2.Response(503)
    await stage.post(("disk", "bad"))
    await stage.post(("disk", "good"))
    assert await stage.work() == ["pending"]
    assert await stage.work() == []  # neither is due: one waits for its delay, one for the other
    stage.now += 11
    assert await stage.work() == ["dead"]
    stage.answer = lambda: httpx2.Response(200)
    assert await stage.work() == ["delivered"]
    assert [body["end"] for _, body in stage.sent] == [False, False, True]
    assert await stage.conserved() == {"accepted": 2, "delivered": 1, "dead": 1}


async def test_an_item_nobody_understands_is_kept_and_goes_out_alone_once_the_file_is_mended(stage):
    answer = await stage.post(("disk", "bad"), ("cpu", "odd"), ("net", "bad"))
    assert [told["dedup_key"] for told in answer["events"]] == ["disk", "net"]
    assert answer["dead"] == [
        {
            "index": 1,
            "stage": "map",
            "reason": "action",
            "message": "action: 'odd' is in no row of the table, and there is no default",
        }
    ]
    assert await stage.work() == ["delivered", "delivered"]
    letter = f"{answer['webhook_id']}.1"
    with pytest.raises(Unwise, match="it still cannot be mapped: action: 'odd' is in no row of the table"):
        await Replays(stage.pipeline).dead_letter(letter)
    stage.remap("worse: trigger,", "worse: trigger, odd: trigger,")
    await Replays(stage.pipeline).dead_letter(letter)
    assert await stage.work() == ["delivered"]
    assert [body["what"] for _, body in stage.sent] == ["disk is bad", "net is bad", "cpu is odd"]
    assert (await stage.store.dead_letters({})).items == []
    assert await stage.conserved() == {"accepted": 3, "delivered": 3}


async def test_what_was_claimed_by_a_worker_that_died_is_tried_again_with_the_same_id(stage):
    await stage.post(("disk", "bad"))
    (lost,) = await stage.store.claim("pager", 10, now=stage.now, lease=60, line=900)
    assert await stage.work() == []
    stage.now += 61
    assert await stage.work() == ["delivered"]
    assert [body["id"] for _, body in stage.sent] == [lost.event.id]
    assert await stage.conserved() == {"accepted": 1, "delivered": 1}


ONE = b'{"checks": [{"check": "disk", "state": "good"}]}'


@pytest.mark.parametrize(
    "body, headers, threads",
    [
        (ONE, {}, ["MainThread"]),
        (ONE + b" " * 16 * 1024, {}, ["AnyIO worker thread"]),
        (gzip.compress(ONE), {"content-encoding": "gzip"}, ["AnyIO worker thread"]),
    ],
)
async def test_a_body_that_is_long_or_may_be_is_read_where_nobody_waits_for_it(stage, monkeypatch, body, headers, threads):
    found = []

    def understand(*args: object, **named: object) -> Understood:
        found.append(threading.current_thread().name)
        return reading.understand(*args, **named)

    monkeypatch.setattr(pipeline, "understand", understand)
    assert (await stage.post(body=body, **headers))["events"][0]["outcome"] == "stray"
    assert found == threads


async def test_long_bodies_are_read_one_at_a_time_and_a_short_one_passes_them(stage, monkeypatch):
    reads, most, done = [], [], []

    def understand(*args: object, **named: object) -> Understood:
        reads.append(1)
        most.append(len(reads))
        time.sleep(0.05)
        reads.pop()
        return reading.understand(*args, **named)

    async def post(name: str, body: bytes) -> None:
        await stage.post(body=body)
        done.append(name)

    monkeypatch.setattr(pipeline, "understand", understand)
    async with anyio.create_task_group() as tasks:
        for number in range(4):
            tasks.start_soon(post, f"long {number}", ONE + b" " * 20_000)
        await anyio.sleep(0.01)
        tasks.start_soon(post, "short", ONE)
    assert max(most) <= 2  # a long one and the short one
    assert sorted(done) == ["long 0", "long 1", "long 2", "long 3", "short"]
    assert done.index("short") < 3


async def test_a_long_body_that_is_forged_is_refused(stage):
    with pytest.raises(Unverified, match="does not fit"):
        await stage.post(secret="other", body=ONE + b" " * 20_000)
    assert (await stage.store.events({})).items == []
