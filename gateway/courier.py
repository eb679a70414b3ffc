"""
Bringing deliveries to one sink, once: render, authorize, send, judge, and say where that leaves each.

A batch that is refused as a whole is halved until the poison is alone, for as long as the claim allows: what was not sent by
then comes back untried.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import anyio
from msgspec import Struct, to_builtins
from msgspec.structs import replace

from . import telemetry
from .errors import SecretUnset, StageError, StoreError, Undelivered, Unrenderable
from .expr import ExpressionError
from .model import Attempt, Delivery, Request, Response, Verdict
from .stages.answer import Visit
from .stages.authorize import OAuth2, authorize, sign
from .stages.deliver import LONGEST_WAIT, Answers, Judgement, judge, next_state
from .stages.render import Parcel, pack, render
from .store import Result, Steps
from .values import harmless

if TYPE_CHECKING:
    from .config import Config
    from .config.schema import Sink, Step
    from .outbound import Client

EXCERPT = 2_000  # characters of an answer that are kept
VISIT_TIMEOUT = 10.0  # seconds
MOST_LOST = 5  # tries beyond those of `retry` that may end with the gateway: more, and the delivery itself may be what stops it
ASK_AGAIN = 5.0  # seconds between two questions of a step that waits, unless its rule or the answer says otherwise
OURS_TO_MEND = ("tls", "credentials")  # reasons for which another try is worth nothing until a file or secret of ours changes
ESCALATED = "escalated"  # remembered for an incident and a sink that waits before it tells: it was told


class Trip(Struct, frozen=True, kw_only=True):
    """What a sink's deliveries need on their way: its file, its names in scope, the client, a clock, a die, and until when."""

    name: str
    sink: Sink
    names: Mapping[str, Any]
    config: Config
    client: Client
    clock: Callable[[], float]
    chance: Callable[[], float]
    say: Callable[[str], Awaitable[None]]
    note: Callable[[Steps], Awaitable[bool]] | None
    until: float  # epoch seconds after which no request is begun

    def scope(self, delivery: Delivery) -> dict[str, Any]:
        """The names that a delivery's expressions have."""
        incident = to_builtins(delivery.incident) if delivery.incident else {}
        return {**self.names, "event": to_builtins(delivery.event), "incident": incident, "memory": dict(delivery.memory)}


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
) -> list[Result]:
    """
    Try once; what came of each delivery. Nothing is raised for a delivery that fails: its result says why. `note` keeps how far a
    delivery of several steps has come, and says whether its claim is still held.
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
        until=began + patience(sink) - sink.limits.timeout,
    )
    try:
        results = await _bring(trip, deliveries)
    except Exception as error:  # noqa: BLE001 - one delivery that trips us over may not stop the others, and must not be lost
        telemetry.failed_unexpectedly(f"sink {name}", error)
        fault = Judgement("retry", f"a fault in the gateway ({type(error).__name__}); its log has the place")
        results = [_settled(trip, delivery, fault, began, None) for delivery in deliveries]
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
    held = [result for delivery in deliveries if (result := _lost(trip, delivery) or _held(trip, delivery))]
    kept = {result.delivery.id for result in held}
    results = await _bring_now(trip, [delivery for delivery in deliveries if delivery.id not in kept])
    return held + ([_escalated(result) for result in results] if trip.sink.escalate_after is not None else results)


async def _bring_now(trip: Trip, deliveries: Sequence[Delivery]) -> list[Result]:
    if trip.sink.print is not None:
        return [await _print(trip, delivery) for delivery in deliveries]
    if trip.sink.steps:
        return [await _walk(trip, delivery) for delivery in deliveries]
    return await _send_together(trip, deliveries)


def _lost(trip: Trip, delivery: Delivery) -> Result | None:
    """What becomes of a delivery in the middle of whose tries the gateway stops each time; None where it may be tried."""
    if delivery.attempts <= trip.sink.retry.attempts + MOST_LOST:
        return None
    reason = "the gateway stopped in the middle of the last ones, and this may be why; see its log before you replay it"
    return Result(
        delivery=delivery, attempt=None, state="dead", verdict=f"given up after {delivery.attempts - 1} tries: {reason}"
    )


def _held(trip: Trip, delivery: Delivery) -> Result | None:
    """
    What becomes of a delivery that `escalate_after` keeps back; None where it goes now.

    A trigger waits, and is told only if its incident is open by then. What follows it waits behind it, as always, and is told
    only if the trigger was.
    """
    wait, event, told = trip.sink.escalate_after, delivery.event, ESCALATED in delivery.memory
    if wait is None or delivery.incident is None:
        return None
    if event.action != "trigger":
        return None if told else _cancelled(delivery, "its incident was never escalated to this sink")
    if delivery.incident.status != "open":
        result = _cancelled(delivery, f"the incident is {delivery.incident.status}; only an open one is escalated")
        # what was tried before, in vain or lost, may have arrived
        return _remembering(result) if delivery.attempts > 1 else result
    received, now = datetime.fromisoformat(event.received_at).timestamp(), trip.clock()
    due = received + wait
    if told or now >= due or now < received:  # received in a time to come: the clock was set back, and it has waited since then
        return None
    return _untried(delivery, due, f"escalates after {wait:g} s, if the incident is still open then")


def _escalated(result: Result) -> Result:
    if result.attempt is None or result.delivery.event.action != "trigger":
        return result
    return _remembering(result)


def _remembering(result: Result) -> Result:
    return replace(result, memory={**(result.memory or result.delivery.memory), ESCALATED: True})


def _cancelled(delivery: Delivery, reason: str) -> Result:
    return Result(delivery=delivery, attempt=None, state="cancelled", verdict=reason)


def _untried(delivery: Delivery, due_at: float, reason: str) -> Result:
    return Result(delivery=delivery, attempt=None, state="pending", due_at=due_at, verdict=reason)


def _too_late(trip: Trip, delivery: Delivery) -> Result:
    return _untried(delivery, trip.clock(), "not sent yet: the time of its claim was up")


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
        return _settled(trip, delivery, Judgement("dead", f"render: print: {error}"), began, None)
    except (OSError, TimeoutError):
        stuck = Judgement("retry", "print: nobody reads standard output, and the line did not go out")
        return _settled(trip, delivery, stuck, began, None)
    return _settled(trip, delivery, Judgement("delivered", "printed"), began, None)


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
    if began > trip.until:
        return [_too_late(trip, delivery) for delivery in deliveries]
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
        response = await _proved(trip, request)
    except SecretUnset as error:
        return [Judgement("park", str(error))] * count, None
    except Undelivered as error:
        if error.unknown and trip.sink.retry.unknown == "dead":
            return [Judgement("dead", f"{error}; it may have arrived, and retry.unknown says dead", own=True)] * count, None
        verdict: Verdict = "park" if error.reason in OURS_TO_MEND else "retry" if error.retryable else "dead"
        return [Judgement(verdict, str(error), error.retry_after)] * count, None
    return judge(answers, response, count, trip.clock()), response


async def _proved(trip: Trip, request: Request) -> Response:
    """The answer to a request that proves who we are. A token that a sink refuses is replaced, once."""
    auth, secrets, tls = trip.sink.auth, trip.config.secrets, trip.sink.tls
    if not isinstance(auth, OAuth2):
        return await _signed(trip, authorize(auth, request, secrets))
    token = await trip.client.tokens.get(auth, secrets, tls)
    response = await _signed(trip, authorize(auth, request, secrets, token))
    if response.status != HTTPStatus.UNAUTHORIZED:
        return response
    trip.client.tokens.refuse(auth, secrets, token)
    return await _signed(trip, authorize(auth, request, secrets, await trip.client.tokens.get(auth, secrets, tls)))


async def _signed(trip: Trip, request: Request) -> Response:
    signed = sign(trip.sink.sign, request, trip.config.secrets, trip.clock())
    limits, tls = trip.sink.limits, trip.sink.tls
    return await trip.client.send(signed, timeout=limits.timeout, tls=tls, certificate=_certificate(trip))


def _certificate(trip: Trip) -> str:
    """What stands behind `tls.client_cert`: PEM, or the path of a file. Raises SecretUnset."""
    tls = trip.sink.tls
    return trip.config.secrets.look_up(tls.client_cert) if tls is not None and tls.client_cert is not None else ""


class _Walk(Struct):
    """How far a delivery has come along its steps."""

    memory: dict[str, Any]
    progress: dict[str, Any]
    response: Response | None = None


_LATE = Judgement("retry", "the time of its claim was up")


async def _walk(trip: Trip, delivery: Delivery) -> Result:
    """A delivery's steps in order, those whose `when` holds; a retry goes on where it stopped, and repeats its look-ups."""
    repeated = {step.name for step in trip.sink.steps if step.every_try}
    progress = {name: done for name, done in delivery.progress.items() if name not in repeated}
    began, walk = trip.clock(), _Walk(dict(delivery.memory), progress)
    end: Judgement | None = None
    for step in trip.sink.steps:
        if end is None and step.name not in walk.progress:
            end = await _take(trip, delivery, step, walk)
            if step.name in walk.progress and step is not trip.sink.steps[-1] and not await _noted(trip, delivery, walk):
                end = _LATE
    if end is None and not walk.progress:
        return _cancelled(delivery, "no step applies to it")
    if end is _LATE:
        result = _too_late(trip, delivery)
    elif end is not None and end.verdict == "wait":
        result = _untried(delivery, trip.clock() + (ASK_AGAIN if end.after is None else end.after), end.reason)
    else:
        result = _settled(trip, delivery, end or Judgement("delivered", "every step was done"), began, walk.response)
    return replace(result, memory=walk.memory if walk.memory != delivery.memory else None, progress=walk.progress)


async def _noted(trip: Trip, delivery: Delivery, walk: _Walk) -> bool:
    """Keep what is done before the next step begins: whoever is killed between two repeats none."""
    if trip.note is None:
        return True
    try:
        return await trip.note(Steps(delivery=delivery, progress=dict(walk.progress), memory=dict(walk.memory)))
    except StoreError as error:  # it is kept with the result, if that can be
        telemetry.worker_stumbled(trip.name, str(error))
        return True


async def _take(trip: Trip, delivery: Delivery, step: Step, walk: _Walk) -> Judgement | None:
    """One step. None: it is done, or does not apply; else why the walk ends here."""
    try:
        request = _asked(step, trip.scope(delivery) | {"memory": walk.memory})
    except (StageError, ExpressionError) as error:
        return Judgement("dead", f"render: step {step.name}: {error}")
    if request is None:
        return None
    if trip.clock() > trip.until:
        return _LATE
    (judgement,), walk.response = await _exchange(trip, request, trip.sink.answers_to(step), 1)
    if judgement.verdict == "wait":
        return _waiting(trip, step, walk, judgement)
    if judgement.verdict != "delivered":
        return replace(judgement, reason=f"step {step.name}: {judgement.reason}")
    walk.progress.pop(_since(step), None)
    walk.progress[step.name] = True  # whatever follows, it is not sent a second time
    try:
        walk.memory |= _remembered(trip, step, walk, delivery)
    except ExpressionError as error:
        return Judgement("dead", f"step {step.name}: remember: {error}")
    return None


def _waiting(trip: Trip, step: Step, walk: _Walk, judgement: Judgement) -> Judgement:
    """Not yet: asked again later, for as long as the rule says; then the steps begin anew."""
    now, reason = trip.clock(), f"step {step.name}: {judgement.reason}"
    since = walk.progress.setdefault(_since(step), now)
    if now - since < judgement.at_most:
        return replace(judgement, reason=reason)
    walk.progress.clear()
    return Judgement("retry", f"{reason}, and has for {judgement.at_most:g} s; the steps begin anew")


def _since(step: Step) -> str:
    """Where a delivery's progress says when a step began to wait: no step has such a name."""
    return f"{step.name} since"


def _asked(step: Step, scope: Mapping[str, Any]) -> Request | None:
    """The request of a step; None where its `when` does not hold."""
    return None if step.when is not None and not step.when(scope) else render(step.request, scope)


def _remembered(trip: Trip, step: Step, walk: _Walk, delivery: Delivery) -> dict[str, Any]:
    """What is to be remembered. A value that is found nowhere, and never was, is told: a later step may wait for it in vain."""
    response = walk.response
    scope = trip.scope(delivery) | {"memory": walk.memory, "answer": response.json if response else None}
    scope["response"] = to_builtins(response)
    found = {name: expression(scope) for name, expression in step.remember.items()}
    for name, value in found.items():
        if value is None and walk.memory.get(name) is None:
            telemetry.nothing_to_remember(trip.name, step.name, f"{name}: {step.remember[name].text} finds nothing")
    mask = trip.config.secrets.mask
    return {name: mask(value) if isinstance(value, str) else value for name, value in found.items() if value is not None}


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
        excerpt=trip.config.secrets.mask(response.text)[:EXCERPT] if response else "",
        error="" if judgement.verdict == "delivered" else trip.config.secrets.mask(judgement.reason),
        batch=batch,
    )
    return Result(delivery=delivery, attempt=attempt, state=state, due_at=due_at, verdict=trip.config.secrets.mask(verdict))
