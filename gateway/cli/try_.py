"""`gateway try`: what becomes of one payload."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
import uuid_utils

from ..config import Config, load
from ..errors import StageError
from ..expr import ExpressionError, to_time
from ..model import DeadItem, Decision, Event, Incident, Webhook
from ..reading import Understood, decider, understand
from ..stages.decode import decode
from ..values import harmless
from .explain import Explained, Made, document_of, explain
from .output import CONFIG, FORMAT, meant_or_where, print_json

HIDDEN = ("version", "id", "webhook_id", "received_at")
LONGEST_SHOWN = 120  # characters of a value that are shown to a person; `--format json` has all
NOTHING = "(nothing)"


@click.command(name="try", short_help="What becomes of this payload, stage by stage.")
@click.argument("provider")
@click.argument("body", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A header; may be repeated.")
@click.option("-q", "--query", "queries", multiple=True, metavar="NAME=VALUE", help="A query parameter; may be repeated.")
@click.option("-X", "--method", default="POST", help="The HTTP method.", show_default=True)
@click.option("--explain", "explained", is_flag=True, help="Stage by stage, each field with the line of YAML that made it.")
@CONFIG
@FORMAT
def try_(
    provider: str,
    body: Path,
    headers: tuple[str, ...],
    queries: tuple[str, ...],
    method: str,
    explained: bool,
    root: Path | None,
    form: str,
) -> int:
    """
    Show what becomes of a payload: its events, and the sinks that would be told if they are on. Nothing is stored or sent, and
    signatures are not checked. BODY is a file, or - for standard input.

    \b
      gateway try prometheus body.json
      gateway try github push.json -H 'X-GitHub-Event: push' --explain
    """
    config = load(root, {})
    if provider not in config.providers:
        raise click.UsageError(
            f"there is no provider {provider!r}{meant_or_where(provider, config.providers, root)}; `gateway show` lists them"
        )
    content = sys.stdin.buffer.read() if str(body) == "-" else body.read_bytes()
    if method not in config.providers[provider].methods:
        raise click.UsageError(f"{provider} takes {', '.join(config.providers[provider].methods)} here, not {method!r}")
    webhook = _webhook(provider, content, headers, queries, method)
    try:
        understood = understand(config.providers[provider], webhook)
    except StageError as error:
        click.echo(f"refused in {error.stage} with {error.http_status}: {harmless(str(error))}", err=True)
        return 1
    lives = [(event, decision) for event, decision in _lived(config, provider, understood.events)]
    items = explain(config.providers[provider], document_of(root, "providers.d", provider), webhook) if explained else []
    if form == "json":
        _print_json(understood, lives, items, explained=explained)
    elif explained and understood.handshake is None:
        _print_stages(config, webhook, understood, lives, items)
    else:
        _print(understood, lives)
    return 1 if understood.dead else 0


def _webhook(provider: str, content: bytes, headers: tuple[str, ...], queries: tuple[str, ...], method: str) -> Webhook:
    pairs = [_split(header, ":", "write a header as 'NAME: VALUE'") for header in headers]
    return Webhook(
        id=str(uuid_utils.uuid7()),
        provider=provider,
        received_at=datetime.now(UTC),
        body=content,
        method=method,
        url=f"http://gateway.test/webhooks/{provider}",
        headers={"content-type": "application/json"} | {name.lower(): value for name, value in pairs},
        query=dict(_split(query, "=", "write a query parameter as NAME=VALUE") for query in queries),
    )


def _split(text: str, by: str, otherwise: str) -> tuple[str, str]:
    name, found, value = text.partition(by)
    if not (found and name.strip()):
        raise click.UsageError(f"{otherwise}, not {text!r}")
    return name.strip(), value.strip()


def _lived(config: Config, name: str, events: Any) -> list[tuple[Event, Decision]]:
    """What each event would do, one after the other, as if every sink were on; what ends an incident finds one open."""
    decide = decider(msgspec.structs.replace(config, sinks=config.known_sinks), config.providers[name])
    incidents: dict[tuple[str, str], Incident | None] = {}
    lives: list[tuple[Event, Decision]] = []
    for event in events:
        key = event.project, event.dedup_key
        if key not in incidents and event.action in ("acknowledge", "resolve"):
            opening = msgspec.structs.replace(event, action="trigger", severity="critical")  # it may have been as bad as that
            incidents[key] = decide(None, opening).incident
        decision = decide(None if event.action == "notice" else incidents.get(key), event)
        incidents[key] = decision.incident or incidents.get(key)
        lives.append((event, decision))
    return lives


def _print_json(understood: Understood, lives: list[tuple[Event, Decision]], items: list[Explained], *, explained: bool) -> None:
    document: dict[str, Any] = {
        "events": [{"event": event, "outcome": decision.outcome, "sinks": list(decision.tell)} for event, decision in lives],
        "ignored": understood.ignored,
        "filtered": understood.filtered,
        "dead": understood.dead,
    }
    if explained:
        document["explained"] = [{"path": item.path, "case": item.case, "made": item.made} for item in items]
    print_json(document)


def _print(understood: Understood, lives: list[tuple[Event, Decision]]) -> None:
    if understood.handshake is not None:
        click.echo("a handshake: it is answered, and tells of nothing")
        return
    for index, (event, decision) in enumerate(lives):
        click.echo(f"event {index + 1}")
        for name, value in _fields(event).items():
            click.echo(f"  {name:<12} {_text(value)}")
        click.echo(f"  {'sinks':<12} {', '.join(decision.tell) or _nobody(decision)}")
    for dead in understood.dead:
        click.echo(f"dead letter, {_item(dead)}: {dead.stage}: {harmless(dead.message)}")
    _print_rest(understood)


def _print_rest(understood: Understood) -> None:
    if understood.ignored or understood.filtered:
        click.echo(f"{understood.ignored} ignored, {understood.filtered} dropped by the provider's match")
    if not (understood.events or understood.dead or understood.ignored or understood.filtered):
        click.echo("no events: the payload has none")


def _print_stages(
    config: Config, webhook: Webhook, understood: Understood, lives: list[tuple[Event, Decision]], items: list[Explained]
) -> None:
    provider = config.providers[webhook.provider]
    scheme = type(provider.auth).__struct_config__.tag
    where = f" ({provider.auth.where()})" if provider.auth.where() else ""
    click.echo(f"verify     skipped: nothing is checked here; the door itself wants the scheme {scheme}{where}")
    for dead in understood.dead:
        if dead.index < 0:
            click.echo(f"{dead.stage:<10} all of it is a dead letter: {harmless(dead.message)}")
    if not any(dead.stage == "decode" for dead in understood.dead):
        count = len(decode(provider.body, webhook))
        click.echo(f"decode     {provider.body.format}, {len(webhook.body)} bytes: {count} payload{'s' if count != 1 else ''}")
    if provider.delivery_id is not None:
        click.echo(f"delivery   {harmless(understood.delivery_id) or NOTHING}: one seen before is not taken again")
    decisions = {event.id.rpartition("-")[2]: decision for event, decision in lives}
    for number, item in enumerate(items):
        _print_item(number + 1, item, decisions)
    _print_rest(understood)


def _print_item(number: int, item: Explained, decisions: dict[str, Decision]) -> None:
    case = f"; {item.case.name} speaks: {item.case.expression}  <- {item.case.where}" if item.case else ""
    click.echo(f"map        item {number}, {harmless(item.path)}{harmless(case)}")
    known = _fields(item.became) if isinstance(item.became, Event) else {}
    for made in sorted(item.made, key=lambda each: not each.name.startswith("let ")):
        if made.value is not None or isinstance(item.became, DeadItem):
            _print_made(made, _becomes(made, known))
    if isinstance(item.became, Event) and not any(made.name == "occurred_at" and made.value is not None for made in item.made):
        click.echo(f"  {'occurred_at':<12} {item.became.occurred_at}  <- nothing says it: the time it was received")
    click.echo(_ending(item, decisions))


def _becomes(made: Made, known: Mapping[str, Any]) -> Any:
    """The value as the event has it. A time that cannot be read is not where the event's comes from."""
    if made.name == "occurred_at" and made.name in known and not _is_time(made.value):
        return f"{known[made.name]} (the time it was received: {_short(made.value)} is no time)"
    return known.get(made.name, made.value)


def _is_time(value: Any) -> bool:
    try:
        return to_time(value) is not None
    except ExpressionError:
        return False


def _print_made(made: Made, value: Any) -> None:
    click.echo(f"  {made.name:<12} {_short(value)}  <- {made.where}  {_cut(harmless(made.expression))}")


def _short(value: Any) -> str:
    return NOTHING if value is None else _cut(_text(value))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"


def _ending(item: Explained, decisions: dict[str, Decision]) -> str:
    match item.became:
        case None:
            return "           ignored, on purpose"
        case DeadItem() as dead:
            made = next((each for each in item.made if each.name.removeprefix("let ") == dead.message.partition(":")[0]), None)
            return f"dead       {harmless(dead.message)}" + (f"  <- {made.where}" if made else "")
        case Event() as event:
            decision = decisions.get(event.id.rpartition("-")[2])
            if decision is None:
                return "match      dropped by the provider's own `match`"
            return f"lifecycle  {_said(event, decision)}\nroute      {', '.join(decision.tell) or _nobody(decision)}"


def _said(event: Event, decision: Decision) -> str:
    incident = decision.incident
    if event.action == "notice":
        return "a notice: it touches no incident"
    if event.action == "trigger":
        opens = incident is not None and incident.triggers == 1
        return "opens an incident, if none is open with its key" if opens else "repeats the incident that an item above opened"
    return f"{event.action}s the incident with its key, if one is open"


def _nobody(decision: Decision) -> str:
    return "nobody: it is no news" if decision.outcome == "held" else "none wants it"


def _fields(event: Event) -> dict[str, Any]:
    return {name: value for name, value in msgspec.to_builtins(event).items() if name not in HIDDEN}


def _text(value: Any) -> str:
    return harmless(value if isinstance(value, str) else NOTHING if value is None else msgspec.json.encode(value).decode())


def _item(dead: DeadItem) -> str:
    return f"item {dead.index + 1}" if dead.index >= 0 else "all of it"
