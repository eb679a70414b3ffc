"""`gateway validate`: the files are right."""

from __future__ import annotations

import gc
from pathlib import Path

import click

from ..config import check
from ..config.files import sources_in
from ..config.problems import FORMATS
from .output import counted, print_problems


@click.command(short_help="The files are right: every problem, with its line.")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github", "sarif"]),
    default="text",
    help="For people, machines, GitHub annotations, code scanning.",
)
def validate(paths: tuple[Path, ...], form: str) -> int:
    """
    Check provider and sink files and gateway.yaml: every problem of every file at once, as file:line:column, with a hint.

    PATH is a file or a directory; without one, the current directory is read. Nothing is fetched and no environment is needed,
    so it runs in CI as it is.

    \b
      gateway validate                         everything below this directory
      gateway validate providers.d/team-a.yaml
      gateway validate --format github .       annotations in a pull request
    """
    where = paths or (Path(),)
    count = sum(map(_count, where))
    if not count:
        raise click.UsageError(f"there is no providers.d, sinks.d or YAML file in {', '.join(map(str, where))}")
    gc.disable()  # what is read is kept to the end, and to look again and again for what is not takes a sixth of the time
    try:
        problems = check(where)
    finally:
        gc.enable()
    if form != "text":
        click.echo(FORMATS[form](problems, {}), nl=bool(problems) or form != "github")
    elif problems:
        print_problems(problems, err=False)
    else:
        click.echo(f"{counted(count, 'file')}, no problems")
    return 1 if problems else 0


def _count(path: Path) -> int:
    settings = list(path.rglob("gateway.yaml")) if path.is_dir() else [path] if path.name == "gateway.yaml" else []
    return len(sources_in(path)) + len(settings)
