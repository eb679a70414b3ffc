"""`gateway test`: the files mean what you think."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ..config import Config, load
from ..trials import Outcome, run_provider_tests, run_sink_tests
from ..values import harmless
from .explain import document_of
from .output import CONFIG, FORMAT, counted, meant_or_where, print_json


@click.command(short_help="They mean what you think: the tests inside the files.")
@click.argument("names", nargs=-1)
@CONFIG
@FORMAT
def test(names: tuple[str, ...], root: Path | None, form: str) -> int:
    """
    Run the tests inside the files: the same code as for real webhooks and deliveries, no network, no store.

    NAME is a provider or sink (`prometheus`, or `sinks.d/elastic` where both exist). Without one, the files in the configuration
    directory are tested; without that, or where it has none, the shipped ones. Every failure names the line of its test, what
    was expected and what came.

    \b
      gateway test prometheus elastic
      gateway test --config conf --format json
    """
    config = load(root, {"GATEWAY_CATALOGUE": "true"}, tests=True)
    every = run_all(config)
    files = [f"{kind}/{name}" for kind, things in _things(config).items() for name in things]
    own = [file for file in files if file not in config.shipped]
    outcomes = [outcome for outcome in every if (_named(outcome, names) if names else outcome.file in (own or files))]
    unknown = [name for name in names if not any(_named(outcome, (name,)) for outcome in outcomes)]
    if unknown:
        known = {word for outcome in every for word in (outcome.file, outcome.file.partition("/")[2])}
        known |= {*config.providers, *config.known_sinks}
        what = "has no tests" if unknown[0] in known else f"is no provider or sink{meant_or_where(unknown[0], known, root)}"
        raise click.UsageError(f"{unknown[0]!r} {what}")
    failed = [outcome for outcome in outcomes if outcome.failures]
    places = {(outcome.file, outcome.index): _place(root, outcome) for outcome in failed}
    if form == "json":
        print_json([_told(each, places.get((each.file, each.index))) for each in outcomes])
    else:
        untested = sorted({*own} - {outcome.file for outcome in every}) if not names else []
        _print(outcomes, failed, places, untested)
    return 1 if failed else 0


def _things(config: Config) -> dict[str, Mapping[str, Any]]:
    return {"providers.d": config.providers, "sinks.d": config.known_sinks}


def _place(root: Path | None, outcome: Outcome) -> tuple[str, int]:
    """The file and the line where a test begins."""
    kind, _, name = outcome.file.partition("/")
    file, (line, _) = document_of(root, kind, name).stands(("tests", outcome.index))
    return file, line


def _told(outcome: Outcome, place: tuple[str, int] | None) -> dict[str, Any]:
    told = {"file": outcome.file, "name": outcome.name, "failures": list(outcome.failures)}
    return told if place is None else told | {"path": place[0], "line": place[1]}


def run_all(config: Config) -> list[Outcome]:
    """Every test of every file."""
    outcomes = [outcome for name, provider in config.providers.items() for outcome in run_provider_tests(name, provider)]
    return outcomes + [outcome for name, sink in config.known_sinks.items() for outcome in run_sink_tests(name, sink, config)]


def _named(outcome: Outcome, names: tuple[str, ...]) -> bool:
    return outcome.file in names or outcome.file.partition("/")[2] in names


def _print(
    outcomes: list[Outcome], failed: list[Outcome], places: Mapping[tuple[str, int], tuple[str, int]], untested: list[str]
) -> None:
    for outcome in failed:
        file, line = places[outcome.file, outcome.index]
        click.echo(f"FAILED {file}:{line}: {outcome.name}")
        for failure in outcome.failures:
            click.echo(f"    {harmless(failure)}")
    files = len({outcome.file for outcome in outcomes})
    click.echo(f"{len(outcomes) - len(failed)} passed, {len(failed)} failed ({counted(files, 'file')})")
    if untested:
        click.echo(f"without tests: {', '.join(untested)}")
