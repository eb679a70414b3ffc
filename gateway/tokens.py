"""Access tokens for sinks (OAuth 2.0, RFC 6749): got once for all who wait, renewed before they end, thrown away when refused."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlencode

import anyio
from msgspec import Struct

from .errors import Undelivered
from .model import Request, Response
from .values import Secrets, Tls

if TYPE_CHECKING:
    from .outbound import Client
    from .stages.authorize import OAuth2

EARLY = 60.0  # seconds before its end at which a token is renewed
LIFETIME = 300.0  # seconds that a token is used whose endpoint does not say how long it holds
LONGEST = 30 * 86400  # seconds that any is believed to hold
TIMEOUT = 10.0  # seconds
FORM = "application/x-www-form-urlencoded"


class _Token(Struct, frozen=True):
    value: str
    until: float  # ticks


class _Flight:
    """One who asks, and those who wait for what comes of it."""

    def __init__(self) -> None:
        self.over = anyio.Event()
        self.error: Undelivered | None = None


class Tokens:
    """The tokens that are in use. `ticks` are seconds that only go on."""

    def __init__(self, client: Client, ticks: Callable[[], float] = time.monotonic) -> None:
        self._client, self._ticks = client, ticks
        self._held: dict[tuple[str, ...], _Token] = {}
        self._under_way: dict[tuple[str, ...], _Flight] = {}

    async def get(self, auth: OAuth2, secrets: Secrets, tls: Tls | None = None) -> str:
        """
        A token that holds. Raises SecretUnset, and Undelivered; its reason is `credentials` where the endpoint does not know us.
        """
        asked = auth.asked(secrets)
        while (flight := self._under_way.get(asked)) is not None:  # one asks for all, and what goes wrong goes wrong for all
            await flight.over.wait()
            if (error := flight.error) is not None:
                raise Undelivered(str(error), reason=error.reason, retryable=error.retryable)
        held = self._held.get(asked)
        if held is None or self._ticks() >= held.until:
            held = await self._renew(asked, auth, secrets, tls)
        return held.value

    def refuse(self, auth: OAuth2, secrets: Secrets, token: str) -> None:
        """A sink did not take this one: another is got when it is next needed."""
        asked = auth.asked(secrets)
        held = self._held.get(asked)
        if held is not None and held.value == token:
            del self._held[asked]

    async def _renew(self, asked: tuple[str, ...], auth: OAuth2, secrets: Secrets, tls: Tls | None) -> _Token:
        self._under_way[asked] = flight = _Flight()
        try:
            checked = Tls(ca_file=tls.ca_file) if tls is not None and tls.ca_file is not None else None  # always verified
            response = await self._client.send(_request(auth, secrets), timeout=TIMEOUT, tls=checked)
            token, seconds = _given(response)
        except Undelivered as error:
            flight.error = error
            raise
        finally:
            del self._under_way[asked]
            flight.over.set()
        secrets.conceal_for_now(token, seconds)
        self._held[asked] = held = _Token(token, self._ticks() + max(0.0, seconds - EARLY))
        return held


def _request(auth: OAuth2, secrets: Secrets) -> Request:
    """RFC 6749, 4.4.2, with the client's password as 2.3.1 has it."""
    url, name, password, scope, *more = auth.asked(secrets)
    fields = {"grant_type": "client_credentials", **dict(zip(more[::2], more[1::2], strict=True))}
    if scope:
        fields["scope"] = scope
    headers = {"Content-Type": FORM, "Accept": "application/json"}
    if auth.client_in == "body":
        fields |= {"client_id": name, "client_secret": password}
    else:
        encoded = base64.b64encode(f"{quote_plus(name)}:{quote_plus(password)}".encode()).decode()
        secrets.conceal(encoded)
        headers["Authorization"] = f"Basic {encoded}"
    return Request(method="POST", url=url, headers=headers, content=urlencode(fields).encode())


def _given(response: Response) -> tuple[str, float]:
    """The token, and for how many seconds it holds. Raises Undelivered."""
    said: Mapping[str, Any] = response.json if isinstance(response.json, dict) else {}
    token, seconds = said.get("access_token"), said.get("expires_in", LIFETIME)
    if response.status == HTTPStatus.OK and isinstance(token, str) and re.fullmatch(r"[!-~]+", token):
        known = isinstance(seconds, int | float) and 0 <= seconds <= LONGEST
        return token, float(seconds) if known else LIFETIME
    error = f" ({said['error']})" if "error" in said else ""
    without = " without a token" if response.status == HTTPStatus.OK else ""
    message = f"auth: the token endpoint answered {response.status}{error}{without}"
    if response.status in (400, 401, 403):
        raise Undelivered(message, reason="credentials", retryable=False)
    raise Undelivered(message, reason="token")
