"""
The API under /api/v1: what happened, and putting it through again. Behind the admin token, which fails closed.

Lists are pages: `limit` (at most 200) and `cursor` (the `next` of the page before); every other parameter is a filter.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from litestar import Request, Router, get, post
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from msgspec import Struct

from ..replay import Unknown, Unwise
from ..store import Page
from .errors import Refusal

if TYPE_CHECKING:
    from . import House

LARGEST_PAGE = 200


class ReplayOrder(Struct, forbid_unknown_fields=True):
    """How to replay: `remapped` by today's YAML, or `as_delivered`, the same event again; `force` even if it is over."""

    mode: Literal["as_delivered", "remapped"] = "remapped"
    force: bool = False


def api_router(house: House) -> Router:
    """Every handler of the API, behind its guard."""
    return Router(
        "/api/v1", route_handlers=[*_lists(house), *_singles(house), *_overviews(house), *_replays(house)], guards=[guard(house)]
    )


def guard(house: House) -> Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], None]:
    """Only the admin token opens the API; in dev mode, on loopback, it is open while no token is set."""

    def check(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        token = house.admin_token()
        if token is None:
            if house.pipeline.config.dev:
                return
            raise Refusal(503, "api", "closed", "GATEWAY_ADMIN_TOKEN is not set, so the API is closed")
        scheme, _, sent = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(sent.encode("utf-8", "replace"), token.encode()):
            headers = {"www-authenticate": "Bearer"}
            raise Refusal(401, "api", "token", "send the admin token: Authorization: Bearer …", headers=headers)

    return check


def _page_arguments(request: Request[Any, Any, Any]) -> tuple[dict[str, str], str, int]:
    given = dict(request.query_params.items())
    cursor, limit = given.pop("cursor", ""), given.pop("limit", "50")
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit) <= LARGEST_PAGE):
        raise Refusal(400, "api", "parameter", f"limit: {limit[:20]!r} is not a number from 1 to {LARGEST_PAGE}")
    return given, cursor, int(limit)


async def _page(request: Request[Any, Any, Any], read: Callable[..., Awaitable[Page]]) -> dict[str, Any]:
    filters, cursor, limit = _page_arguments(request)
    try:
        return msgspec.structs.asdict(await read(filters, cursor=cursor, limit=limit))
    except ValueError as error:
        raise Refusal(400, "api", "parameter", str(error)) from None


def _lists(house: House) -> list[Any]:
    @get("/events", summary="Events, newest first")
    async def events(request: Request[Any, Any, Any]) -> dict[str, Any]:
        return await _page(request, house.store.events)

    @get("/incidents", summary="Incidents, newest first")
    async def incidents(request: Request[Any, Any, Any]) -> dict[str, Any]:
        return await _page(request, house.store.incidents)

    @get("/deliveries", summary="Deliveries, newest first")
    async def deliveries(request: Request[Any, Any, Any]) -> dict[str, Any]:
        return await _page(request, house.store.deliveries)

    @get("/dead-letters", summary="Dead letters: deliveries out of tries, and webhooks that could not be mapped")
    async def dead_letters(request: Request[Any, Any, Any]) -> dict[str, Any]:
        return await _page(request, house.store.dead_letters)

    return [events, incidents, deliveries, dead_letters]


async def _one(id: str, what: str, read: Callable[[str], Awaitable[dict[str, Any] | None]]) -> dict[str, Any]:
    found = await read(id)
    if found is None:
        raise Refusal(404, "api", "not_found", f"there is no {what} {id[:80]!r}")
    return found


def _singles(house: House) -> list[Any]:
    @get("/events/{id:str}", summary="One event, with its deliveries")
    async def event(id: str) -> dict[str, Any]:
        return await _one(id, "event", house.store.event)

    @get("/incidents/{id:str}", summary="One incident, with its events and deliveries")
    async def incident(id: str) -> dict[str, Any]:
        return await _one(id, "incident", house.store.incident)

    @get("/deliveries/{id:str}", summary="One delivery, with its attempts")
    async def delivery(id: str) -> dict[str, Any]:
        return await _one(id, "delivery", house.store.delivery)

    @get("/dead-letters/{id:str}", summary="One dead letter")
    async def dead_letter(id: str) -> dict[str, Any]:
        return await _one(id, "dead letter", house.store.dead_letter)

    return [event, incident, delivery, dead_letter]


def _overviews(house: House) -> list[Any]:
    @get("/sinks", summary="Sinks: whether each is on, and its counts (accepted is the sum of the others)")
    async def sinks() -> dict[str, Any]:
        config, counts = house.pipeline.config, await house.store.conservation()
        names = sorted({*config.known_sinks, *counts})
        return {"items": [_sink(config, name, counts.get(name, {})) for name in names]}

    @get("/providers", summary="Providers: whether each door is open, locked or closed", sync_to_thread=False)
    def providers() -> dict[str, Any]:
        config = house.pipeline.config
        return {"items": [_provider(config, name) for name in sorted(config.providers)]}

    return [sinks, providers]


def _sink(config: Any, name: str, counts: dict[str, int]) -> dict[str, Any]:
    state = "on" if name in config.sinks else "off" if name in config.off else "gone"
    zero = dict.fromkeys(("accepted", "delivered", "filtered", "cancelled", "dead", "pending", "claimed", "parked"), 0)
    return {"name": name, "state": state, "reason": config.off.get(name, ""), "counts": zero | counts}


def _provider(config: Any, name: str) -> dict[str, Any]:
    from ..config import unset_references  # noqa: PLC0415 - config is above us only in types

    provider = config.providers[name]
    door = "open" if config.is_open(name) else "locked" if provider.auth.ready(config.secrets) else "closed"
    return {"name": name, "title": provider.title, "door": door, "unset": unset_references(provider, config.secrets)}


async def _replayed(doing: Awaitable[Any]) -> dict[str, Any]:
    try:
        return {"replayed": msgspec.to_builtins(await doing)}
    except Unknown as error:
        raise Refusal(404, "api", "not_found", str(error)) from None
    except Unwise as error:
        raise Refusal(409, "api", "replay", str(error)) from None


def _replays(house: House) -> list[Any]:
    @post("/dead-letters/{id:str}/replay", status_code=202, summary="Replay a dead letter")
    async def replay_dead_letter(id: str, data: ReplayOrder) -> dict[str, Any]:
        return await _replayed(house.replays.dead_letter(id, remap=data.mode == "remapped", force=data.force))

    @post("/deliveries/{id:str}/replay", status_code=202, summary="Send a delivery again, the same event")
    async def replay_delivery(id: str, data: ReplayOrder) -> dict[str, Any]:
        return await _replayed(house.replays.deliveries([id], force=data.force))

    @post("/webhooks/{id:str}/replay", status_code=202, summary="Put a stored webhook through today's YAML")
    async def replay_webhook(id: str, data: ReplayOrder) -> dict[str, Any]:
        return await _replayed(house.replays.webhook(id, force=data.force))

    return [replay_dead_letter, replay_delivery, replay_webhook]
