"""
Bringing deliveries to one sink, once: render, authorize, send, judge, and say where that leaves each.

A batch that is refused as a whole is halved until the poison is alone, and one whose first bad event is named goes on behind
that, for as long as the claim allows: what was not sent by then comes back untried.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import anyio

from .. import telemetry
from ..errors import Undelivered, Unrenderable
from ..expr import ExpressionError
from ..model import Delivery, Request
from ..pace import Pace
from ..stages.answer import Visit
from ..stages.authorize import OAuth2
from ..stages.deliver import LONGEST_WAIT, Judgement
from ..stages.render import Parcel, pack, render
from ..store import Result, Steps
from ..values import harmless
from .holding import held, repeating, telling
from .trip import Trip, excerpt_of, exchange, settled, too_late
from .walking import walk

if TYPE_CHECKING:
    from ..config import Config
    from ..config.schema import Sink
    from ..outbound import Client

VISIT_TIMEOUT = 10.0  # seconds


async def bring(  # noqa: PLR0913 - what the world gives it: files, network, time, chance, voice, memory
    config: Config,
    client: Client,
    name: str,
    deliveries: Sequence[Delivery],
    clock: Callable[[], float] = time.time,
    chance: Callable[[], float] = random.random,
    *,
    say: Callable[[str], Awaitable[None]],
    note: Callable[[Steps], Awaitable[bool]] | None = None,
    pace: Pace = Pace(),  # noqa: B008 - without limits it has nothing that changes
) -> list[Result]:
    """
    Try once; what came of each delivery. Nothing is raised for a delivery that fails: its result says why. `note` keeps how far a
    delivery of several steps has come, and says whether its claim is still held. `pace` is told of each request.
    """
    sink, began = config.sinks[name], clock()
    trip = Trip(
        name=name,
        sink=sink,
        names=config.scope_of(name),
        config=config,
        client=client,
        clock=clock,
        chance=chance,
        say=say,
        note=note,
        pace=pace,
        until=began + patience(sink) - sink.limits.timeout,
    )
    try:
        results = await _bring(trip, deliveries)
    except Exception as error:  # noqa: BLE001 - one delivery that trips us over may not stop the others, and must not be lost
        telemetry.failed_unexpectedly(f"sink {name}", error)
        fault = Judgement("retry", f"a fault in the gateway ({type(error).__name__}); its log has the place")
        results = [settled(trip, delivery, fault, began, None) for delivery in deliveries]
    places = {delivery.id: place for place, delivery in enumerate(deliveries)}
    return sorted(results, key=lambda result: places[result.delivery.id])


def patience(sink: Sink) -> float:
    """
    Seconds that one call of `bring` may take, and so what a claim's lease must outlast: enough to settle at least one delivery
    even if every try takes its whole timeout. A batch is halved until one is alone; one try more is for what the clock loses.
    """
    tries = len(sink.steps) or 1
    if isinstance(sink.auth, OAuth2):
        tries *= 2  # and a token for each
    if sink.batch is not None:
        tries += math.ceil(math.log2(max(1, sink.batch.events)))
    return sink.limits.timeout * (tries + 1)


def longest_waits(sink: Sink) -> tuple[float, float]:
    """Seconds that a delivery has to wait at most by what the file says: one that was never tried, and one that was."""
    answers = [sink.response, *(step.response for step in sink.steps)]
    rules = [rule for each in answers for rule in (*each.rules, *(each.items.rules if each.items else ()))]
    delays = [rule.after.fixed if rule.after.fixed is not None else LONGEST_WAIT for rule in rules if rule.after is not None]
    return sink.escalate_after or 0.0, max(sink.retry.max_delay, *delays, 0.0)


async def _bring(trip: Trip, deliveries: Sequence[Delivery]) -> list[Result]:
    kept = {delivery.id: result for delivery in deliveries if (result := held(trip, delivery))}
    results = await _bring_now(trip, [delivery for delivery in deliveries if delivery.id not in kept])
    if trip.sink.tells_late:
        results = [telling(result) for result in results]
    return [*kept.values(), *(repeating(trip, result) for result in results)]


async def _bring_now(trip: Trip, deliveries: Sequence[Delivery]) -> list[Result]:
    if trip.sink.print is not None:
        return [await _print(trip, delivery) for delivery in deliveries]
    if trip.sink.steps:
        return [await walk(trip, delivery) for delivery in deliveries]
    return await _send_together(trip, deliveries)


async def visit(client: Client, page: Visit, scope: Mapping[str, Any]) -> None:
    """Fetch the page that confirms a subscription, from an allowed host over https. Raises Undelivered."""
    response = await client.send(Request(method="GET", url=page.address(scope), headers={}), timeout=VISIT_TIMEOUT)
    if not 200 <= response.status < 300:
        raise Undelivered(f"the page to visit answered {response.status}", reason="answer")


async def _print(trip: Trip, delivery: Delivery) -> Result:
    assert trip.sink.print is not None
    began = trip.clock()
    try:
        text = " ".join(harmless(str(trip.sink.print(trip.scope(delivery)) or "")).split())
        with anyio.fail_after(trip.sink.limits.timeout):
            await trip.say(text)
    except ExpressionError as error:
        return settled(trip, delivery, Judgement("dead", f"render: print: {error}"), began, None)
    except (OSError, TimeoutError):
        stuck = Judgement("retry", "print: nobody reads standard output, and the line did not go out")
        return settled(trip, delivery, stuck, began, None)
    return settled(trip, delivery, Judgement("delivered", "printed"), began, None)


async def _send_together(trip: Trip, deliveries: Sequence[Delivery]) -> list[Result]:
    """One request for all of them, or as many as the batch's limits make of it, until each is settled."""
    results: list[Result] = []
    while deliveries:
        began, left = trip.clock(), []
        for parcel in _parcels(trip, deliveries):
            if isinstance(parcel, Parcel):
                sent = [deliveries[index] for index in parcel.indices]
                came = await _send(trip, sent, parcel.request)
                results += came
                left += sent[len(came) :]
            else:
                index, error = parcel
                results.append(settled(trip, deliveries[index], Judgement("dead", f"render: {error}"), began, None))
        deliveries = left
    return results


def _parcels(trip: Trip, deliveries: Sequence[Delivery]) -> Iterable[Parcel | tuple[int, Unrenderable]]:
    assert trip.sink.request is not None
    scopes = [trip.scope(delivery) for delivery in deliveries]
    if trip.sink.batch is not None:
        return list(pack(trip.sink.request, trip.sink.batch, scopes))
    parcels: list[Parcel | tuple[int, Unrenderable]] = []
    for index, scope in enumerate(scopes):
        try:
            parcels.append(Parcel(render(trip.sink.request, scope), (index,)))
        except Unrenderable as error:
            parcels.append((index, error))
    return parcels


async def _send(trip: Trip, deliveries: Sequence[Delivery], request: Request) -> list[Result]:
    """What came of one request. Fewer results than deliveries: those behind the first bad one were not taken."""
    began = trip.clock()
    if began > trip.until:
        return [too_late(trip, delivery) for delivery in deliveries]
    judgements, response = await exchange(trip, request, trip.sink.response, deliveries)
    refused = judgements[0].verdict in ("split", "dead") and not judgements[0].own
    if refused and len(deliveries) > 1:
        middle = len(deliveries) // 2
        return [*await _send_together(trip, deliveries[:middle]), *await _send_together(trip, deliveries[middle:])]
    excerpt = excerpt_of(trip, response)
    return [
        settled(trip, delivery, judgement, began, response, excerpt=excerpt, batch=len(deliveries))
        for delivery, judgement in zip(deliveries, judgements, strict=False)
    ]


__all__ = ["bring", "longest_waits", "patience", "visit"]
