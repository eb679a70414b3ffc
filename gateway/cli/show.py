"""`gateway show`: a whole file, after `like:` and defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..config.effective import effective
from ..config.files import KINDS, Source, catalogue_sources, sources_of
from ..config.yaml import dump
from .output import CONFIG, FORMAT, meant_or_where, print_json


@click.command(short_help="A whole file, after `like:` and defaults.")
@click.argument("name", required=False)
@CONFIG
@FORMAT
def show(name: str | None, root: Path | None, form: str) -> int:
    """
    Show the whole of a provider or sink file: what it inherits by `like:` and every default included. Secrets stand in no file,
    so none is shown. Without NAME, list what there is.

    \b
      gateway show
      gateway show prometheus
      gateway show sinks.d/elastic --format json
    """
    sources = _sources(root)
    if name is None:
        _list(sources, form)
        return 0
    found = [source for key, source in sources.items() if name in (source.name, key)]
    if not found:
        known = [word for key, source in sources.items() for word in (source.name, key)]
        raise click.UsageError(
            f"there is no provider or sink {name!r}{meant_or_where(name, known, root)}; `gateway show` lists them"
        )
    if len(found) > 1:
        raise click.UsageError(f"{name!r} is a provider and a sink; say providers.d/{name} or sinks.d/{name}")
    whole: dict[str, Any] = effective(found[0], {(source.kind, source.name): source for source in sources.values()})
    if form == "json":
        print_json(whole)
    else:
        click.echo(f"# {found[0].shown()}")
        click.echo(dump(whole), nl=False)
    return 0


def _sources(root: Path | None) -> dict[str, Source]:
    own = sources_of(root) if root else []
    return {f"{source.kind}/{source.name}": source for source in [*catalogue_sources(), *own]}


def _list(sources: dict[str, Source], form: str) -> None:
    rows = [{"kind": s.kind, "name": s.name, "file": s.shown(), "shipped": s.shipped} for s in sorted(sources.values())]
    if form == "json":
        print_json(rows)
        return
    for kind in KINDS:
        click.echo(kind)
        for row in rows:
            if row["kind"] == kind:
                click.echo(f"  {row['name']:<20} {'shipped' if row['shipped'] else row['file']}")
