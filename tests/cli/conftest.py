"""The command line as a shell calls it, in this process: what it prints on either stream, and how it ends."""

from __future__ import annotations

import io
import os
import sys
from typing import NamedTuple

import pytest

from gateway import cli


class Done(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def gateway(tmp_path, monkeypatch, capsys):
    """Call the command in an empty directory, with no environment but what is given."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("GATEWAY_"):
            monkeypatch.delenv(name)

    def call(*arguments: object, stdin: bytes = b"", files: dict[str, str] | None = None, **env: str) -> Done:
        for name, text in (files or {}).items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["gateway", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return Done(int(ended.value.code or 0), *capsys.readouterr())

    return call
