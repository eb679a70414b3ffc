"""`gateway replay`: put a dead letter, a delivery or a stored webhook through again, by way of the running gateway's API."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote

import anyio
import click
import msgspec

from ..errors import GatewayError
from ..model import Request, Response
from ..outbound import Client
from ..values import harmless
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
@click.option("--url", default="http://127.0.0.1:8080", envvar="GATEWAY_URL", show_default=True, help="Where the gateway is.")
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
    if not url.startswith(("http://", "https://")):
        raise click.UsageError(f"--url: {url!r} is no address; write it like http://127.0.0.1:8080")
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


class Refused(Exception):
    """The gateway does not do this one."""


class Api:
    """The running gateway's API. ClickException where there is none, or it lets us in nowhere."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._headers = {"content-type": "application/json"}
        if token := os.environ.get("GATEWAY_ADMIN_TOKEN"):
            self._headers["authorization"] = f"Bearer {token}"

    def dead_letters(self, sink: str | None) -> list[dict[str, Any]]:
        """All of them, page by page, before any is replayed."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            query = f"?limit=200&cursor={quote(cursor)}" + (f"&sink={quote(sink)}" if sink else "")
            try:
                page = self._call("GET", f"/api/v1/dead-letters{query}")
            except Refused as error:
                raise click.ClickException(str(error)) from None
            found += page["items"]
            if not (cursor := page["next"]):
                return found

    def replay(self, kind: str, id: str, *, mode: str | None, force: bool) -> dict[str, Any]:
        """What came of it; `error` where it could not be done."""
        path = {"dead-letter": "dead-letters", "delivery": "deliveries", "webhook": "webhooks"}[kind]
        order = {"mode": mode, "force": force}
        try:
            return {"id": id, "result": self._call("POST", f"/api/v1/{path}/{quote(id, safe='')}/replay", order)}
        except Refused as error:
            return {"id": id, "error": str(error)}

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        content = b"" if body is None else msgspec.json.encode(body)
        request = Request(method=method, url=self._url + path, headers=self._headers, content=content)
        try:
            response = anyio.run(_send, request)
        except GatewayError as error:
            raise click.ClickException(f"no gateway answers at {self._url}: {error}") from None
        return self._read(response)

    def _read(self, response: Response) -> Any:
        said = response.json if isinstance(response.json, dict) else {}
        if response.status < 300 and said:
            return said
        message = said.get("error", {}).get("message") if isinstance(said.get("error"), dict) else None
        if message is None:
            raise click.ClickException(f"what answers at {self._url} is no gateway (status {response.status})")
        if response.status == 401:
            message = "it does not take this admin token; set GATEWAY_ADMIN_TOKEN to the one it was started with"
        if response.status in (401, 503):
            raise click.ClickException(f"{self._url}: {message}")
        raise Refused(message)


async def _send(request: Request) -> Response:
    client = Client()
    try:
        return await client.send(request, timeout=30.0)
    finally:
        await client.close()
