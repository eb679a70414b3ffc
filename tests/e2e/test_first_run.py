"""A newcomer's first minute: start it in dev mode, paste what it prints, look where it says."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from gateway.config import load

from .stand import Gateway, wait_for

LINE = "TRIGGER critical Instance db-1 is down (db-1:9100) [prometheus]"


def pasted(command: str) -> object:
    done = subprocess.run(
        ["bash", "-c", f"{command} --silent --show-error"], capture_output=True, text=True, check=True, timeout=20
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with Gateway(tmp_path_factory.mktemp("first"), dev=True) as gateway:
        yield gateway


def test_the_printed_curl_opens_an_incident_that_is_printed_and_shown(gateway):
    alert, look = re.findall(r"^ +(curl .*)$", gateway.log.read_text(), re.MULTILINE)
    receipt = pasted(alert)
    (event,) = receipt["events"]
    assert (event["action"], event["severity"], event["outcome"], event["sinks"]) == ("trigger", "critical", "told", ["console"])
    wait_for("the line", lambda: LINE in gateway.log.read_text().splitlines())
    (incident,) = pasted(look)["items"]
    assert (incident["id"], incident["status"], incident["summary"]) == (event["incident_id"], "open", "Instance db-1 is down")
    wait_for("the delivery", gateway.drained)
    assert gateway.assert_conserved()["console"]["delivered"] == 1


def test_the_open_doors_are_a_loud_line_in_the_log(gateway):
    lines = [json.loads(line) for line in gateway.log.read_text().splitlines() if line.startswith("{")]
    (opened,) = [line for line in lines if line["event"] == "providers.open"]
    assert (opened["level"], opened["message"]) == ("warning", "DEV MODE: these doors are open")
    assert {"generic", "github", "prometheus"} < set(opened["providers"])
    assert set(opened["providers"]) == set(load(None, {}).providers)
