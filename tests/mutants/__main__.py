"""
`make mutants`: takes each guard away, one by one, and expects its test to fail. A guard that nothing misses is one that nothing
tests. Works on a copy of the package; a guard that is not found where it is said to be is a failure too: this list is then old.

`python -m tests.mutants [WORD ...]` takes those whose name has one of the words.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from functools import lru_cache
from pathlib import Path

from .guards import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
LONGEST = 60  # seconds for a test; one that hangs without its guard fails as well


def main(words: list[str]) -> int:
    """Run them, and print the table. 0 if every one was missed."""
    chosen = [mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words)]
    unmissed = []
    for mutant in chosen:
        began = time.monotonic()
        verdict = _try(mutant)
        print(f"{verdict:14}{time.monotonic() - began:6.1f} s  {mutant.name:50} {mutant.tests}", flush=True)
        unmissed += [mutant.name] if verdict != "missed" else []
    print(f"{len(chosen) - len(unmissed)} of {len(chosen)} guards are missed when they are gone")
    return 1 if unmissed else 0


def _try(mutant: Mutant) -> str:
    with tempfile.TemporaryDirectory(prefix="gateway-mutant-") as directory:
        copy = Path(directory)
        for name in ("gateway", "tests", "providers.d", "sinks.d", "schemas", "docs", "examples"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md", "Makefile"):
            shutil.copy(ROOT / name, copy / name)
        file = copy / "gateway" / mutant.file
        text = file.read_text()
        if text.count(mutant.guard) != 1:
            return f"{text.count(mutant.guard)} FOUND"
        if not _is_well(mutant.tests):
            return "FAILS ANYWAY"
        file.write_text(text.replace(mutant.guard, mutant.instead))
        return {0: "NOT MISSED", 1: "missed"}.get(found := _run(copy, mutant.tests), f"rc {found}")


def _run(root: Path, tests: str) -> int:
    """What pytest says of the package in a directory: 0 all is well, 1 something failed or never ended."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--timeout", str(LONGEST), *shlex.split(tests)]
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        return subprocess.run(
            command, cwd=root, env=environment, capture_output=True, timeout=3 * LONGEST, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        return 1


@lru_cache
def _is_well(tests: str) -> bool:
    """Whether the tests pass with every guard in its place: else they would miss anything."""
    return _run(ROOT, tests) == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
