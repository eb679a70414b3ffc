"""What the fuzzer found, and what it starts from: each target takes them, and in time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from .targets import SEEDS, TARGETS

FOUND = Path(__file__).parent / "found"
INPUTS = [(name, seed) for name, seeds in SEEDS.items() for seed in seeds]
INPUTS += [(file.parent.name, file.read_bytes()) for file in sorted(FOUND.glob("*/*"))]


@pytest.mark.parametrize("name, data", INPUTS, ids=lambda each: each if isinstance(each, str) else each[:20].hex())
def test_a_target_takes_it(name, data):
    began = time.thread_time()
    TARGETS[name](data)
    assert time.thread_time() - began < 1
