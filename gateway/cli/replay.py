"""`gateway replay`: put a dead letter, a delivery or a stored webhook through again, by way of the running gateway's API."""

from __future__ import annotations

from typing import Any

import click

from ..values import harmless
from .api import URL, Api
from .output import FORMAT, print_json


@click.command(short_help="Put a dead letter, delivery or webhook through again.")
@click.argument("kind", type=click.Choice(["dead-letter", "delivery", "webhook"]))
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every dead letter there is (with `dead-letter`).")
@click.option("--sink", help="With --all: only the dead letters of this sink.")
@click.option(
    "--as-delivered", "mode", flag_value="as_delivered", help="The same event again (as a dead delivery goes by default)."
)
@click.option("--remapped", "mode", flag_value="remapped", help="By today's YAML (as a webhook goes by default).")
@click.option("--force", is_flag=True, help="Trigger an incident even if it is resolved by now.")
@URL
@FORMAT
def replay(
    kind: str, ids: tuple[str, ...], everything: bool, sink: str | None, mode: str | None, force: bool, url: str, form: str
) -> int:
    """
    Put something through again. The gateway must be running; GATEWAY_ADMIN_TOKEN opens its API.

    A dead letter of a webhook that could not be mapped goes through today's YAML; one of a delivery is sent again as the same
    event, to the same sink.

    \b
      gateway replay dead-letter 0198c0….splunk-hec
      gateway replay dead-letter --all --sink elastic
      gateway replay webhook 0198c0…
    """
    if bool(ids) == everything:
        raise click.UsageError("give the ids to replay, or --all" if not ids else "give either ids or --all, not both")
    if everything and kind != "dead-letter":
        raise click.UsageError("--all goes with dead-letter")
    if sink and not everything:
        raise click.UsageError("--sink goes with --all")
    api, done = Api(url), list[dict[str, Any]]()
    try:
        for id in ids or [letter["id"] for letter in api.dead_letters(sink)]:
            done.append(api.replay(kind, id, mode=mode, force=force))
    except click.ClickException:
        if done:
            _tell(done, form)
        raise
    _tell(done, form)
    return 1 if any("error" in each for each in done) else 0


def _tell(done: list[dict[str, Any]], form: str) -> None:
    failed = [each for each in done if "error" in each]
    if form == "json":
        print_json(done)
        return
    for each in failed:
        click.echo(f"{each['id']}: {harmless(each['error'])}", err=True)
    click.echo(f"{len(done) - len(failed)} replayed, {len(failed)} not")
