"""How fast this machine is: what a test allows in seconds is a ratio against that, so that a slow or busy one fails nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

USUAL = 0.15  # seconds for `_work` on the machine on which the bounds were set

Result = TypeVar("Result")


@cache
def slowness() -> float:
    """How many times longer this machine takes than the usual one; at least 1."""
    return max(1.0, min(_work() for _ in range(3)) / USUAL)


def least(work: Callable[[], Result], enough: float) -> tuple[float, Result]:
    """Processor seconds that this takes, at the least of up to four times (the machine may be busy), and what comes of it."""
    took: list[float] = []
    while True:
        began = time.thread_time()
        result = work()
        took.append(time.thread_time() - began)
        if took[-1] < enough or len(took) == 4:
            return min(took), result


def apart(program: str, *arguments: str, given: str = "") -> Any:
    """What a program prints as JSON, in a process of its own, so that one that is killed is seen. It may import this file."""
    command = [sys.executable, "-c", program, *arguments]
    here = Path(__file__).parent
    done = subprocess.run(command, input=given, cwd=here, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr[-3_000:]
    return json.loads(done.stdout)


def _work() -> float:
    began = time.thread_time()
    sum(number * number for number in range(3_000_000))
    return time.thread_time() - began
