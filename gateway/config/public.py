"""The JSON Schemas that we publish: what may stand in each kind of file, and what an event looks like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..model import Event
from .schema import Provider, Settings, Sink
from .schemas import json_schema

SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {
    "provider": lambda: json_schema(Provider, id="provider.schema.json", title="A provider: one file in providers.d"),
    "sink": lambda: json_schema(Sink, id="sink.schema.json", title="A sink: one file in sinks.d"),
    "settings": lambda: json_schema(Settings, id="settings.schema.json", title="Settings: gateway.yaml"),
    "event": lambda: json_schema(Event, id="event.schema.json", title="An event, version 1"),
}
