"""`gateway replay`: put a dead letter, a delivery or a stored webhook through again, by way of the running gateway's API."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote

import anyio
import click
import msgspec

from ..errors import GatewayError
from ..model import Request
from ..outbound import Client
from .output import FORMAT, print_json


@click.command()
@click.argument("kind", type=click.Choice(["dead-letter", "delivery", "webhook"]))
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every dead letter there is (with `dead-letter`).")
@click.option("--sink", help="With --all: only the dead letters of this sink.")
@click.option("--as-delivered", is_flag=True, help="The same event again, instead of mapping the webhook with today's YAML.")
@click.option("--force", is_flag=True, help="Trigger an incident even if it is resolved by now.")
@click.option("--url", default="http://127.0.0.1:8080", envvar="GATEWAY_URL", show_default=True, help="Where the gateway is.")
@FORMAT
def replay(
    kind: str, ids: tuple[str, ...], everything: bool, sink: str | None, as_delivered: bool, force: bool, url: str, form: str
) -> int:
    """
    Put something through again. The gateway must be running; GATEWAY_ADMIN_TOKEN opens its API.

    A dead letter of a webhook that could not be mapped goes through today's YAML; one of a delivery is sent again as the same
    event.

    \b
      gateway replay dead-letter 0198c0….splunk-hec
      gateway replay dead-letter --all --sink elastic
      gateway replay webhook 0198c0…
    """
    if bool(ids) == everything:
        raise click.UsageError("give the ids to replay, or --all")
    if everything and kind != "dead-letter":
        raise click.UsageError("--all goes with dead-letter")
    api = Api(url)
    wanted = list(ids) if ids else [letter["id"] for letter in api.dead_letters(sink)]
    done = [api.replay(kind, id, as_delivered=as_delivered, force=force) for id in wanted]
    failed = [each for each in done if "error" in each]
    if form == "json":
        print_json(done)
    else:
        for each in failed:
            click.echo(f"{each['id']}: {each['error']}", err=True)
        click.echo(f"{len(done) - len(failed)} replayed, {len(failed)} not")
    return 1 if failed else 0


class Api:
    """The running gateway's API."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._headers = {"content-type": "application/json"}
        if token := os.environ.get("GATEWAY_ADMIN_TOKEN"):
            self._headers["authorization"] = f"Bearer {token}"

    def dead_letters(self, sink: str | None) -> list[dict[str, Any]]:
        """All of them, page by page."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            query = f"?limit=200&cursor={quote(cursor)}" + (f"&sink={quote(sink)}" if sink else "")
            page = self._call("GET", f"/api/v1/dead-letters{query}")
            found += page["items"]
            if not (cursor := page.get("next", "")):
                return found

    def replay(self, kind: str, id: str, *, as_delivered: bool, force: bool) -> dict[str, Any]:
        """What came of it; `error` where it could not be done."""
        mode = "as_delivered" if as_delivered or kind == "delivery" else "remapped"
        if kind == "dead-letter" and not id.rpartition(".")[2].lstrip("-").isdigit():
            mode = "as_delivered"
        path = {"dead-letter": "dead-letters", "delivery": "deliveries", "webhook": "webhooks"}[kind]
        try:
            return {"id": id, "result": self._call("POST", f"/api/v1/{path}/{quote(id)}/replay", {"mode": mode, "force": force})}
        except click.ClickException as error:
            return {"id": id, "error": error.message}

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        content = b"" if body is None else msgspec.json.encode(body)
        request = Request(method=method, url=self._url + path, headers=self._headers, content=content)
        try:
            response = anyio.run(_send, request)
        except GatewayError as error:
            raise click.ClickException(f"no gateway answers at {self._url}: {error}") from None
        if response.status >= 400:
            said = (response.json or {}).get("error", {}) if isinstance(response.json, dict) else {}
            raise click.ClickException(said.get("message") or f"{self._url} answered {response.status}")
        return response.json


async def _send(request: Request) -> Any:
    client = Client()
    try:
        return await client.send(request, timeout=30.0)
    finally:
        await client.close()
