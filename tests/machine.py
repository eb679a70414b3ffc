"""How fast this machine is: what a test allows in seconds is a ratio against that, so that a slow or busy one fails nothing."""

from __future__ import annotations

import time
from functools import cache

USUAL = 0.15  # seconds for `_work` on the machine on which the bounds were set


@cache
def slowness() -> float:
    """How many times longer this machine takes than the usual one; at least 1."""
    return max(1.0, min(_work() for _ in range(3)) / USUAL)


def _work() -> float:
    began = time.thread_time()
    sum(number * number for number in range(3_000_000))
    return time.thread_time() - began
