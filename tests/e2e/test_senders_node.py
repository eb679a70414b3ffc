"""Real senders that run on Node: Uptime Kuma's webhook provider and Node-RED. `make senders` installs them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from .stand import Gateway, free_port, wait_for

HERE = Path(__file__).parent / "node"
NODE = shutil.which("node")
RED = HERE / "node_modules" / "node-red" / "red.js"
pytestmark = pytest.mark.skipif(
    (NODE is None or not RED.exists()) and os.environ.get("CI") != "true",
    reason="Node-RED and Uptime Kuma are not installed: run `make senders` (it needs node and npm)",
)
TOKEN = "t0ken-of-a-sender"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with Gateway(tmp_path_factory.mktemp("node"), env={"UPTIME_KUMA_TOKEN": TOKEN, "GENERIC_TOKEN": TOKEN}) as running:
        yield running
        running.assert_conserved()


def told(gateway: Gateway, provider: str) -> list[dict]:
    return [event for event in reversed(gateway.all("events")) if event["provider"] == provider]


def kuma(gateway: Gateway, kind: str, status: int, message: str, token: str = TOKEN) -> subprocess.CompletedProcess[str]:
    command = [str(NODE), "kuma.js", f"{gateway.url}/webhooks/uptime-kuma", token, kind, str(status), message]
    return subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("kind", ["json", "form-data", "custom"])
def test_uptime_kuma_tells_down_and_up_in_each_of_its_forms(kind, gateway: Gateway):
    before = len(told(gateway, "uptime-kuma"))
    assert kuma(gateway, kind, 0, "connect ECONNREFUSED").stdout == "Sent Successfully.\n"
    assert kuma(gateway, kind, 1, "200 - OK").stdout == "Sent Successfully.\n"
    events = told(gateway, "uptime-kuma")[before:]
    assert [(event["action"], event["severity"], event["summary"]) for event in events] == [
        ("trigger", "critical", "shop: connect ECONNREFUSED"),
        ("resolve", "info", "shop: 200 - OK"),
    ]
    assert {event["dedup_key"] for event in events} == {"7"}
    assert [event["labels"] for event in events] == [{"team": "web", "monitor": "shop", "host": "shop.example"}] * 2


def test_uptime_kuma_is_told_when_its_token_is_wrong(gateway: Gateway):
    refused = kuma(gateway, "json", 0, "down", token="another")
    assert (refused.returncode, "401" in refused.stderr) == (1, True)


FLOW = [
    {"id": "flow", "type": "tab", "label": "alerts"},
    {"id": "once", "type": "inject", "z": "flow", "once": True, "onceDelay": 0.1, "repeat": "", "props": [], "wires": [["say"]]},
    {
        "id": "say",
        "type": "function",
        "z": "flow",
        "func": "msg.payload = { title: 'boiler is cold', severity: 'high', dedup_key: 'boiler', source: 'plant-1' }; return msg;",
        "outputs": 1,
        "wires": [["post"]],
    },
    {"id": "post", "type": "http request", "z": "flow", "method": "POST", "ret": "obj", "wires": [[]]},
]


def test_node_red_posts_to_us(tmp_path: Path, gateway: Gateway):
    header = {"keyType": "other", "keyValue": "Authorization", "valueType": "other", "valueValue": f"Bearer {TOKEN}"}
    flow = [
        node | ({"url": f"{gateway.url}/webhooks/generic", "headers": [header]} if node["id"] == "post" else {}) for node in FLOW
    ]
    (tmp_path / "flows.json").write_text(json.dumps(flow))
    (tmp_path / "settings.js").write_text(
        'module.exports = { flowFile: "flows.json", uiHost: "127.0.0.1", httpAdminRoot: false };'
    )
    command = [str(NODE), str(RED), "-u", str(tmp_path), "-s", str(tmp_path / "settings.js"), "-p", str(free_port())]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for("Node-RED", lambda: told(gateway, "generic"), seconds=40)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(15)
    (event,) = told(gateway, "generic")
    wanted = {"action": "trigger", "severity": "error", "summary": "boiler is cold", "dedup_key": "boiler", "source": "plant-1"}
    assert {name: event[name] for name in wanted} == wanted
