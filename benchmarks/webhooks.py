"""The webhook that everything is measured with: Alertmanager's, 1.2 KB, two alerts, signed; no two are the same."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator

SECRET = "bench-secret"  # noqa: S105 - of no door but the benchmark's
HEADER = "x-signature"
PATH = "/webhooks/bench"


def body(number: int) -> bytes:
    """The body of webhook `number`: two alerts that fire, whose fingerprints no other webhook has."""
    alerts = [_alert(number, index) for index in range(2)]
    document = {
        "version": "4",
        "groupKey": '{}:{alertname="InstanceDown"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "gateway",
        "groupLabels": {"alertname": "InstanceDown"},
        "commonLabels": {"alertname": "InstanceDown", "job": "node", "severity": "critical"},
        "commonAnnotations": {"summary": "Instance is down"},
        "externalURL": "http://alertmanager.example:9093",
        "alerts": alerts,
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _alert(number: int, index: int) -> dict[str, object]:
    instance = f"db-{number}-{index}:9100"
    return {
        "status": "firing",
        "labels": {"alertname": "InstanceDown", "instance": instance, "job": "node", "severity": "critical"},
        "annotations": {"summary": f"Instance {instance} is down", "runbook_url": "https://runbooks.example/InstanceDown"},
        "startsAt": "2026-03-12T08:24:38.326Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example/graph?g0.expr=up%7Bjob%3D%22node%22%7D+%3D%3D+0&g0.tab=1",
        "fingerprint": f"{number:015x}{index}",
    }


def _bare(number: int) -> list[dict[str, object]]:
    wanted = ("labels", "annotations", "startsAt", "generatorURL")
    return [{name: value for name, value in _alert(number, index).items() if name in wanted} for index in range(2)]


def signature(body: bytes) -> str:
    """The value of the signature's header."""
    return "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


def requests(first: int, count: int, path: str = PATH, *, alerts: bool = False) -> Iterator[bytes]:
    """Whole HTTP requests, ready to be written to a socket; with `alerts` the bare list of them, as Prometheus sends it."""
    for number in range(first, first + count):
        content = json.dumps(_bare(number)).encode() if alerts else body(number)
        head = (
            f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
            f"{HEADER}: {signature(content)}\r\ncontent-length: {len(content)}\r\n\r\n"
        )
        yield head.encode() + content
