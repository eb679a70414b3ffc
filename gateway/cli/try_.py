"""`gateway try`: what becomes of one payload."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
import uuid_utils

from ..config import Config, load
from ..errors import StageError
from ..model import Event, Incident, Webhook
from ..reading import Understood, decider, understand
from ..values import harmless
from .output import CONFIG, FORMAT, print_json


@click.command(name="try")
@click.argument("provider")
@click.argument("body", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option(
    "-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A header of the webhook; may be repeated."
)
@click.option("-q", "--query", "queries", multiple=True, metavar="NAME=VALUE", help="A query parameter; may be repeated.")
@click.option("--explain", is_flag=True, help="Say of each field which expression made it.")
@CONFIG
@FORMAT
def try_(
    provider: str, body: Path, headers: tuple[str, ...], queries: tuple[str, ...], explain: bool, root: Path | None, form: str
) -> int:
    """
    Show what becomes of a payload: its events, and the sinks that would be told. Nothing is stored or sent, and signatures are
    not checked. BODY is a file, or - for standard input.

    \b
      gateway try prometheus body.json
      gateway try github push.json -H 'X-GitHub-Event: push' --explain
    """
    config = load(root, {})
    if provider not in config.providers:
        raise click.UsageError(f"there is no provider {provider!r}; `gateway show` lists them")
    content = sys.stdin.buffer.read() if str(body) == "-" else body.read_bytes()
    webhook = _webhook(provider, content, headers, queries)
    try:
        understood = understand(config.providers[provider], webhook)
    except StageError as error:
        click.echo(f"refused in {error.stage} with {error.http_status}: {harmless(str(error))}", err=True)
        return 1
    events = [_shown(config, provider, event) for event in understood.events]
    if form == "json":
        print_json({"events": events, "ignored": understood.ignored, "filtered": understood.filtered, "dead": understood.dead})
    else:
        _print(config, provider, understood, events, explain=explain)
    return 1 if understood.dead else 0


def _webhook(provider: str, content: bytes, headers: tuple[str, ...], queries: tuple[str, ...]) -> Webhook:
    pairs = [header.partition(":") for header in headers]
    return Webhook(
        id=str(uuid_utils.uuid7()),
        provider=provider,
        received_at=datetime.now(UTC),
        body=content,
        headers={"content-type": "application/json"} | {name.strip().lower(): value.strip() for name, _, value in pairs},
        query={name: value for name, _, value in (query.partition("=") for query in queries)},
    )


def _shown(config: Config, provider: str, event: Event) -> dict[str, Any]:
    everything = msgspec.structs.replace(config, sinks=config.known_sinks)
    opened: Incident | None = None
    if event.action in ("acknowledge", "resolve"):
        opening = msgspec.structs.replace(event, action="trigger")
        opened = decider(everything, config.providers[provider])(None, opening).incident
    decision = decider(everything, config.providers[provider])(opened, event)
    return {"event": msgspec.to_builtins(event), "sinks": list(decision.tell)}


def _print(config: Config, name: str, understood: Understood, events: list[dict[str, Any]], *, explain: bool) -> None:
    if understood.handshake is not None:
        click.echo("a handshake: it is answered, and tells of nothing")
        return
    for index, shown in enumerate(events):
        click.echo(f"event {index + 1}")
        for key, value in shown["event"].items():
            if key not in ("version", "id", "webhook_id", "received_at"):
                made = f"    <- {_source(config, name, key)}" if explain and _source(config, name, key) else ""
                text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
                click.echo(f"  {key:<12} {harmless(text)}{made}")
        click.echo(f"  {'sinks':<12} {', '.join(shown['sinks']) or 'none wants it'}")
    for dead in understood.dead:
        click.echo(f"dead letter, item {dead.index}: {dead.stage}: {harmless(dead.message)}")
    if understood.ignored or understood.filtered:
        click.echo(f"{understood.ignored} ignored, {understood.filtered} dropped by the provider's match")
    if not (events or understood.dead or understood.ignored or understood.filtered):
        click.echo("no events: the payload has none")


def _source(config: Config, name: str, key: str) -> str:
    for case in config.providers[name].spoken:
        expression = getattr(case.map, key, None) if hasattr(case.map, key) else None
        if expression is not None:
            inner = getattr(expression, "from_", None)
            return str(getattr(inner or expression, "text", ""))
    return ""
