"""Is it alive, is it ready, what has it done."""

from __future__ import annotations

import anyio
import pytest
from prometheus_client.parser import text_string_to_metric_families

from .house_stand import house

pytestmark = pytest.mark.anyio
DOWN = {"id": "db-1", "state": "down", "level": "bad", "text": "db-1 is down"}


@pytest.mark.parametrize("method, path", [(method, path) for method in ("GET", "HEAD") for path in ("/healthz", "/health")])
async def test_a_process_that_lives_says_so_to_anybody(tmp_path, method, path):
    async with house(tmp_path, env={}) as here:
        answer = await here.call(method, path)
    assert (answer.status_code, answer.json() if method == "GET" else {"status": "ok"}) == (200, {"status": "ok"})


async def ready(here):
    answer = await here.call("GET", "/readyz")
    return answer.status_code, answer.json()


def checks(**wrong):
    fine = {
        "store": {"ok": True, "detail": ""},
        "worker": {"ok": True, "detail": ""},
        "config": {"ok": True, "detail": "providers: 3, sinks on: 1"},
        "draining": {"ok": True, "detail": ""},
    }
    document = {
        "status": "not ready" if wrong else "ready",
        "checks": fine | {name: {"ok": False, "detail": said} for name, said in wrong.items()},
    }
    return (503 if wrong else 200), document


async def test_ready_means_that_it_can_take_and_deliver_and_each_check_says_what_is_wrong(tmp_path):
    async with house(tmp_path) as here:
        assert await ready(here) == checks(worker="the worker has stopped")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(here.worker.run)
            await anyio.wait_all_tasks_blocked()
            assert await ready(here) == checks()
            assert (await here.call("HEAD", "/readyz")).status_code == 200
            here.state.draining = True
            assert await ready(here) == checks(draining="going down")
            await here.pipeline.store.close()
            assert await ready(here) == checks(draining="going down", store="the store is closed")
            await here.worker.stop(1.0)
            tasks.cancel_scope.cancel()


async def samples(here) -> dict[tuple[str, ...], float]:
    answer = await here.call("GET", "/metrics")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; version=1.0.0; charset=utf-8")
    families = list(text_string_to_metric_families(answer.text))
    assert all(family.documentation for family in families)
    return {(sample.name, *sorted(sample.labels.values())): sample.value for family in families for sample in family.samples}


async def test_the_counters_equal_what_happened(tmp_path):
    async with house(tmp_path) as here:
        before = await samples(here)
        receipt = await here.told(
            DOWN, {**DOWN, "state": "up"}, {"id": "x", "state": "up", "text": "x"}, {"id": "y", "state": "odd"}
        )
        await here.post({"items": [DOWN]}, x_delivery="1")
        await here.post({"items": [DOWN]}, x_delivery="1")
        await here.post({"items": [{"id": "y", "state": "odd"}]})
        await here.post({"items": [DOWN]}, x_token="wrong")
        await here.post({}, "/webhooks/nobody")
        await here.call("GET", "/webhooks/team?challenge=x")
        (delivery,) = await here.pipeline.store.claim("main", 1, now=here.pipeline.clock(), lease=30.0, line=900.0)
        await here.pipeline.deliver("main", [delivery])
        after = await samples(here)
    changed = {
        key: value - before.get(key, 0) for key, value in after.items() if value != before.get(key, 0) and "seconds" not in key[0]
    }
    assert receipt["events"][2]["outcome"] == "stray"
    assert changed == {
        ("gateway_webhooks_total", "accepted", "team"): 2,
        ("gateway_webhooks_total", "duplicate", "team"): 1,
        ("gateway_webhooks_total", "dead", "team"): 1,
        ("gateway_webhooks_total", "handshake", "team"): 1,
        ("gateway_events_total", "team", "told", "trigger"): 2,
        ("gateway_events_total", "resolve", "team", "told"): 1,
        ("gateway_events_total", "resolve", "stray", "team"): 1,
        ("gateway_refused_total", "mismatch", "team", "verify"): 1,
        ("gateway_refused_total", "", "provider", "receive"): 1,
        ("gateway_attempts_total", "2xx", "delivered", "main"): 1,
        ("gateway_deliveries_accepted", "main"): 3,
        ("gateway_deliveries", "delivered", "main"): 1,
        ("gateway_deliveries", "main", "pending"): 2,
    }


async def test_nothing_a_sender_writes_becomes_a_label(tmp_path):
    async with house(tmp_path) as here:
        for number in range(20):
            await here.post(
                {"items": [DOWN | {"id": f"key-{number}"}]}, f"/webhooks/nobody-{number}?{number}", x_token=f"mine-{number}"
            )
            await here.call(f"VERB{number}", f"/webhooks/team/rest-{number}")
        text = (await here.call("GET", "/metrics")).text
    for word in ("nobody", "mine", "VERB", "rest", "key-"):
        assert word not in text


async def test_metrics_are_there_though_the_store_is_not(tmp_path):
    async with house(tmp_path) as here:
        await here.pipeline.store.close()
        assert (await here.call("GET", "/metrics")).status_code == 200
