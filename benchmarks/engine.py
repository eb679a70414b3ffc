"""P4: what verifying, decoding and mapping a webhook costs, against `json.loads` of the same body."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from gateway.config import Config, load
from gateway.model import Webhook
from gateway.reading import prove, understand

from . import files, webhooks

ROUNDS, CALLS = 40, 500


def loaded() -> Config:
    """The configuration that is measured, in memory."""
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as directory:
        return load(files.write(Path(directory) / "conf", {}), files.ENVIRONMENT)


def webhook(number: int = 1) -> Webhook:
    """What the door makes of a request."""
    content = webhooks.body(number)
    headers = {"host": "127.0.0.1", "content-type": "application/json", webhooks.HEADER: webhooks.signature(content)}
    return Webhook(id="0199", provider="bench", received_at=datetime.now(UTC), body=content, headers=headers)


def reader(config: Config) -> Callable[[Webhook], object]:
    """Verify, decode and map."""
    provider, now = config.providers["bench"], time.time()

    def read(webhook: Webhook) -> object:
        prove(config, webhook, now)
        return understand(provider, webhook)

    return read


def measure() -> tuple[float, float]:
    """Microseconds of the engine and of `json.loads`: the medians of many short rounds, taken in turn."""
    read, each = reader(loaded()), webhook()
    assert len(read(each).events) == 2  # type: ignore[attr-defined]
    engine, loads = [], []
    for _ in range(ROUNDS):
        engine.append(_microseconds(lambda: read(each)))
        loads.append(_microseconds(lambda: json.loads(each.body)))
    return statistics.median(engine), statistics.median(loads)


def _microseconds(call: Callable[[], object]) -> float:
    began = time.thread_time()
    for _ in range(CALLS):
        call()
    return (time.thread_time() - began) / CALLS * 1e6


if __name__ == "__main__":
    ours, theirs = measure()
    print(f"engine {ours:.1f} us, json.loads {theirs:.1f} us: {ours / theirs:.1f}x")
