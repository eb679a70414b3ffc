"""The API's replays: a dead letter, a delivery or a stored webhook put through again."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Literal

from litestar import post
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from ..replay import Replayed, Unknown, Unwise
from . import shown
from .errors import Refusal

if TYPE_CHECKING:
    from . import House

REFUSED = shown.refusals(
    {
        400: "The order is malformed.",
        401: "The token is missing or wrong.",
        404: "There is no such thing.",
        409: "It cannot be done, or wants `force`; the message says why.",
        503: "No admin token is set, or the store refuses.",
    }
)


class ReplayOrder(Struct, forbid_unknown_fields=True):
    """
    How to replay: `remapped` by today's YAML, or `as_delivered`, the same event again. Without a mode a delivery goes as it was
    delivered and a webhook is remapped. `force` triggers an incident even if it is resolved by now.
    """

    mode: Literal["as_delivered", "remapped"] | None = None
    force: bool = False


async def _replayed(doing: Awaitable[Replayed]) -> Replayed:
    try:
        return await doing
    except Unknown as error:
        raise Refusal(404, "api", "not_found", str(error)) from None
    except Unwise as error:
        raise Refusal(409, "api", "replay", str(error)) from None


def replay_handlers(house: House) -> list[Any]:
    """The three of them."""

    @post("/dead-letters/{id:str}/replay", status_code=202, summary="Replay a dead letter", responses=REFUSED)
    async def replay_dead_letter(id: FromPath[str], data: JSONBody[ReplayOrder | None] = None) -> Replayed:
        order = data or ReplayOrder()
        return await _replayed(house.replays.dead_letter(id, mode=order.mode, force=order.force))

    @post("/deliveries/{id:str}/replay", status_code=202, summary="Send a delivery again, the same event", responses=REFUSED)
    async def replay_delivery(id: FromPath[str], data: JSONBody[ReplayOrder | None] = None) -> Replayed:
        order = data or ReplayOrder()
        return await _replayed(house.replays.delivery(id, mode=order.mode, force=order.force))

    @post("/webhooks/{id:str}/replay", status_code=202, summary="Put a stored webhook through today's YAML", responses=REFUSED)
    async def replay_webhook(id: FromPath[str], data: JSONBody[ReplayOrder | None] = None) -> Replayed:
        order = data or ReplayOrder()
        return await _replayed(house.replays.webhook(id, mode=order.mode, force=order.force))

    return [replay_dead_letter, replay_delivery, replay_webhook]
