"""How commands speak: data to standard output, talk to standard error, problems with the line they are about."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import msgspec

from ..config.hints import nearest
from ..config.problems import Problem, show
from ..config.yaml import LARGEST
from ..values import harmless, read_bounded

FORMAT = click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", help="`json` where a machine reads it."
)
CONFIG = click.option(
    "--config",
    "root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    envvar="GATEWAY_CONFIG",
    help="The directory with providers.d, sinks.d and gateway.yaml.  [env: GATEWAY_CONFIG]",
)


def complain(message: str) -> None:
    """An error, for a person."""
    click.echo(f"gateway: {harmless(message)}", err=True)


def print_problems(problems: Iterable[Problem], *, err: bool = True) -> None:
    """Problems with the lines they are about, an empty line after each, and how many there are."""
    found = list(problems)
    for problem in found:
        click.echo(show(problem, _text(problem)) + "\n", err=err)
    files = len({problem.file for problem in found})
    click.echo(f"{counted(len(found), 'problem')} in {counted(files, 'file')}", err=err)


def suggestion(word: str, known: Iterable[str]) -> str:
    """` (did you mean …?)` where something known is near; else nothing."""
    meant = nearest(word, known)
    return f" (did you mean {meant!r}?)" if meant else ""


def meant_or_where(word: str, known: Iterable[str], root: Path | None) -> str:
    """What was meant by a name that is none, or where it was looked for, if that may be the mistake."""
    where = "" if root else " among the shipped files (say --config DIRECTORY for yours)"
    return suggestion(word, known) or where


def _text(problem: Problem) -> str:
    """What the problem is about; nothing of a file that is not ours to read, which may be anything."""
    if problem.rule == "file":
        return ""
    try:
        return read_bounded(Path(problem.file), LARGEST).decode(errors="replace")
    except OSError:
        return ""


def counted(number: int, thing: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def print_json(data: Any) -> None:
    """Data for a machine."""
    click.echo(msgspec.json.format(msgspec.json.encode(data), indent=2).decode())
