"""`gateway validate`: the files are right."""

from __future__ import annotations

from pathlib import Path

import click

from ..config import check
from ..config.files import sources_in
from ..config.problems import FORMATS
from .output import print_problems


@click.command()
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
    problems = check(where)
    if form != "text":
        click.echo(FORMATS[form](problems, {}))
    elif problems:
        print_problems(problems)
    else:
        count = sum(len(sources_in(path)) for path in where)
        if not count:
            raise click.UsageError(f"there is no providers.d, sinks.d or YAML file in {', '.join(map(str, where))}")
        click.echo(f"{count} files, no problems")
    return 1 if problems else 0
