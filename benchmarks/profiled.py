"""Where the event loop's time goes while webhooks come in: the standard library's profiler, summed up by part of the gateway."""

from __future__ import annotations

import pstats
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

# The first that stands in a file's path is its part.
PARTS = {
    "site-packages/uvicorn": "HTTP: uvicorn, httptools",
    "gateway/web/protocol": "HTTP: uvicorn, httptools",
    "gateway/web": "the door",
    "gateway/telemetry": "log and metrics",
    "gateway/voice": "log and metrics",
    "site-packages/structlog": "log and metrics",
    "site-packages/prometheus_client": "log and metrics",
    "gateway/stages/verify": "verify",
    "gateway/signature": "verify",
    "gateway/values": "verify",
    "/hmac.py": "verify",
    "gateway/store": "hand over to the store, wait for the commit",
    "gateway/stages": "decode and map",
    "gateway/expr": "decode and map",
    "gateway/reading": "decode and map",
    "gateway/model": "decode and map",
    "<string>": "decode and map",  # generated
    "gateway/": "pipeline and worker",
}
LOOP = "loop: uvloop, sockets, asyncio"


def under(out: Path) -> list[str]:
    """What stands before a command whose profile is written to a file when it ends."""
    return [sys.executable, "-m", "cProfile", "-o", str(out)]


def shares(out: Path) -> dict[str, float]:
    """Which share of the time (0 to 1) each part took itself, largest first; what is built in belongs to its callers."""
    stats: dict[Any, Any] = pstats.Stats(str(out)).stats  # type: ignore[attr-defined]  # the stubs do not know it
    spent: defaultdict[str, float] = defaultdict(float)
    for (file, _, name), (_, _, own, _, callers) in stats.items():
        if file != "~":
            spent[_part(file)] += own
        elif "run_until_complete" in name or "run_forever" in name:
            spent[LOOP] += own
        else:
            for (caller, _, _), (_, _, within, _) in callers.items():
                spent[_part(caller)] += within
    whole = sum(spent.values())
    return {part: seconds / whole for part, seconds in sorted(spent.items(), key=lambda each: -each[1])}


def _part(file: str) -> str:
    return next((part for place, part in PARTS.items() if place in file), LOOP)
