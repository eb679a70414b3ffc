"""kill -9 at random moments under load: what got a 2xx is delivered, no incident is wrong, conservation holds."""

from __future__ import annotations

import http.client
import json
import os
import random
import threading
import time
from pathlib import Path

import pytest

from .stand import Gateway, Receiver, wait_for

KILLS = int(os.environ.get("SOAK_KILLS", "5"))
SEED = int(os.environ.get("SOAK_SEED", str(random.randrange(10**6))))
PRODUCERS = 16
CONCURRENCY, BATCH = 4, 5

SINK = """
title: {name}
vars: {{ url: {{ env: {variable} }} }}
request:
  url: "{{{{ vars.url }}}}/{name}"
  json: {{ id: $.id, action: $.action, key: $.dedup_key, summary: $.summary }}
{batch}
limits: {{ concurrency: {concurrency}, timeout: 5s }}
retry: {{ attempts: 50, first_delay: 100ms, max_delay: 500ms }}
breaker: {{ failures: 1000, pause: 100ms }}
"""


class Ledger:
    """What was sent and what was acknowledged, kept where no kill reaches it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.acknowledged: dict[tuple[str, str], str] = {}  # (fingerprint, status) -> summary
        self.sent = 0
        self.broken = 0  # requests that died with the gateway

    def note(self, key: tuple[str, str], summary: str, *, ok: bool) -> None:
        with self.lock:
            self.sent += 1
            if ok:
                self.acknowledged[key] = summary
            else:
                self.broken += 1


def produce(number: int, port: int, ledger: Ledger, stop: threading.Event) -> None:
    """One producer: alerts that fire and, most of them, resolve; a webhook that got no answer is sent again, as senders do."""
    made = 0
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    while not stop.is_set():
        made += 1
        fingerprint = f"{number:02d}-{made:06d}"
        for status in ("firing", "resolved") if made % 4 else ("firing",):
            summary = f"{status} {fingerprint} " + "x" * (1 + made % 200)
            alert = {"status": status, "labels": {"alertname": "Kill", "severity": "error"}, "annotations": {"summary": summary}}
            body = json.dumps({"alerts": [alert | {"fingerprint": fingerprint, "startsAt": "2026-01-01T00:00:00Z"}]})
            while not stop.is_set():
                try:
                    connection.request(
                        "POST",
                        "/webhooks/prometheus",
                        body,
                        {"authorization": "Bearer t0ken", "content-type": "application/json"},
                    )
                    answer = connection.getresponse()
                    answer.read()
                    ok = answer.status == 202
                except (OSError, http.client.HTTPException):
                    connection.close()  # the next request opens it anew
                    ok = False
                ledger.note((fingerprint, status), summary, ok=ok)
                if ok:
                    break
                time.sleep(0.02)
    connection.close()


def flaky(chance: random.Random):
    def answer(path, headers, body):
        time.sleep(chance.random() * 0.01)
        return (503, {}, b"{}") if chance.random() < 0.05 else (200, {}, b"{}")

    return answer


def deliveries(receiver: Receiver, name: str) -> list[dict]:
    """Every event that arrived at one sink, in order of arrival."""
    found = []
    for path, _, body in list(receiver.got):
        if path == f"/{name}":
            document = json.loads(body)
            found += document if isinstance(document, list) else [document]
    return found


@pytest.mark.timeout(300 + 30 * KILLS)
def test_what_got_a_2xx_survives_every_kill(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    config = tmp_path / "conf"
    (config / "sinks.d").mkdir(parents=True)
    for name, batch in (("single", ""), ("batched", f"batch: {{ events: {BATCH}, wait: 20ms, join: array }}")):
        text = SINK.format(name=name, variable="SINK_URL", batch=batch, concurrency=CONCURRENCY)
        (config / "sinks.d" / f"{name}.yaml").write_text(text)
    ledger, stop = Ledger(), threading.Event()
    env = {"PROMETHEUS_TOKEN": "t0ken"}
    with Receiver(flaky(chance)) as receiver, Gateway(tmp_path, config=config, env=env | {"SINK_URL": receiver.url}) as gateway:
        producers = [threading.Thread(target=produce, args=(n, gateway.port, ledger, stop)) for n in range(PRODUCERS)]
        for producer in producers:
            producer.start()
        recoveries = []
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.3, 1.5))
            gateway.kill()
            began = time.monotonic()
            gateway.start()
            recoveries.append(time.monotonic() - began)
        time.sleep(0.5)
        stop.set()
        for producer in producers:
            producer.join()
        began = time.monotonic()
        wait_for("every delivery", gateway.drained, 120 + 12 * KILLS)
        print(f"drained in {time.monotonic() - began:.1f} s")
        counts = gateway.assert_conserved()
        judge(gateway, ledger, receiver, counts)
        status, _ = gateway.post("/webhooks/prometheus", fresh(), authorization="Bearer t0ken")
        assert status == 202
        wait_for("a fresh event", lambda: any(e["key"] == "fresh" for e in deliveries(receiver, "single")), 10)
        report(ledger, receiver, counts, recoveries)


def fresh() -> dict:
    return {"alerts": [{"status": "firing", "labels": {"alertname": "Fresh"}, "fingerprint": "fresh"}]}


def judge(gateway: Gateway, ledger: Ledger, receiver: Receiver, counts: dict[str, dict[str, int]]) -> None:
    assert len(ledger.acknowledged) > 100 * min(KILLS, 5)  # or the run shows nothing
    assert ledger.broken > 0  # at least one request died with the gateway
    actions = {"firing": "trigger", "resolved": "resolve"}
    for name in ("single", "batched"):
        arrived = deliveries(receiver, name)
        seen: dict[tuple[str, str], str] = {}
        for event in arrived:
            seen.setdefault((event["key"], event["action"]), event["summary"])
        for (fingerprint, status), summary in ledger.acknowledged.items():
            assert seen.get((fingerprint, actions[status])) == summary, (name, fingerprint, status)
        first: dict[str, str] = {}
        for event in arrived:
            first.setdefault(event["key"], event["action"])
        assert set(first.values()) == {"trigger"}, "a resolve overtook its trigger"
        assert counts[name]["dead"] == counts[name]["parked"] == 0
        assert doubled(receiver, name) <= KILLS * CONCURRENCY * (BATCH if name == "batched" else 1), name
    resolved = {fingerprint for fingerprint, status in ledger.acknowledged if status == "resolved"}
    for incident in gateway.all("incidents"):
        key = incident["dedup_key"]
        if (key, "firing") in ledger.acknowledged:
            assert (incident["status"] == "resolved") == (key in resolved), incident


def doubled(receiver: Receiver, name: str) -> int:
    """Arrivals beyond the first of each event: at most what was in flight at each kill."""
    ids = [event["id"] for event in deliveries(receiver, name)]
    return len(ids) - len(set(ids))


def report(ledger: Ledger, receiver: Receiver, counts: dict[str, dict[str, int]], recoveries: list[float]) -> None:
    print(
        f"\nseed {SEED}, kills {KILLS}, sent {ledger.sent}, acknowledged {len(ledger.acknowledged)}, broken off {ledger.broken}, lost 0"
    )
    for name in ("single", "batched"):
        print(f"{name}: {doubled(receiver, name)} doubled of {len(deliveries(receiver, name))}, counts {counts[name]}")
    print(f"until ready again: median {sorted(recoveries)[len(recoveries) // 2]:.2f} s, longest {max(recoveries):.2f} s")
