"""The curl commands that users of other tools have in their documents, run verbatim with the real curl; only host and port differ."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from .stand import ROOT, Gateway, wait_for

SEEDS = Path(__file__).parent / "seeds"
CONFIG = ROOT / "examples" / "seeds"

# What the documents say, and for severities seed 001's table: Datadog's `error` is critical.
EXPECTED = {
    "000-datadog": {"provider": "datadog", "action": "trigger", "severity": "critical", "summary": "[Test] Alert"},
    "000-sentry": {"provider": "sentry", "action": "trigger", "severity": "error", "summary": "Test error"},
    "000-splunk": {"provider": "splunk", "action": "trigger", "severity": "warning", "summary": "Test Alert"},
    "002-generic": {"provider": "generic", "action": "trigger", "severity": "warning", "summary": "Test Incident"},
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
    events = [event for event in open_gateway.all("events") if event["provider"] == EXPECTED[name]["provider"]]
    assert [{key: event[key] for key in EXPECTED[name]} for event in events] == [EXPECTED[name]]
    wait_for("the console", open_gateway.drained)
    open_gateway.assert_conserved()


def test_the_generic_door_answers_as_its_document_says(open_gateway):
    status, answer = curl(SEEDS / "002-generic.sh", open_gateway)
    incident = next(item for item in open_gateway.all("incidents") if item["provider"] == "generic")
    assert (status, answer) == (200, {"status": "success", "incident_id": incident["id"]})


@pytest.mark.parametrize("name", EXPECTED)
def test_without_dev_mode_the_same_curl_is_refused_and_nothing_is_stored(name, locked_gateway):
    status, answer = curl(SEEDS / f"{name}.sh", locked_gateway)
    closed = name not in ("000-sentry", "000-splunk")
    assert status == (503 if closed else 401)
    assert answer["error"]["stage"] == "verify"
    assert "SECRET" not in json.dumps(answer)
    assert "TOKEN" not in json.dumps(answer)
    assert locked_gateway.all("events") == []
