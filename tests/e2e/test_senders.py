"""Real senders: Prometheus itself, a client of PagerDuty, the CloudEvents SDK, apprise. Each knows nothing of us but an address."""

from __future__ import annotations

import http.server
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import apprise
import httpx2
import pagerduty
import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from .stand import Gateway, call, free_port, wait_for

BINARY = shutil.which("prometheus")
needs_prometheus = pytest.mark.skipif(
    BINARY is None and os.environ.get("CI") != "true", reason="prometheus is not installed (Debian has a package of that name)"
)
TOKEN = "t0ken-of-a-sender"
KEY = "0123456789abcdef0123456789abcdef"
SECRETS = {
    "ALERTMANAGER_API_TOKEN": TOKEN,
    "PAGERDUTY_EVENTS_ROUTING_KEY": KEY,
    "CLOUDEVENTS_TOKEN": TOKEN,
    "GENERIC_TOKEN": TOKEN,
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with Gateway(tmp_path_factory.mktemp("senders"), env=SECRETS) as running:
        yield running
        running.assert_conserved()


def told(gateway: Gateway, provider: str) -> list[dict]:
    """What a provider told, oldest first."""
    return [event for event in reversed(gateway.all("events")) if event["provider"] == provider]


PROMETHEUS = """
global: {{ scrape_interval: 1s, evaluation_interval: 1s }}
rule_files: [ {rules} ]
scrape_configs: [ {{ job_name: plant, static_configs: [ {{ targets: [ "{plant}" ] }} ] }} ]
alerting:
  alertmanagers:
    - path_prefix: /webhooks/alertmanager-api
      authorization: {{ credentials: {token} }}
      static_configs: [ {{ targets: [ "{gateway}" ] }} ]
"""
RULES = """
groups:
  - name: plant
    rules:
      - alert: PressureHigh
        expr: pressure > 10
        labels: { severity: critical }
        annotations: { summary: "pressure is {{ $value }}" }
"""


class Plant:
    """Something that is measured."""

    def __init__(self) -> None:
        self.pressure = 12
        plant = self

        class Metrics(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = f"pressure {plant.pressure}\n".encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"


@needs_prometheus
def test_prometheus_alerts_without_an_alertmanager(tmp_path: Path, gateway: Gateway):
    plant, port = Plant(), free_port()
    (tmp_path / "rules.yml").write_text(RULES)
    config = tmp_path / "prometheus.yml"
    here = gateway.url.removeprefix("http://")
    config.write_text(PROMETHEUS.format(rules=tmp_path / "rules.yml", plant=plant.address, token=TOKEN, gateway=here))
    options = [f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    with (tmp_path / "log").open("wb") as log:
        assert BINARY is not None, "with CI=true prometheus must be installed"
        process = subprocess.Popen([BINARY, *options, "--rules.alert.resend-delay=1s"], stdout=log, stderr=log)
    try:
        wait_for("the alert", lambda: told(gateway, "alertmanager-api"), seconds=40)
        plant.pressure = 5
        wait_for("its end", lambda: told(gateway, "alertmanager-api")[-1]["action"] == "resolve", seconds=40)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        plant.server.shutdown()
        plant.server.server_close()
    events = told(gateway, "alertmanager-api")
    assert {event["dedup_key"] for event in events} == {events[0]["dedup_key"]}
    assert [(event["action"], event["severity"]) for event in (events[0], events[-1])] == [
        ("trigger", "critical"),
        ("resolve", "critical"),
    ]
    assert events[0]["summary"] == "pressure is 12"
    assert events[0]["labels"] == {"alertname": "PressureHigh", "instance": plant.address, "job": "plant", "severity": "critical"}
    (incident,) = [each for each in gateway.all("incidents") if each["provider"] == "alertmanager-api"]
    assert (incident["status"], incident["dedup_key"]) == ("resolved", events[0]["dedup_key"])


@contextmanager
def client_of_pagerduty(key: str, gateway: Gateway) -> Iterator[pagerduty.EventsApiV2Client]:
    with closing(pagerduty.EventsApiV2Client(key)) as client:
        client._url = (
            f"{gateway.url}/webhooks/pagerduty-events"  # its `base_url` takes https only, which ends at a proxy before us
        )
        yield client


def test_a_client_of_pagerduty_is_served(gateway: Gateway):
    with client_of_pagerduty(KEY, gateway) as client:
        key = client.trigger("db-1 is down", "db-1", severity="critical", custom_details={"load": 12})
        assert client.acknowledge(key) == key
        assert client.resolve(key) == key
        client.send_change_event({"summary": "v2 is out", "source": "deployer", "timestamp": "2026-03-12T08:00:00Z"})
    assert [(event["action"], event["severity"], event["summary"]) for event in told(gateway, "pagerduty-events")] == [
        ("trigger", "critical", "db-1 is down"),
        ("acknowledge", "warning", f"acknowledge {key}"),
        ("resolve", "warning", f"resolve {key}"),
        ("notice", "info", "v2 is out"),
    ]
    assert {event["dedup_key"] for event in told(gateway, "pagerduty-events")[:3]} == {key}
    with client_of_pagerduty("f" * 32, gateway) as stranger, pytest.raises(pagerduty.HttpError):
        stranger.trigger("forged", "nowhere")


@pytest.mark.parametrize("form", [to_structured_event, to_binary_event])
def test_the_sdk_of_cloudevents_is_understood_in_both_of_its_modes(form, gateway: Gateway):
    about = {
        "type": "io.example.disk",
        "source": f"/hosts/{form.__name__}",
        "subject": "sda",
        "specversion": "1.0",
        "datacontenttype": "application/json",
    }
    message = form(CloudEvent(attributes=about, data={"severity": "critical", "message": "disk is full"}))
    headers = {**message.headers, "Authorization": f"Bearer {TOKEN}"}
    body = message.body if isinstance(message.body, bytes) else message.body.encode()
    assert httpx2.post(f"{gateway.url}/webhooks/cloudevents", content=body, headers=headers).status_code in (200, 202)
    (event,) = [each for each in told(gateway, "cloudevents") if form.__name__ in str(each)]
    assert (event["action"], event["severity"], event["type"]) == ("trigger", "critical", "io.example.disk")


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")
@pytest.mark.parametrize("scheme", ["json", "form"])
def test_apprise_notifies_us(scheme, gateway: Gateway):
    here = gateway.url.removeprefix("http://")
    sender = apprise.Apprise()
    assert sender.add(f"{scheme}://{here}/webhooks/generic?+Authorization=Bearer%20{TOKEN}")
    assert sender.notify(title=f"backup by {scheme} failed", body="no space left", notify_type=apprise.NotifyType.FAILURE)
    (event,) = [each for each in told(gateway, "generic") if scheme in each["summary"]]
    assert (event["action"], event["summary"]) == ("trigger", f"backup by {scheme} failed")
    assert call("GET", f"{gateway.url}/healthz")[0] == 200
