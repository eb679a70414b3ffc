"""
Bringing deliveries to one sink, once: render, authorize, send, judge, and say where that leaves each.

A batch that is refused as a whole is halved until the poison is alone.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from .errors import SecretUnset, StageError, Undelivered, Unrenderable
from .expr import ExpressionError
from .model import Attempt, Delivery, Request, Response
from .stages.answer import Visit
from .stages.authorize import authorize, sign
from .stages.deliver import Answers, Judgement, judge, next_state
from .stages.render import Parcel, pack, render
from .store import Result
from .values import harmless

if TYPE_CHECKING:
    from .config import Config
    from .config.schema import Sink, Step
    from .outbound import Client

EXCERPT = 2_000  # characters of an answer that are kept
VISIT_TIMEOUT = 10.0  # seconds


class Trip(Struct, frozen=True, kw_only=True):
    """What a sink's deliveries need on their way: its file, its names in scope, the client, a clock, a die."""

    sink: Sink
    names: Mapping[str, Any]
    config: Config
    client: Client
    clock: Callable[[], float]
    chance: Callable[[], float]
    say: Callable[[str], None]

    def scope(self, delivery: Delivery) -> dict[str, Any]:
        """The names that a delivery's expressions have."""
        incident = to_builtins(delivery.incident) if delivery.incident else {}
        return {**self.names, "event": to_builtins(delivery.event), "incident": incident, "memory": dict(delivery.memory)}


async def bring(
    config: Config,
    client: Client,
    name: str,
    deliveries: Sequence[Delivery],
    clock: Callable[[], float] = time.time,
    chance: Callable[[], float] = random.random,
    say: Callable[[str], None] = print,
) -> list[Result]:
    """Try once; what came of each delivery. Nothing is raised for a delivery that fails: its result says why."""
    sink = config.sinks[name]
    trip = Trip(sink=sink, names=config.scope_of(name), config=config, client=client, clock=clock, chance=chance, say=say)
    if sink.print is not None:
        return [_print(trip, delivery) for delivery in deliveries]
    if sink.steps:
        return [await _walk(trip, delivery) for delivery in deliveries]
    return await _send_together(trip, deliveries)


async def visit(client: Client, page: Visit, scope: Mapping[str, Any]) -> None:
    """Fetch the page that confirms a subscription, from an allowed host over https. Raises Undelivered."""
    url = str(page.url(scope) or "")
    parts = urlsplit(url)
    if parts.scheme != "https" or not any(host.matches(parts.hostname or "") for host in page.hosts):
        raise Undelivered("the page to visit is not on an allowed host", reason="host", retryable=False)
    response = await client.send(Request(method="GET", url=url, headers={}), timeout=VISIT_TIMEOUT)
    if not 200 <= response.status < 300:
        raise Undelivered(f"the page to visit answered {response.status}", reason="answer")


def _print(trip: Trip, delivery: Delivery) -> Result:
    assert trip.sink.print is not None
    try:
        trip.say(" ".join(harmless(str(trip.sink.print(trip.scope(delivery)) or "")).split()))
    except ExpressionError as error:
        return _settled(trip, delivery, Judgement("dead", f"render: print: {error}"), trip.clock(), None)
    return _settled(trip, delivery, Judgement("delivered", "printed"), trip.clock(), None)


async def _send_together(trip: Trip, deliveries: Sequence[Delivery]) -> list[Result]:
    """One request for all of them, or as many as the batch's limits make of it."""
    assert trip.sink.request is not None
    began, results = trip.clock(), []
    for parcel in _parcels(trip, deliveries):
        if isinstance(parcel, Parcel):
            results += await _send(trip, [deliveries[index] for index in parcel.indices], parcel.request)
        else:
            index, error = parcel
            results.append(_settled(trip, deliveries[index], Judgement("dead", f"render: {error}"), began, None))
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
    began = trip.clock()
    judgements, response = await _exchange(trip, request, trip.sink.response, len(deliveries))
    refused = judgements[0].verdict in ("split", "dead") and not judgements[0].own
    if refused and len(deliveries) > 1:
        middle = len(deliveries) // 2
        return [*await _send_together(trip, deliveries[:middle]), *await _send_together(trip, deliveries[middle:])]
    return [
        _settled(trip, delivery, judgement, began, response, batch=len(deliveries))
        for delivery, judgement in zip(deliveries, judgements, strict=True)
    ]


async def _exchange(trip: Trip, request: Request, answers: Answers, count: int) -> tuple[list[Judgement], Response | None]:
    """Authorize, sign, send and judge. What goes wrong on the way is a judgement too."""
    try:
        authorized = authorize(trip.sink.auth, request, trip.config.secrets)
        signed = sign(trip.sink.sign, authorized, trip.config.secrets, trip.clock())
        response = await trip.client.send(signed, timeout=trip.sink.limits.timeout, tls=trip.sink.tls)
    except SecretUnset as error:
        return [Judgement("park", str(error))] * count, None
    except Undelivered as error:
        return [Judgement("retry" if error.retryable else "dead", str(error), error.retry_after)] * count, None
    return judge(answers, response, count, trip.clock()), response


async def _walk(trip: Trip, delivery: Delivery) -> Result:
    """A delivery's steps in order, those whose `when` holds; a retry goes on where it stopped."""
    began, memory, progress = trip.clock(), dict(delivery.memory), dict(delivery.progress)
    response: Response | None = None
    judgement: Judgement | None = None
    for step in trip.sink.steps:
        scope = trip.scope(delivery) | {"memory": memory}
        if step.name in progress:
            continue
        try:
            if step.when is not None and not step.when(scope):
                continue
            request = render(step.request, scope)
        except (StageError, ExpressionError) as error:
            judgement = Judgement("dead", f"render: step {step.name}: {error}")
            break
        (judgement,), response = await _exchange(trip, request, step.response, 1)
        if judgement.verdict != "delivered":
            judgement = replace(judgement, reason=f"step {step.name}: {judgement.reason}")
            break
        memory |= _remembered(step, response)
        progress[step.name] = True
    if judgement is None and not progress:
        return Result(delivery=delivery, attempt=None, state="cancelled", verdict="no step applies to it")
    judged = judgement or Judgement("delivered", "every step was done")
    settled = _settled(trip, delivery, judged, began, response)
    return replace(settled, memory=memory if memory != delivery.memory else None, progress=progress)


def _remembered(step: Step, response: Response | None) -> dict[str, Any]:
    scope = {"answer": response.json if response else None, "response": to_builtins(response)}
    found = {name: expression(scope) for name, expression in step.remember.items()}
    return {name: value for name, value in found.items() if value is not None}


def _settled(
    trip: Trip, delivery: Delivery, judgement: Judgement, began: float, response: Response | None, *, batch: int = 1
) -> Result:
    now = trip.clock()
    state, due_at, verdict = next_state(judgement, delivery.attempts, trip.sink.retry, trip.chance(), now)
    attempt = Attempt(
        number=delivery.attempts,
        at=began,
        seconds=max(0.0, now - began),
        verdict=judgement.verdict,
        status=response.status if response else None,
        excerpt=trip.config.secrets.mask(response.text[:EXCERPT]) if response else "",
        error="" if judgement.verdict == "delivered" else trip.config.secrets.mask(judgement.reason),
        batch=batch,
    )
    return Result(delivery=delivery, attempt=attempt, state=state, due_at=due_at, verdict=trip.config.secrets.mask(verdict))
