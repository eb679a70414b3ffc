"""gateway.yaml and GATEWAY_*: the environment wins over the file, the file over the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..values import Duration
from .decode import decode
from .problems import Problem
from .schema import Settings
from .yaml import Document

_WORDS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def read_settings(root: Path | None, environment: Mapping[str, str]) -> tuple[Settings, list[Problem]]:
    """The settings, and the problems of their file and variables."""
    file = (root or Path()) / "gateway.yaml"
    document = Document(str(file), file.read_bytes() if root is not None and file.is_file() else b"{}")
    read = decode(document, Settings)
    settings = read if isinstance(read, Settings) else Settings()
    problems = list(document.problems)
    changes: dict[str, Any] = {}
    for field in msgspec.structs.fields(Settings):
        text = environment.get(f"GATEWAY_{field.name.upper()}")
        if text is None or field.name == "admin_token":
            continue
        try:
            changes[field.name] = _read(text, getattr(settings, field.name))
        except ValueError as error:
            problems.append(Problem("environment", 1, 1, "setting", f"GATEWAY_{field.name.upper()}: {error}", hint=""))
    return msgspec.structs.replace(settings, **changes), problems


def _read(text: str, current: Any) -> Any:
    match current:
        case bool():
            if text.lower() not in _WORDS:
                raise ValueError(f"{text!r} is neither true nor false")
            return _WORDS[text.lower()]
        case Duration():
            return Duration.read(text)
        case int():
            if not text.isascii() or not text.isdigit():
                raise ValueError(f"{text!r} is not a number")
            return int(text)
        case str():
            return text
    raise ValueError("this one can only be set in gateway.yaml")
