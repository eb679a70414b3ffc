"""`gateway sink test`: does this destination take what we send? One marked event, what was sent, what came back."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import click
import uuid_utils
from msgspec import Struct
from msgspec.structs import replace

from ..config import Config, load
from ..courier import bring
from ..errors import Undelivered
from ..expr import rfc3339
from ..model import Action, Delivery, Event, Incident, Request, Response, Status
from ..outbound import Client
from ..stages.render import inflate
from ..store import Result
from ..values import harmless
from .output import CONFIG, FORMAT, meant_or_where, print_json

LONGEST_SHOWN = 2_000  # characters of a body
STATUS: dict[Action, Status] = {"trigger": "open", "acknowledge": "acknowledged", "resolve": "resolved"}


class Exchange(Struct, frozen=True):
    """A request, and its answer or why there is none. Texts, without secrets."""

    method: str
    url: str
    headers: dict[str, str]
    body: str
    status: int | None = None
    answer: str = ""
    error: str = ""


@click.group(short_help="Send a marked test event to a destination.")
def sink() -> None:
    """Destinations, tried for real."""


@sink.command(name="test", short_help="Send a marked test event, and show what came back.")
@click.argument("name")
@click.option(
    "--action",
    "actions",
    multiple=True,
    type=click.Choice([*STATUS, "notice"]),
    help="What to send; may be repeated. Default: trigger, then resolve, so that nothing stays open there.",
)
@CONFIG
@FORMAT
def sink_test(name: str, actions: tuple[Action, ...], root: Path | None, form: str) -> int:
    """
    Send a marked test event to a sink, over the network, with the variables and secrets of the environment. Nothing is stored.
    Every request is shown as it was sent and answered, without secrets, and what the sink's file makes of that.

    \b
      gateway sink test splunk-hec
      gateway sink test pagerduty --action trigger --config conf
    """
    config = load(root, os.environ)
    if name not in config.known_sinks:
        raise click.UsageError(
            f"there is no sink {name!r}{meant_or_where(name, config.known_sinks, root)}; `gateway show` lists them"
        )
    if reason := config.off.get(name):
        raise click.ClickException(f"the sink {name} is off: {reason}")
    # On the loop that `serve` has: of TLS 1.3, the other one hears no refusal of our certificate where nothing is answered.
    results, exchanges = anyio.run(_send, config, name, actions or ("trigger", "resolve"), backend_options={"use_uvloop": True})
    if form == "json":
        print_json({"results": list(map(_told, results)), "exchanges": exchanges})
    else:
        _print(results, exchanges)
    return 0 if all(result.state in ("delivered", "cancelled") for result in results) else 1


class _Overheard(Client):
    """The client, and what went over it."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self._mask = config.secrets.mask
        self._kept: list[Exchange] = []

    async def send(self, request: Request, **how: Any) -> Response:
        try:
            response = await super().send(request, **how)
        except Undelivered as error:
            self._keep(request, error=str(error))
            raise
        self._keep(request, status=response.status, answer=response.text)
        return response

    def _keep(self, request: Request, *, status: int | None = None, answer: str = "", error: str = "") -> None:
        body = inflate(request).decode(errors="replace")
        self._kept.append(Exchange(request.method, request.url, dict(request.headers), body, status, answer, error))

    @property
    def exchanges(self) -> list[Exchange]:
        """All of them, without secrets: those too that one of them brought."""
        return [self._shown(each) for each in self._kept]

    def _shown(self, exchange: Exchange) -> Exchange:
        headers = {name: self._cut(value) for name, value in exchange.headers.items()}
        texts = {name: self._cut(getattr(exchange, name)) for name in ("url", "body", "answer", "error")}
        return replace(exchange, headers=headers, **texts)

    def _cut(self, text: str) -> str:
        return self._mask(text)[:LONGEST_SHOWN]


async def _send(config: Config, name: str, actions: Sequence[Action]) -> tuple[list[Result], list[Exchange]]:
    client, results, memory = _Overheard(config), list[Result](), dict[str, Any]()
    key = f"gateway-test-{uuid_utils.uuid7()}"

    async def say(line: str) -> None:
        click.echo(line)

    try:
        for action in actions:
            waited = config.sinks[name].escalate_after or 0.0
            (result,) = await bring(config, client, name, [_delivery(name, action, key, memory, waited)], say=say)
            memory = dict(result.memory or memory)
            results.append(result)
    finally:
        await client.close()
    return results, client.exchanges


def _delivery(name: str, action: Action, key: str, memory: dict[str, Any], waited: float) -> Delivery:
    """One that has waited for so many seconds: as long as the sink escalates after."""
    now, id = rfc3339(datetime.now(UTC) - timedelta(seconds=waited)), f"{uuid_utils.uuid7()}-0"
    event = Event(
        id=id,
        provider="gateway",
        type="test",
        action=action,
        dedup_key=key,
        severity="info" if action in ("resolve", "notice") else "critical",
        summary="A test of the webhook gateway: nothing is wrong",
        source="webhook-gateway",
        occurred_at=now,
        received_at=now,
        labels={"test": "true"},
    )
    incident = Incident(
        id=key,
        provider="gateway",
        dedup_key=key,
        status=STATUS.get(action, "open"),
        severity="critical",
        summary=event.summary,
        opened_at=now,
        updated_at=now,
    )
    return Delivery(
        id=f"{id}.{name}",
        seq=1,
        sink=name,
        event=event,
        incident=None if action == "notice" else incident,
        memory=memory,
        state="claimed",
        attempts=1,
    )


def _told(result: Result) -> dict[str, Any]:
    return {"action": result.delivery.event.action, "state": result.state, "verdict": result.verdict}


BECAME = {
    "delivered": "delivered",
    "cancelled": "not sent",
    "pending": "would be tried again",
    "parked": "would wait until it is mended",
    "dead": "would be a dead letter",
}


def _print(results: list[Result], exchanges: list[Exchange]) -> None:
    for each in exchanges:
        head = [f"{each.method} {each.url}", *(f"{name}: {value}" for name, value in each.headers.items()), ""]
        _quote(">", [*head, *each.body.splitlines()])
        _quote("<", [f"{each.status or 'no answer'} {each.error}".strip(), *each.answer.splitlines()])
        click.echo()
    for result in results:
        click.echo(f"{result.delivery.event.action}: {BECAME[result.state]} ({harmless(result.verdict)})")


def _quote(mark: str, lines: list[str]) -> None:
    for line in lines:
        click.echo(f"{mark} {harmless(line)}".rstrip())
