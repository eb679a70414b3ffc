"""A whole gateway in this process: real configuration, real SQLite, the ASGI app; no server and no network."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from gateway.app import State
from gateway.config import Config, load, stamp
from gateway.model import Attempt
from gateway.outbound import Client
from gateway.pipeline import Pipeline
from gateway.reload import Reloads
from gateway.replay import Replays
from gateway.store import Result, open_store
from gateway.web import build
from gateway.worker import Worker

ADMIN = "adm1n-t0ken"
TEAM = """
title: Team
auth: { scheme: token, header: X-Token, token: { env: TEAM_TOKEN } }
methods: [POST, GET]
body: { limit: 2MiB, format: auto }
delivery_id: "{{ headers['x-delivery'] }}"
events: $.items[*]
handshake:
  - { when: "{{ query.challenge }}", before_auth: true, reply: { text: "{{ query.challenge }}" } }
map:
  action: { from: $.state, table: { down: trigger, seen: acknowledge, up: resolve, skip: ignore } }
  dedup_key: $.id
  severity: { from: $.level, table: { bad: critical, poor: warning }, absent: error }
  summary: $.text
"""
SHUT = "title: Shut\nauth: { scheme: token, header: X-Token, token: { env: SHUT_TOKEN } }\nmap: { action: { default: notice }, severity: { default: info }, summary: x }\n"
SLOW = "like: team\nrate_limit: 1/m\n"
SINK = 'title: Main\nrequest: { url: "http://main.test/", json: { id: $.id } }\n'
SETTINGS = "catalogue: false\naliases: { /old/door: team }\n"
ENVIRONMENT = {"TEAM_TOKEN": "t0ken-of-team", "GATEWAY_ADMIN_TOKEN": ADMIN}
FILES = {
    "providers.d/team.yaml": TEAM,
    "providers.d/shut.yaml": SHUT,
    "providers.d/slow.yaml": SLOW,
    "sinks.d/main.yaml": SINK,
    "gateway.yaml": SETTINGS,
}


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@dataclass
class House:
    """What a test holds on to."""

    app: Any
    pipeline: Pipeline
    replays: Replays
    state: State
    worker: Worker

    @property
    def door(self) -> Any:
        return self.app.door

    async def call(self, method: str, path: str, **more: Any) -> httpx2.Response:
        transport = httpx2.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://gateway.test") as client:
            return await client.request(method, path, **more)

    async def post(self, body: Any, path: str = "/webhooks/team", **headers: str) -> httpx2.Response:
        sent = {"x-token": "t0ken-of-team", "content-type": "application/json"} | {
            k.replace("_", "-"): v for k, v in headers.items()
        }
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.call("POST", path, content=content, headers=sent)

    async def api(self, path: str, method: str = "GET", **more: Any) -> httpx2.Response:
        return await self.call(method, f"/api/v1{path}", headers={"authorization": f"Bearer {ADMIN}"}, **more)

    async def told(self, *items: dict[str, Any]) -> dict[str, Any]:
        """The receipt of a webhook that the team sends."""
        answer = await self.post({"items": list(items)})
        assert answer.status_code == 202, answer.text
        return answer.json()

    async def bury(self, *, verdict: str = "answered 400") -> int:
        """Let every due delivery of the main sink die. How many did."""
        now = self.pipeline.clock()
        claimed = await self.pipeline.store.claim("main", 100, now=now, lease=30.0, line=900.0)
        attempts = [Attempt(number=each.attempts, at=now, seconds=0.1, verdict="dead", status=400) for each in claimed]
        results = [Result(delivery=d, attempt=a, state="dead", verdict=verdict) for d, a in zip(claimed, attempts, strict=True)]
        return await self.pipeline.store.record(results, now=now)


@asynccontextmanager
async def house(
    folder: Path,
    *,
    files: dict[str, str] | None = None,
    without: Collection[str] = (),
    env: dict[str, str] | None = None,
    dev: bool = False,
) -> AsyncIterator[House]:
    root = write(folder / "conf", {name: text for name, text in (FILES | (files or {})).items() if name not in without})

    def read() -> Config:
        return load(root, ENVIRONMENT if env is None else env, dev=dev)

    config = read()
    store = open_store(f"sqlite:///{folder}/gateway.db")
    client = Client(httpx2.MockTransport(lambda request: httpx2.Response(200)))
    pipeline = Pipeline(config, store, client)
    worker, replays = Worker(pipeline), Replays(pipeline)
    reloads = Reloads(pipeline, worker, read, lambda: stamp(root, {}))
    state = State(reloads, pipeline, worker)
    try:
        yield House(build(pipeline, store, replays, reloads, state), pipeline, replays, state, worker)
    finally:
        await client.close()
        await store.close()


async def spoken(app: Any, messages: Sequence[Any], **scope: Any) -> tuple[int, dict[str, str], bytes]:
    """One request said to the app message by message, as no client library would; status, headers and body of the answer."""
    waiting, sent = list(messages), []

    async def receive() -> Any:
        message = waiting.pop(0)
        return await message() if callable(message) else message

    async def send(message: Any) -> None:
        sent.append(message)

    given = {"path": "/webhooks/team", "method": "POST", "headers": [(b"x-token", b"t0ken-of-team")], "query_string": b""} | scope
    raw = {
        "raw_path": given["path"].encode(),
        "root_path": "",
        "scheme": "http",
        "http_version": "1.1",
        "client": ("192.0.2.7", 4711),
    }
    await app(
        {"type": "http", "asgi": {"version": "3.0"}, "server": ("gateway.test", 80), "extensions": {}} | raw | given,
        receive,
        send,
    )
    headers = {name.decode(): value.decode("latin-1") for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:])


def error(stage: str, reason: str, message: str) -> dict[str, Any]:
    return {"error": {"stage": stage, "reason": reason, "message": message, "docs": "/api/v1/docs"}}
