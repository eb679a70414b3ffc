"""Seed 001's table "Severity Mapping", row by row, through the shipped files."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from gateway.config import load
from gateway.model import Webhook
from gateway.reading import understand

CONFIG = load(None, {})

PAYLOADS = {
    "cloudwatch": lambda word: {"AlarmName": "cpu", "AWSAccountId": "1", "NewStateValue": word, "NewStateReason": "why"},
    "azure-monitor": lambda word: {
        "schemaId": "azureMonitorCommonAlertSchema",
        "data": {"essentials": {"alertId": "1", "alertRule": "CPU", "severity": word, "monitorCondition": "Fired"}},
    },
    "datadog": lambda word: {"title": "CPU", "alert_id": "1", "alert_type": word},
    "prometheus": lambda word: {"alerts": [{"status": "firing", "labels": {"alertname": "CPU", "severity": word}}]},
    "sentry": lambda word: {"action": "created", "data": {"issue": {"id": "1", "title": "CPU", "level": word}}},
}
ROWS = [
    ("cloudwatch", "ALARM", "critical"),
    ("cloudwatch", "OK", "info"),
    ("azure-monitor", "Sev0", "critical"),
    ("azure-monitor", "Sev1", "error"),
    ("azure-monitor", "Sev2", "warning"),
    ("azure-monitor", "Sev3", "info"),
    ("azure-monitor", "Sev4", "info"),
    ("datadog", "error", "critical"),
    ("datadog", "warning", "warning"),
    ("datadog", "info", "info"),
    ("datadog", "success", "info"),
    ("prometheus", "critical", "critical"),
    ("prometheus", "page", "critical"),
    ("prometheus", "error", "error"),
    ("prometheus", "warning", "warning"),
    ("sentry", "fatal", "critical"),
    ("sentry", "error", "error"),
    ("sentry", "warning", "warning"),
    ("sentry", "info", "info"),
]


@pytest.mark.parametrize("provider, word, severity", ROWS)
def test_a_row_of_the_severity_table_holds(provider, word, severity):
    webhook = Webhook(
        id="0198c000-0000-7000-8000-000000000000",
        provider=provider,
        received_at=datetime(2026, 1, 1, tzinfo=UTC),
        body=json.dumps(PAYLOADS[provider](word)).encode(),
        headers={"content-type": "application/json", "sentry-hook-resource": "issue"},
    )
    understood = understand(CONFIG.providers[provider], webhook)
    assert ([event.severity for event in understood.events], understood.dead) == ([severity], ())
