"""
The naive variant, kept as a baseline: jsonpath-ng's `find` and a Jinja2 template per field, and one commit per webhook. What most
people would write first. `python -m benchmarks.naive PORT DATABASE`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sqlite3
import sys
import uuid
from pathlib import Path
from typing import Any

import anyio.to_thread
import uvicorn
from jinja2.sandbox import SandboxedEnvironment
from jsonpath_ng.ext import parse
from litestar import Litestar, Request, Response, post

from .webhooks import HEADER, SECRET

PATHS = {
    "severity": parse("$.labels.severity"),
    "type": parse("$.labels.alertname"),
    "labels": parse("$.labels"),
    "details": parse("$.annotations"),
    "status": parse("$.status"),
    "url": parse("$.generatorURL"),
}
JINJA = SandboxedEnvironment()
TEMPLATES = {
    "dedup_key": JINJA.from_string("{{ item.fingerprint }}"),
    "summary": JINJA.from_string("{{ item.annotations.summary or item.labels.alertname }}"),
    "source": JINJA.from_string("{{ item.labels.instance or item.labels.service }}"),
    "occurred_at": JINJA.from_string("{{ item.endsAt if item.status == 'resolved' else item.startsAt }}"),
}
ALERTS = parse("$.alerts[*]")
SCHEMA = """
pragma journal_mode = wal; pragma synchronous = full;
create table webhooks (id text primary key, body blob);
create table events (id text primary key, dedup_key text, body text);
create table incidents (dedup_key text primary key, status text);
create table deliveries (id text primary key, event_id text, sink text, state text);
"""
database: sqlite3.Connection


def mapped(body: bytes) -> list[dict[str, Any]]:
    """The events of a webhook."""
    events = []
    for found in ALERTS.find(json.loads(body)):
        event = {name: matches[0].value if (matches := path.find(found.value)) else None for name, path in PATHS.items()}
        events.append(event | {name: template.render(item=found.value) for name, template in TEMPLATES.items()})
    return events


def keep(body: bytes, events: list[dict[str, Any]]) -> str:
    """One transaction."""
    id = str(uuid.uuid4())
    with database:
        database.execute("insert into webhooks values (?, ?)", (id, body))
        for index, event in enumerate(events):
            database.execute("insert into events values (?, ?, ?)", (f"{id}-{index}", event["dedup_key"], json.dumps(event)))
            database.execute(
                "insert into incidents values (?, 'open') on conflict do update set status = 'open'", (event["dedup_key"],)
            )
            for sink in ("s0", "s1"):
                database.execute(
                    "insert into deliveries values (?, ?, ?, 'pending')", (f"{id}-{index}.{sink}", f"{id}-{index}", sink)
                )
    return id


@post("/webhooks/{provider:str}", status_code=202)
async def take(provider: str, request: Request[Any, Any, Any]) -> Response[dict[str, str]]:
    """Verify, map, keep."""
    body = await request.body()
    wanted = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(request.headers.get(HEADER, ""), wanted):
        return Response({"error": "signature"}, status_code=401)
    id = await anyio.to_thread.run_sync(keep, body, mapped(body), limiter=ONE)
    return Response({"id": id}, status_code=202)


ONE = anyio.CapacityLimiter(1)

if __name__ == "__main__":
    database = sqlite3.connect(Path(sys.argv[2]), check_same_thread=False)
    database.executescript(SCHEMA)
    uvicorn.run(
        Litestar([take], openapi_config=None),
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_config=None,
    )
