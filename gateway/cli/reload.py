"""`gateway reload`: have the running gateway take up what the files now say; or see whether it could."""

from __future__ import annotations

import os
from pathlib import Path

import click

from ..config import load
from .api import URL, Api, Refused
from .output import CONFIG, FORMAT, complain, print_json


@click.command(short_help="Take up changed files while running.")
@click.option("--check", is_flag=True, help="Only see whether the files and this environment would be taken up.")
@CONFIG
@URL
@FORMAT
def reload(check: bool, root: Path | None, url: str, form: str) -> int:
    """
    Have the running gateway read its files and secrets anew. It looks at its files by itself; this is for now, and for secrets.
    Files that are broken change nothing: what was loaded before runs on.

    With --check nothing is told to anybody: the files are read as the gateway would, with the variables set here.

    \b
      gateway reload
      gateway reload --check --config conf
    """
    if check:
        return _check(root, form)
    try:
        loaded = Api(url).reload()
    except Refused as error:
        complain(str(error))
        return 1
    if form == "json":
        print_json(loaded)
        return 0
    click.echo(f"loaded at {loaded['loaded_at']}")
    for name in loaded["restart"]:
        click.echo(f"{name} has changed and waits for a restart", err=True)
    return 0


def _check(root: Path | None, form: str) -> int:
    config = load(root, dict(os.environ))
    closed = {name: unset for name, provider in config.providers.items() if (unset := provider.auth.unset(config.secrets))}
    if form == "json":
        print_json({"providers": list(config.providers), "closed": closed, "sinks": list(config.sinks), "off": dict(config.off)})
        return 0
    click.echo(f"providers: {len(config.providers)}, of which closed for want of a secret: {len(closed)}")
    click.echo(f"sinks on: {', '.join(config.sinks) or 'none'}")
    own = [name for name in config.off if f"sinks.d/{name}" not in config.shipped]
    for name in own:
        click.echo(f"sink {name} is off: {config.off[name]}")
    return 0
