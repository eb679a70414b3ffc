"""gateway.yaml and GATEWAY_*: the environment wins over the file, the file over the defaults."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..values import Duration
from .decode import decode
from .hints import did_you_mean
from .problems import Problem, legible
from .rules import lint, wrong_settings
from .schema import Settings
from .yaml import Document

FILE = "gateway.yaml"
_WORDS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def read_settings(root: Path | None, environment: Mapping[str, str]) -> tuple[Settings, list[Problem]]:
    """The settings, and the problems of their file and variables."""
    document = _document(root)
    settings = decode(document, Settings) or Settings()
    lint(document, settings)
    changes, problems = _from_environment(settings, environment)
    return msgspec.structs.replace(settings, **changes), document.problems + problems


def unknown_aliases(root: Path | None, settings: Settings, providers: Collection[str]) -> list[Problem]:
    """The aliases in gateway.yaml that name no provider, each at its place."""
    document = _document(root)
    for path, behind in settings.aliases.items():
        names = {(): behind} if isinstance(behind, str) else {(header,): name for header, name in behind.items()}
        for place, name in names.items():
            if name not in providers:
                hint = did_you_mean(name, providers) or "name a file in providers.d, without .yaml"
                document.report(("aliases", path, *place), "unknown-provider", f"there is no provider `{legible(name)}`", hint)
    return [problem for problem in document.problems if problem.rule == "unknown-provider"]


def _document(root: Path | None) -> Document:
    file = (root or Path()) / FILE
    return Document.of(file, str(file), [file.parent]) if root is not None and file.exists() else Document(str(file), b"{}")


def _from_environment(settings: Settings, environment: Mapping[str, str]) -> tuple[dict[str, Any], list[Problem]]:
    """What the variables change, and what is wrong with them."""
    changes: dict[str, Any] = {}
    problems: list[Problem] = []
    for field in msgspec.structs.fields(Settings):
        variable = f"GATEWAY_{field.name.upper()}"
        if variable not in environment or field.name == "admin_token":
            continue
        try:
            value = _read(environment[variable], getattr(settings, field.name))
        except ValueError as error:
            problems.append(Problem("environment", 1, 1, "setting", f"{variable}: {error}"))
            continue
        changes[field.name] = value
        wrong = wrong_settings(msgspec.structs.replace(Settings(), **{field.name: value}))
        problems += [Problem("environment", 1, 1, "setting", f"{variable}: {each.message}", each.hint) for each in wrong]
    return changes, problems


def _read(text: str, current: Any) -> Any:
    match current:
        case bool():
            if text.lower() not in _WORDS:
                raise ValueError(f"`{legible(text, 40)}` is neither true nor false")
            return _WORDS[text.lower()]
        case Duration():
            return Duration.read(text)
        case int():
            if not text.isascii() or not text.isdigit():
                raise ValueError(f"`{legible(text, 40)}` is not a whole number")
            return int(text)
        case str():
            return text
    raise ValueError("this one can only be set in gateway.yaml")
