"""
Webhooks as vendors send them, and what each means: written down from the facts, before the mappings were, by somebody who has not
seen them.

The corpus is not ours to commit: it lies beside the project, in `shared/payloads`. What it means lies here, in `expectations`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

from gateway.config import load
from gateway.errors import StageError
from gateway.model import Event, Webhook
from gateway.reading import understand

CORPUS = Path(__file__).parents[3] / "shared" / "payloads"
EXPECTATIONS = Path(__file__).parent / "expectations"
QUIET = ("ping", "handshake", "ignored")  # three words for one thing: it is answered with a success, and tells of nothing
LOST = ("dead letter", "unreadable")  # by our YAML, by the sender's bytes


class Came(Struct, frozen=True):
    """What came of a case. `outcome` is `events`, `handshake`, `ignored`, `dead letter` or `unreadable`."""

    outcome: str
    events: Sequence[Event] = ()
    why: str = ""


@cache
def config() -> Any:
    """The shipped configuration."""
    return load(None, {})


@cache
def expectations(provider: str) -> dict[str, dict[str, Any]]:
    """What each case of a provider means."""
    return dict(yaml.safe_load((EXPECTATIONS / f"{provider}.yaml").read_text())["cases"])


def providers() -> list[str]:
    """Those with cases."""
    return sorted(file.stem for file in EXPECTATIONS.glob("*.yaml"))


@cache
def sample(provider: str, case: str) -> dict[str, Any]:
    """A case as it is stored."""
    return dict(json.loads((CORPUS / provider / f"{case}.json").read_text()))


def webhook(provider: str, case: str, body: Any = None) -> Webhook:
    """A case as it comes in, or another `body` (a text, or data) in its place."""
    stored = sample(provider, case)
    said = stored.get("body_text", stored.get("body", "")) if body is None else body
    return Webhook(
        id="0198c000-0000-7000-8000-000000000000",
        provider=provider,
        received_at=datetime(2026, 1, 1, tzinfo=UTC),
        body=(said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)).encode(),
        method=stored.get("method", "POST"),
        url=stored.get("signing", {}).get("url", f"https://gateway.test/webhooks/{provider}"),
        headers={name.lower(): value for name, value in stored["headers"].items()},
        query=stored.get("query") or {},
    )


def read(provider: str, sent: Webhook) -> Came:
    """What a webhook means to a provider's file."""
    try:
        understood = understand(config().providers[provider], sent)
    except StageError as error:
        return Came("unreadable", why=str(error))
    if understood.dead:
        return Came("dead letter", why="; ".join(item.message for item in understood.dead))
    if understood.handshake is not None:
        return Came("handshake")
    return Came("events" if understood.events else "ignored", understood.events)


@cache
def came(provider: str, case: str) -> Came:
    """What came of a case."""
    return read(provider, webhook(provider, case))
