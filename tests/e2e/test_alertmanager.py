"""A real Alertmanager fires and resolves an alert through the gateway, into a HEC and a `_bulk` receiver."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import osmem_server
import pytest

from .stand import Bulk, Gateway, Hec, call, free_port, wait_for

BINARY = shutil.which("prometheus-alertmanager")
needs_alertmanager = pytest.mark.skipif(
    BINARY is None and os.environ.get("CI") != "true",
    reason="prometheus-alertmanager is not installed (Debian has a package of that name)",
)

CONFIG = """
route: {{ receiver: gateway, group_wait: 100ms, group_interval: 500ms, repeat_interval: 1h, group_by: [alertname] }}
receivers:
  - name: gateway
    webhook_configs:
      - url: {url}/webhooks/prometheus
        http_config: {{ authorization: {{ credentials: {token} }} }}
"""
LABELS = {"alertname": "InstanceDown", "severity": "page", "instance": "db-1:9100", "job": "node"}


class Alertmanager:
    """The real thing, with its webhook receiver pointed at the gateway."""

    def __init__(self, folder: Path, gateway: Gateway, token: str, port: int = 0) -> None:
        assert BINARY is not None, "with CI=true prometheus-alertmanager must be installed"
        self.url = f"http://127.0.0.1:{port or free_port()}"
        config = folder / "alertmanager.yml"
        config.write_text(CONFIG.format(url=gateway.url, token=token))
        listen = f"--web.listen-address={self.url.removeprefix('http://')}"
        self._log = (folder / "alertmanager.log").open("wb")
        self._process = subprocess.Popen(
            [BINARY, f"--config.file={config}", f"--storage.path={folder / 'am'}", listen, "--cluster.listen-address="],
            stdout=self._log,
            stderr=self._log,
        )
        wait_for("Alertmanager", self._ready)

    def _ready(self) -> bool:
        try:
            return call("GET", f"{self.url}/-/ready")[0] == 200
        except OSError:
            return False

    def tell(self, *, over: bool) -> None:
        now = datetime.now(UTC)
        alert = {
            "labels": LABELS,
            "annotations": {"summary": "Instance db-1 is down"},
            "startsAt": (now - timedelta(minutes=1)).isoformat(),
            "endsAt": (now - timedelta(seconds=1) if over else now + timedelta(hours=1)).isoformat(),
            "generatorURL": "http://prometheus.example/graph",
        }
        assert call("POST", f"{self.url}/api/v2/alerts", [alert])[0] == 200

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._log.close()


def fire_and_resolve(folder: Path, gateway: Gateway) -> dict:
    """One alert's life; the incident that came of it."""
    with Alertmanager(folder, gateway, "t0ken") as alertmanager:
        alertmanager.tell(over=False)
        wait_for("an open incident", lambda: [i for i in gateway.all("incidents") if i["status"] == "open"])
        alertmanager.tell(over=True)
        wait_for("a resolved incident", lambda: [i for i in gateway.all("incidents") if i["status"] == "resolved"])
    wait_for("every delivery", gateway.drained)
    gateway.assert_conserved()
    (incident,) = gateway.all("incidents")
    return incident


def told(action: str, incident: dict) -> dict:
    """What a sink must have heard, whichever it is."""
    return {
        "provider": "prometheus",
        "action": action,
        "dedup_key": incident["dedup_key"],
        "severity": "critical",
        "summary": "Instance db-1 is down",
        "source": "db-1:9100",
        "labels": LABELS,
    }


@needs_alertmanager
def test_an_alert_is_one_incident_opened_and_resolved_and_told_to_both(tmp_path):
    with Hec("hec-token") as hec, Bulk("es-key") as bulk:
        hec.busy, bulk.throttle = 1, 1  # each refuses once, so that each retries once
        env = {"PROMETHEUS_TOKEN": "t0ken", "SPLUNK_HEC_URL": hec.url, "SPLUNK_HEC_TOKEN": "hec-token"}
        env |= {"ELASTIC_URL": bulk.url, "ELASTIC_API_KEY": "es-key"}
        config = quick(tmp_path)
        with Gateway(tmp_path, env=env, config=config) as gateway:
            incident = fire_and_resolve(tmp_path, gateway)
            attempts = {
                d["id"].rpartition(".")[2]: len(gateway.api(f"/deliveries/{d['id']}")["attempts"])
                for d in gateway.all("deliveries")
            }
    assert (incident["status"], incident["severity"], incident["triggers"]) == ("resolved", "critical", 1)
    assert sorted(incident["sinks"]) == ["elastic", "splunk-hec"]
    wanted = [told("trigger", incident), told("resolve", incident)]
    assert [{key: event["event"][key] for key in wanted[0]} for event in hec.events] == wanted
    assert [(event["host"], event["sourcetype"]) for event in hec.events] == [("db-1:9100", "alert:prometheus")] * 2
    documents = [bulk.stored[id] for id in bulk.order]
    assert [
        (d["event"]["action"], d["alert"]["dedup_key"], d["log"]["level"], d["message"], d["host"]["name"], d["labels"])
        for d in documents
    ] == [(e["action"], e["dedup_key"], e["severity"], e["summary"], e["source"], e["labels"]) for e in wanted]
    assert set(attempts) == {"elastic", "splunk-hec"}


def quick(folder: Path) -> Path:
    """The shipped sinks, with a first delay that a test can wait for."""
    config = folder / "conf"
    (config / "sinks.d").mkdir(parents=True)
    for name in ("splunk-hec", "elastic"):
        text = f"like: {name}\ntitle: {name}, in a hurry\nretry: {{ first_delay: 100ms }}\n"
        (config / "sinks.d" / f"{name}.yaml").write_text(text)
    return config


@needs_alertmanager
def test_a_real_bulk_server_stores_both_events_once(tmp_path):
    port = free_port()
    binary = Path(osmem_server.__file__).parent / "bin" / "osmem-server"
    with (tmp_path / "osmem.log").open("wb") as log:
        server = subprocess.Popen([binary, "-addr", f"127.0.0.1:{port}", "-no-stdin-watch"], stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for("osmem", lambda: reachable(url))
        env = {"PROMETHEUS_TOKEN": "t0ken", "ELASTIC_URL": url, "ELASTIC_API_KEY": "any", "ELASTIC_INDEX": "alerts"}
        with Gateway(tmp_path, env=env) as gateway:
            incident = fire_and_resolve(tmp_path, gateway)
            resolve = next(d["id"] for d in gateway.all("deliveries") if d["action"] == "resolve")
            gateway.api(f"/deliveries/{resolve}/replay", "POST", {"mode": "as_delivered"})
            wait_for("the replay", gateway.drained)
            gateway.assert_conserved()
            second = gateway.api(f"/deliveries/{resolve}")
        call("POST", f"{url}/alerts/_refresh")
        _, found = call("GET", f"{url}/alerts/_search?size=100")
    finally:
        server.kill()
        server.wait()
    assert second["state"] == "delivered", second
    assert [attempt["excerpt"].count("409") > 0 for attempt in second["attempts"]] == [False, True]  # our id was there already
    hits = sorted((hit["_source"] for hit in found["hits"]["hits"]), key=lambda hit: hit["event"]["created"])
    assert [(hit["event"]["action"], hit["alert"]["dedup_key"]) for hit in hits] == [
        ("trigger", incident["dedup_key"]),
        ("resolve", incident["dedup_key"]),
    ]


def reachable(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(json.loads(answer.read()))
    except OSError:
        time.sleep(0.1)
        return False


@needs_alertmanager
def test_an_alertmanager_that_was_restarted_and_has_forgotten_hears_again_of_what_is_open(tmp_path):
    config = tmp_path / "conf"
    (config / "sinks.d").mkdir(parents=True)
    (config / "sinks.d" / "alertmanager.yaml").write_text("like: alertmanager\ntitle: Alertmanager\nrepeat_every: 10s\n")
    port = free_port()
    env = {"PROMETHEUS_TOKEN": "t0ken", "ALERTMANAGER_URL": f"http://127.0.0.1:{port}"}
    alert = {"status": "firing", "labels": LABELS, "annotations": {}, "fingerprint": "f1"}
    with Gateway(tmp_path, env=env, config=config) as gateway:
        for life in ("first", "second"):
            folder = tmp_path / life
            folder.mkdir()
            with Alertmanager(folder, gateway, "a token that opens nothing", port) as alertmanager:
                if life == "first":
                    assert gateway.post("/webhooks/prometheus", {"alerts": [alert]}, authorization="Bearer t0ken")[0] == 202
                wait_for(f"the alert, in its {life} life", lambda: active(alertmanager) == ["critical"], seconds=40)
                if life == "second":
                    over = {"alerts": [alert | {"status": "resolved"}]}
                    assert gateway.post("/webhooks/prometheus", over, authorization="Bearer t0ken")[0] == 202
                    wait_for("its end", lambda: active(alertmanager) == [])
        wait_for("every delivery", gateway.drained)
        gateway.assert_conserved()
        assert {each["state"] for each in gateway.all("deliveries")} == {"delivered"}


def active(alertmanager: Alertmanager) -> list[str]:
    """The severities of the alerts that fire there."""
    _, found = call("GET", f"{alertmanager.url}/api/v2/alerts?active=true")
    return [each["labels"]["severity"] for each in found]
