"""
Wrong configuration, and the whole message it gets. To add one: a folder in `problems/` with the files that are wrong
(`gateway.yaml`, `providers.d/*.yaml`, `sinks.d/*.yaml`); `GOLDEN=write` prints its `expected.txt` for you to judge.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import pytest

from gateway import config
from gateway.config.problems import as_text

CASES = sorted(path for path in (Path(__file__).parent / "problems").glob("*") if path.is_dir())


def printed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(folder)
    sources = {str(file.relative_to(folder)): file.read_text(errors="replace") for file in sorted(folder.rglob("*.y*ml"))}
    return as_text(config.check([Path()]), sources) + "\n"


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
def test_wrong_configuration_gets_its_whole_message(folder: Path, monkeypatch: pytest.MonkeyPatch):
    actual, file = printed(folder, monkeypatch), folder / "expected.txt"
    if os.environ.get("GOLDEN") == "write":
        file.write_text(actual)
    expected = file.read_text() if file.is_file() else ""
    difference = difflib.unified_diff(expected.splitlines(), actual.splitlines(), str(file), "printed", lineterm="")
    assert actual == expected, "\n".join(["", *difference])
    assert actual.strip(), "a folder of wrong configuration has at least one problem"
