"""
The API under /api/v1: what happened, and putting it through again. Behind the admin token, which fails closed.

Lists are pages: `limit` (at most 200) and `cursor` (the `next` of the page before); every other parameter is a filter. A list's
handler has its parameters for the OpenAPI document; `_page` reads the query itself, to see unknown and doubled ones too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args

import msgspec
from litestar import Request, Router, get
from litestar.params import FromPath, QueryParameter

from ..model import Action, Outcome, Severity, State, Status
from . import shown
from .configuration import configuration_handlers
from .errors import Refusal
from .guard import guard
from .replays import replay_handlers

if TYPE_CHECKING:
    from . import House

LARGEST_PAGE = 200
CHOICES: Mapping[str, tuple[str, ...]] = {
    "action": get_args(Action),
    "severity": get_args(Severity),
    "state": get_args(State),
    "status": get_args(Status),
    "outcome": get_args(Outcome),
    "kind": ("delivery", "webhook"),
}
REFUSED = shown.refusals({400: "A parameter is wrong.", 401: "The token is missing or wrong.", 503: "No admin token is set."})
MISSING = REFUSED | shown.refusals({404: "There is no such thing."})

Call = Request[Any, Any, Any]
Cursor = Annotated[str, QueryParameter(description="The `next` of the page before; nothing for the first page.")]
Limit = Annotated[
    str,
    QueryParameter(
        description="Items of a page.", schema_extra={"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": 50}
    ),
]
T = TypeVar("T")


def _filter(name: str | None = None) -> QueryParameter:
    """A filter; with a name, by one of that name's words. (`one_of`: the framework's way to say that it may be null.)"""
    words = {"enum": list(CHOICES[name])} if name else {}
    return QueryParameter(name=name, description="Only those with this.", schema_extra={"type": "string", "one_of": None} | words)


Exactly = Annotated[str | None, _filter()]
ActionIs = Annotated[str | None, _filter("action")]
SeverityIs = Annotated[str | None, _filter("severity")]
StateIs = Annotated[str | None, _filter("state")]
StatusIs = Annotated[str | None, _filter("status")]
OutcomeIs = Annotated[str | None, _filter("outcome")]
KindIs = Annotated[str | None, _filter("kind")]


def api_router(house: House) -> Router:
    """Every handler of the API, behind its guard."""
    handlers = [*_lists(house), *_singles(house), *_overviews(house), *replay_handlers(house), *configuration_handlers(house)]
    return Router("/api/v1", route_handlers=handlers, guards=[guard(house)], security=[{"admin token": []}])


def _once(request: Call) -> dict[str, str]:
    """The query's parameters, each of which may come once."""
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in given:
            raise Refusal(400, "api", "parameter", f"{name[:40]}: it is given twice; keep one")
        given[name] = value
    return given


async def _page(request: Call, read: Callable[..., Awaitable[Any]], page: type[T]) -> T:
    filters = _once(request)
    cursor, limit = filters.pop("cursor", ""), filters.pop("limit", "50")
    if not (limit.isascii() and limit.isdigit() and len(limit) < 4 and 1 <= int(limit) <= LARGEST_PAGE):
        raise Refusal(400, "api", "parameter", f"limit: {limit[:20]!r} is not a number from 1 to {LARGEST_PAGE}")
    for name in filters.keys() & CHOICES.keys():
        if filters[name] not in CHOICES[name]:
            raise Refusal(400, "api", "parameter", f"{name}: {filters[name][:40]!r} is none of {', '.join(CHOICES[name])}")
    try:
        found = await read(filters, cursor=cursor, limit=int(limit))
    except (ValueError, OverflowError) as error:
        known = isinstance(error, ValueError)
        text = str(error) if known else f"the cursor {cursor[:80]!r} is none of ours; begin without one"
        raise Refusal(400, "api", "parameter", text) from None
    return msgspec.convert({"items": found.items, "next": found.next}, page, strict=False)  # times come as epoch seconds


def _lists(house: House) -> list[Any]:
    store = house.store

    @get("/events", summary="Events, newest first", responses=REFUSED)
    async def events(  # noqa: PLR0913, PLR0917 - each is a parameter of the API
        request: Call,
        cursor: Cursor = "",
        limit: Limit = "50",
        provider: Exactly = None,
        project: Exactly = None,
        action: ActionIs = None,
        severity: SeverityIs = None,
        dedup_key: Exactly = None,
        incident: Exactly = None,
        outcome: OutcomeIs = None,
    ) -> shown.EventPage:
        return await _page(request, store.events, shown.EventPage)

    @get("/incidents", summary="Incidents, newest first", responses=REFUSED)
    async def incidents(  # noqa: PLR0913, PLR0917 - each is a parameter of the API
        request: Call,
        cursor: Cursor = "",
        limit: Limit = "50",
        status: StatusIs = None,
        provider: Exactly = None,
        project: Exactly = None,
        dedup_key: Exactly = None,
        severity: SeverityIs = None,
    ) -> shown.IncidentPage:
        return await _page(request, store.incidents, shown.IncidentPage)

    @get("/deliveries", summary="Deliveries, newest first", responses=REFUSED)
    async def deliveries(
        request: Call,
        cursor: Cursor = "",
        limit: Limit = "50",
        sink: Exactly = None,
        in_state: StateIs = None,  # `state` is a word of the framework's
        event: Exactly = None,
        incident: Exactly = None,
    ) -> shown.DeliveryPage:
        return await _page(request, store.deliveries, shown.DeliveryPage)

    @get("/dead-letters", summary="Deliveries out of tries, and webhooks that could not be mapped", responses=REFUSED)
    async def dead_letters(
        request: Call,
        cursor: Cursor = "",
        limit: Limit = "50",
        kind: KindIs = None,
        provider: Exactly = None,
        sink: Exactly = None,
    ) -> shown.DeadLetterPage:
        return await _page(request, store.dead_letters, shown.DeadLetterPage)

    return [events, incidents, deliveries, dead_letters]


async def _one(id: str, what: str, read: Callable[[str], Awaitable[Any]], shape: type[T]) -> T:
    found = await read(id)
    if found is None:
        raise Refusal(404, "api", "not_found", f"there is no {what} {id[:80]!r}")
    return msgspec.convert(found, shape, strict=False)


def _singles(house: House) -> list[Any]:
    store = house.store

    @get("/events/{id:str}", summary="One event, with its deliveries", responses=MISSING)
    async def event(id: FromPath[str]) -> shown.EventWhole:
        return await _one(id, "event", store.event, shown.EventWhole)

    @get("/incidents/{id:str}", summary="One incident, with its events and deliveries", responses=MISSING)
    async def incident(id: FromPath[str]) -> shown.IncidentWhole:
        return await _one(id, "incident", store.incident, shown.IncidentWhole)

    @get("/deliveries/{id:str}", summary="One delivery, with its attempts", responses=MISSING)
    async def delivery(id: FromPath[str]) -> shown.DeliveryWhole:
        return await _one(id, "delivery", store.delivery, shown.DeliveryWhole)

    @get("/dead-letters/{id:str}", summary="One dead letter", responses=MISSING)
    async def dead_letter(id: FromPath[str]) -> shown.DeadItemWhole | shown.DeadDeliveryWhole:
        shape: Any = shown.DeadItemWhole | shown.DeadDeliveryWhole
        return await _one(id, "dead letter", store.dead_letter, shape)

    return [event, incident, delivery, dead_letter]


def _overviews(house: House) -> list[Any]:
    @get("/sinks", summary="Sinks: whether each is on, and its counts (accepted is the sum of the others)", responses=REFUSED)
    async def sinks() -> shown.Sinks:
        config, counts = house.pipeline.config, await house.store.conservation()
        names = sorted({*config.known_sinks, *counts})
        return shown.Sinks([_sink(config, name, counts.get(name, {})) for name in names])

    @get("/providers", summary="Providers: whether each door is open, locked or closed", responses=REFUSED, sync_to_thread=False)
    def providers() -> shown.Providers:
        config = house.pipeline.config
        return shown.Providers([_provider(config, name) for name in sorted(config.providers)])

    return [sinks, providers]


def _sink(config: Any, name: str, counts: dict[str, int]) -> shown.SinkShown:
    state: Any = "on" if name in config.sinks else "off" if name in config.off else "gone"
    return shown.SinkShown(name=name, state=state, reason=config.off.get(name, ""), counts=msgspec.convert(counts, shown.Counts))


def _provider(config: Any, name: str) -> shown.ProviderShown:
    provider = config.providers[name]
    door: Any = "open" if config.is_open(name) else "locked" if provider.auth.ready(config.secrets) else "closed"
    return shown.ProviderShown(name=name, title=provider.title, door=door, unset=provider.auth.unset(config.secrets))
