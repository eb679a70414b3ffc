"""What a test gives, filled in: its clock, its webhook, its deliveries."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import msgspec

from ..config.schema import SampleWebhook, SinkTest
from ..expr import rfc3339
from ..model import Delivery, Event, Incident, Webhook

NOW = "2026-01-01T00:00:00Z"
TEST_ID = "0198c000-0000-7000-8000-000000000000"


def clock(text: str | None) -> datetime:
    """A test's clock. Raises ValueError with a sentence."""
    with suppress(ValueError):
        now = datetime.fromisoformat(text or NOW)
        if now.tzinfo is not None:
            return now
    raise ValueError(f"now: {text!r} is no time; write it like {NOW}")


def written(text: str | None, data: Any) -> str:
    """A body as a test gives it: as text or as data, which is sent as JSON."""
    return text if text is not None else "" if data is None else msgspec.json.encode(data).decode()


def sample_webhook(name: str, sample: SampleWebhook, now: str) -> Webhook:
    """A webhook as a test gives it."""
    headers = {key.lower(): value for key, value in sample.headers.items()}
    if sample.text is None:
        headers.setdefault("content-type", "application/json")
    query, path = urlencode(sample.query), sample.path and f"/{sample.path.strip('/')}"
    return Webhook(
        id=TEST_ID,
        provider=name,
        received_at=datetime.fromisoformat(now),
        body=written(sample.text, sample.payload).encode(),
        method=sample.method,
        url=f"http://gateway.test/webhooks/{name}{path}" + (f"?{query}" if query else ""),
        headers=headers,
        query=dict(sample.query),
        client="127.0.0.1",
        rest=path.strip("/"),
    )


def delivery_of(name: str, index: int, given: dict[str, Any], test: SinkTest, now: datetime) -> Delivery:
    filled = {
        "id": f"{TEST_ID}-{index}",
        "provider": "test",
        "action": "trigger",
        "dedup_key": "test",
        "severity": "error",
        "summary": "A test",
        "occurred_at": rfc3339(now),
        "received_at": rfc3339(now),
    } | given
    try:
        event = msgspec.convert(filled, Event)
    except msgspec.ValidationError as error:
        raise ValueError(f"event {index + 1}: {error}") from None
    return Delivery(
        id=f"{event.id}.{name}",
        seq=index + 1,
        sink=name,
        event=event,
        incident=None if event.action == "notice" else _incident(event, test.incident or {}),
        memory=test.memory,
        state="claimed",
        attempts=1,
    )


def _incident(event: Event, given: dict[str, Any]) -> Incident:
    status = {"acknowledge": "acknowledged", "resolve": "resolved"}.get(event.action, "open")
    filled = {
        "id": event.id,
        "provider": event.provider,
        "dedup_key": event.dedup_key,
        "status": status,
        "severity": event.severity,
        "summary": event.summary,
        "opened_at": event.received_at,
        "updated_at": event.received_at,
    } | given
    return msgspec.convert(filled, Incident)
