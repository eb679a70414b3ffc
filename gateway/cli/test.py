"""`gateway test`: the files mean what you think."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from ..config import Config, load
from ..trials import Outcome, run_provider_tests, run_sink_tests
from ..values import harmless
from .output import CONFIG, FORMAT, counted, print_json, suggestion


@click.command(short_help="They mean what you think: the tests inside the files.")
@click.argument("names", nargs=-1)
@CONFIG
@FORMAT
def test(names: tuple[str, ...], root: Path | None, form: str) -> int:
    """
    Run the tests inside the files: the same code as for real webhooks and deliveries, no network, no store.

    NAME is a provider or sink (`prometheus`, or `sinks.d/elastic` where both exist); without one, all of them are tested. Every
    failure says which field was expected and what came.

    \b
      gateway test prometheus elastic
      gateway test --config . --format json
    """
    config = load(root, {"GATEWAY_CATALOGUE": "true"})
    every = run_all(config)
    outcomes = [outcome for outcome in every if not names or _named(outcome, names)]
    unknown = [name for name in names if not any(_named(outcome, (name,)) for outcome in outcomes)]
    if unknown:
        known = {word for outcome in every for word in (outcome.file, outcome.file.partition("/")[2])}
        raise click.UsageError(f"{unknown[0]!r} is no provider or sink that has tests{suggestion(unknown[0], known)}")
    failed = [outcome for outcome in outcomes if outcome.failures]
    if form == "json":
        print_json([msgspec.structs.asdict(outcome) for outcome in outcomes])
    else:
        _print(outcomes, failed)
    return 1 if failed else 0


def run_all(config: Config) -> list[Outcome]:
    """Every test of every file."""
    outcomes = [outcome for name, provider in config.providers.items() for outcome in run_provider_tests(name, provider)]
    return outcomes + [outcome for name, sink in config.known_sinks.items() for outcome in run_sink_tests(name, sink, config)]


def _named(outcome: Outcome, names: tuple[str, ...]) -> bool:
    return outcome.file in names or outcome.file.partition("/")[2] in names


def _print(outcomes: list[Outcome], failed: list[Outcome]) -> None:
    for outcome in failed:
        click.echo(f"FAILED {outcome.file}: {outcome.name}")
        for failure in outcome.failures:
            click.echo(f"    {harmless(failure)}")
    files = len({outcome.file for outcome in outcomes})
    click.echo(f"{len(outcomes) - len(failed)} passed, {len(failed)} failed ({counted(files, 'file')})")
