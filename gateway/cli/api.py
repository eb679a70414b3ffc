"""The running gateway's API, as the commands call it."""

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

URL = click.option(
    "--url", default="http://127.0.0.1:8080", envvar="GATEWAY_URL", show_default=True, help="Where the gateway is."
)


class Refused(Exception):
    """The gateway does not do this one."""


class Api:
    """The running gateway's API. UsageError for an address that is none, ClickException where no gateway lets us in."""

    def __init__(self, url: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise click.UsageError(f"--url: {url!r} is no address; write it like http://127.0.0.1:8080")
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

    def reload(self) -> dict[str, Any]:
        """What runs now. Refused where the files are broken."""
        found: dict[str, Any] = self._call("POST", "/api/v1/reload")
        return found

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
            given = "it does not take this admin token" if "authorization" in self._headers else "it wants the admin token"
            message = f"{given}; set GATEWAY_ADMIN_TOKEN to the one it was started with"
        if response.status in (401, 503):
            raise click.ClickException(f"{self._url}: {message}")
        raise Refused(message)


async def _send(request: Request) -> Response:
    client = Client()
    try:
        return await client.send(request, timeout=30.0)
    finally:
        await client.close()
