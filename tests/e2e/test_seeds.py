"""The curl commands that users of other tools have in their documents, run verbatim with the real curl; only host and port differ."""

from __future__ import annotations

import base64
import hmac
import json
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from gateway.config import load

from .stand import ROOT, Gateway, wait_for

SEEDS = Path(__file__).parent / "seeds"
CONFIG = ROOT / "examples" / "seeds"

# What the documents say, and for severities seed 001's table: Datadog's `error` is critical.
EXPECTED = {
    "000-datadog": {"provider": "datadog", "action": "trigger", "severity": "critical", "summary": "[Test] Alert"},
    "000-posthog": {"provider": "posthog", "action": "trigger", "severity": "warning", "summary": "Test error"},
    "000-sentry": {"provider": "sentry", "action": "trigger", "severity": "error", "summary": "Test error"},
    "000-splunk": {"provider": "splunk", "action": "trigger", "severity": "warning", "summary": "Test Alert"},
    "000-splunk-default": {"provider": "splunk", "action": "trigger", "severity": "warning", "summary": "API Errors > 10"},
    "002-generic-metadata": {"provider": "generic", "action": "trigger", "severity": "error", "summary": "Incident Title"},
    "002-generic": {"provider": "generic", "action": "trigger", "severity": "warning", "summary": "Test Incident"},
    "002-github-payload": {
        "provider": "github",
        "action": "notice",
        "severity": "info",
        "summary": "org/repo#42 merged: Fix memory leak",
    },
    "002-pagerduty": {"provider": "pagerduty", "action": "trigger", "severity": "error", "summary": "High CPU usage"},
    "002-github": {"provider": "github", "action": "notice", "severity": "info", "summary": "test/repo#42 merged: Test PR"},
}


def curl(script: Path, gateway: Gateway) -> tuple[int, object]:
    text = script.read_text().replace("http://localhost:8000", gateway.url)
    shown = text.replace("curl ", "curl -s -w '\\n%{http_code}' ", 1)
    done = subprocess.run(["bash", "-c", shown], capture_output=True, text=True, check=True, timeout=20)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body)


@pytest.fixture(scope="module")
def open_gateway(tmp_path_factory):
    with Gateway(tmp_path_factory.mktemp("open"), config=CONFIG, dev=True) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def locked_gateway(tmp_path_factory):
    secrets = {"SENTRY_WEBHOOK_SECRET": "s3cret", "SPLUNK_WEBHOOK_TOKEN": "t0ken"}  # the others' secrets are not set
    with Gateway(tmp_path_factory.mktemp("locked"), config=CONFIG, env=secrets) as gateway:
        yield gateway


@pytest.mark.parametrize("name", EXPECTED)
def test_a_seeds_curl_works_verbatim_in_dev_mode(name, open_gateway):
    status, answer = curl(SEEDS / f"{name}.sh", open_gateway)
    assert status in (200, 202), answer
    events = [{key: event[key] for key in EXPECTED[name]} for event in open_gateway.all("events")]
    assert events.count(EXPECTED[name]) == 1, events
    wait_for("the console", open_gateway.drained)
    open_gateway.assert_conserved()


def test_the_generic_door_answers_as_its_document_says(open_gateway):
    status, answer = curl(SEEDS / "002-generic.sh", open_gateway)
    incident = next(item for item in open_gateway.all("incidents") if item["summary"] == "Test Incident")
    assert (status, answer) == (200, {"status": "success", "incident_id": incident["id"]})


@pytest.mark.parametrize("name", EXPECTED)
def test_without_dev_mode_the_same_curl_is_refused_and_nothing_is_stored(name, locked_gateway):
    status, answer = curl(SEEDS / f"{name}.sh", locked_gateway)
    closed = name not in ("000-sentry", "000-splunk", "000-splunk-default")
    assert status == (503 if closed else 401)
    assert answer["error"]["stage"] == "verify"
    assert "SECRET" not in json.dumps(answer)
    assert "TOKEN" not in json.dumps(answer)
    assert locked_gateway.all("events") == []


def test_who_asks_whether_webhooks_reach_us_is_answered(locked_gateway):
    assert curl(SEEDS / "002-test.sh", locked_gateway) == (200, {"status": "success"})


TOKEN, SECRET = "t0ken-of-a-team", "s3cret-of-a-team"
RELAY = ("X-Webhook-Signature", "sha256=", "sha256", "hex")
# Seed 001's table of integrations: its path, our provider, and what proves the sender: a signature as the vendor makes it, or a relay before us
# for those that cannot sign; the key where there is none.
INTEGRATIONS = [
    ("cloudwatch", "cloudwatch", "?token={token}"),
    ("azure", "azure-monitor", "?tokenid={token}"),
    ("datadog", "datadog", {"X-Webhook-Token": "{secret}"}),
    ("github", "github", ("X-Hub-Signature-256", "sha256=", "sha256", "hex")),
    ("github", "gitlab", {"X-Gitlab-Token": "{token}"}),
    ("grafana", "grafana", ("X-Grafana-Alerting-Signature", "", "sha256", "hex")),
    ("newrelic", "newrelic", {"Authorization": "Bearer {token}"}),
    ("google-cloud-monitoring", "google-cloud-monitoring", RELAY),
    ("splunk-oncall", "splunk-oncall", ("X-VictorOps-Signature", "", "sha1", "base64")),
    ("splunk-observability", "splunk-observability", ("X-SFX-Signature", "", "sha256", "base64")),
    ("dynatrace", "dynatrace", RELAY),
    ("appdynamics", "appdynamics", RELAY),
    ("elastic", "elastic", RELAY),
    ("honeycomb", "honeycomb", RELAY),
    ("bitbucket", "bitbucket", ("X-Hub-Signature", "sha256=", "sha256", "hex")),
    ("uptimerobot", "uptimerobot", RELAY),
    ("pingdom", "pingdom", RELAY),
    ("better-uptime", "better-uptime", RELAY),
    ("uptime-kuma", "uptime-kuma", RELAY),
    ("prometheus", "prometheus", {"Authorization": "Bearer {token}"}),
    ("sentry", "sentry", ("Sentry-Hook-Signature", "", "sha256", "hex")),
    ("webhook", "generic", RELAY),
]
CATALOGUE = load(None, {}, tests=True)


@pytest.fixture(scope="module")
def keyed_gateway(tmp_path_factory):
    names = {str(reference) for provider in CATALOGUE.providers.values() for reference in provider.auth.references()}
    values = {name: TOKEN if name.endswith("_TOKEN") else SECRET for name in names if name.endswith(("_TOKEN", "_SECRET"))}
    with Gateway(tmp_path_factory.mktemp("keyed"), config=CONFIG, env=values) as gateway:
        yield gateway


def sample(provider: str) -> tuple[bytes, dict[str, str]]:
    """The first test in a file that triggers, as its sender sends it: a body, and headers."""
    form = provider == "splunk-oncall"  # what it signs is a form
    for test in CATALOGUE.providers[provider].tests:
        if (
            [event.action for event in test.expect] == ["trigger"]
            and not test.secrets
            and (test.webhook.payload is not None or form)
        ):
            break
    headers = {"Content-Type": "application/json", **test.webhook.headers}
    if form:
        return b"incident=12&summary=db+is+down", headers | {"Content-Type": "application/x-www-form-urlencoded"}
    return json.dumps(test.webhook.payload).encode(), headers


def signature(proof: tuple[str, str, str, str], body: bytes, url: str) -> dict[str, str]:
    header, prefix, algorithm, encoding = proof
    stamp = str(int(time.time()))
    signed = {
        "X-Grafana-Alerting-Signature": stamp.encode() + b":" + body,
        "X-VictorOps-Signature": url.encode() + b"".join(sorted(body.replace(b"+", b" ").replace(b"=", b"").split(b"&"))),
    }.get(header, body)
    digest = hmac.digest(SECRET.encode(), signed, algorithm)
    written = digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()
    return {header: prefix + written, "X-Grafana-Alerting-Timestamp": stamp}


def post(url: str, body: bytes, headers: dict[str, str]) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize("path, provider, proof", INTEGRATIONS, ids=[provider for _, provider, _ in INTEGRATIONS])
def test_an_integration_works_at_its_path_with_the_verification_that_is_named(path, provider, proof, keyed_gateway):
    url = f"{keyed_gateway.url}/api/integrations/{path}"
    body, headers = sample(provider)
    assert post(url, body, headers) == 401
    if isinstance(proof, str):
        url += proof.format(token=TOKEN)
    elif isinstance(proof, dict):
        headers |= {name: value.format(token=TOKEN, secret=SECRET) for name, value in proof.items()}
    else:
        headers |= signature(proof, body, url)
        assert post(url, body + b"1", headers) == 401
    assert post(url, body, headers) in (200, 201, 202)
    told = [event for event in keyed_gateway.all("events") if event["provider"] == provider]
    assert [event["action"] for event in told] == ["trigger"]
