"""
Wrong configuration, and the whole message it gets. To add one: a folder in `problems/` with the files that are wrong
(`gateway.yaml`, `providers.d/*.yaml`, `sinks.d/*.yaml`); `GOLDEN=write` prints its `expected.txt` for you to judge.
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path

import pytest

from gateway import config
from gateway.config import rules
from gateway.config.problems import as_text

SECRET = "hunter2"  # stands in the folders wherever a secret was pasted
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


def test_every_rule_is_shown_by_a_folder():
    messages = "".join((folder / "expected.txt").read_text() for folder in CASES)
    shown = set(re.findall(r"^\S+:\d+:\d+: .* \[([\w-]+)\]$", messages, re.MULTILINE))
    assert {*rules.PROVIDER_RULES, *rules.SINK_RULES, *rules.SETTINGS_RULES} - shown == set()


def test_no_message_repeats_what_was_pasted_as_a_secret():
    assert [folder.name for folder in CASES if SECRET in (folder / "expected.txt").read_text()] == []
    assert any(SECRET in file.read_text(errors="replace") for folder in CASES for file in folder.rglob("*.yaml"))
