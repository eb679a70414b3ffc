"""How commands speak: data to standard output, talk to standard error, problems with the line they are about."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import msgspec

from ..config.problems import Problem, show
from ..values import harmless

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


def print_problems(problems: Iterable[Problem]) -> None:
    """Problems with the lines they are about, and how many there are."""
    found = list(problems)
    for problem in found:
        click.echo(show(problem, _text(problem.file)), err=True)
    files = len({problem.file for problem in found})
    click.echo(f"{_count(len(found), 'problem')} in {_count(files, 'file')}", err=True)


def _text(file: str) -> str:
    path = Path(file)
    return path.read_text(errors="replace") if path.is_file() else ""


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def print_json(data: Any) -> None:
    """Data for a machine."""
    click.echo(msgspec.json.format(msgspec.json.encode(data), indent=2).decode())
