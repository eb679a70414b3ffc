"""What is not sent now: tried too often, kept back by `escalate_after` or `fold`, or not its turn; and what is sent once more."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from ..expr import ExpressionError
from ..model import Delivery
from ..stages.deliver import Judgement
from ..store import Result
from .trip import Trip, cancelled, settled, untried

MOST_LOST = 5  # tries beyond those of `retry` that may end with the gateway: more, and the delivery itself may be what stops it
TOLD = "escalated"  # remembered for an incident and a sink that waits before it tells, or folds: it was told


def held(trip: Trip, delivery: Delivery) -> Result | None:
    """What becomes of a delivery that is not sent now; None where it goes."""
    return _over(delivery) or _lost(trip, delivery) or _kept_back(trip, delivery) or _queued(trip, delivery)


def _over(delivery: Delivery) -> Result | None:
    """What becomes of a repeat whose incident was resolved before its turn came; None for anything else."""
    if not delivery.again or (delivery.incident is not None and delivery.incident.status != "resolved"):
        return None
    return Result(delivery=delivery, attempt=None, state="delivered", verdict="told before, and its incident is over")


def _lost(trip: Trip, delivery: Delivery) -> Result | None:
    """What becomes of a delivery in the middle of whose tries the gateway stops each time; None where it may be tried."""
    if delivery.attempts <= trip.sink.retry.attempts + MOST_LOST:
        return None
    reason = "the gateway stopped in the middle of the last ones, and this may be why; see its log before you replay it"
    return Result(
        delivery=delivery, attempt=None, state="dead", verdict=f"given up after {delivery.attempts - 1} tries: {reason}"
    )


def _kept_back(trip: Trip, delivery: Delivery) -> Result | None:
    """
    What becomes of a delivery that `escalate_after` or `fold` keeps back; None where it goes now.

    A trigger waits, and is told only if its incident is open by then; folded, if it is not resolved by then. What follows it
    waits behind it, as always, and is told only if the trigger was. What is told again was told: it waits no more.
    """
    wait, event, told = trip.sink.escalate_after, delivery.event, TOLD in delivery.memory
    if delivery.incident is None or not trip.sink.tells_late or delivery.again:
        return None
    if event.action != "trigger":
        return None if told else cancelled(delivery, "its incident was never told to this sink")
    if delivery.incident.status == "resolved" and trip.sink.fold and not told:
        result = cancelled(delivery, "its incident was resolved before it was told")
        return _remembering(result) if _may_have_arrived(delivery) else result
    if wait is None:
        return None
    if delivery.incident.status != "open":
        result = cancelled(delivery, f"the incident is {delivery.incident.status}; only an open one is escalated")
        return _remembering(result) if _may_have_arrived(delivery) else result
    received, now = datetime.fromisoformat(event.received_at).timestamp(), trip.clock()
    due = received + wait
    if told or now >= due or now < received:  # received in a time to come: the clock was set back, and it has waited since then
        return None
    return untried(delivery, due, f"escalates after {wait:g} s, if the incident is still open then")


def _queued(trip: Trip, delivery: Delivery) -> Result | None:
    """What becomes of a delivery whose channel, or whatever `limits.each` tells apart, is not due yet; None where it is."""
    each = trip.sink.limits.each
    if each is None:
        return None
    try:
        thing = str(each.of(trip.scope(delivery)) or "")
    except ExpressionError as error:
        return settled(trip, delivery, Judgement("dead", f"render: limits.each.of: {error}"), trip.clock(), None)
    wait = trip.pace.turn(thing)
    return untried(delivery, trip.clock() + wait, "waits for its turn: limits.each") if wait > 0 else None


def _may_have_arrived(delivery: Delivery) -> bool:
    """Whether something of it was sent before: a try that ended or was lost, or a step of several."""
    return delivery.attempts > 1 or bool(delivery.progress)


def telling(result: Result) -> Result:
    """The result, and that this sink was told, or may have been: then it is told the end as well."""
    sent = result.attempt is not None or bool(result.progress)
    return _remembering(result) if sent and result.delivery.event.action == "trigger" else result


def repeating(trip: Trip, result: Result) -> Result:
    """
    The result, and that this is to be told again after a while: a trigger that arrived, where the sink wants it repeated, also if
    it died this time. Where there is nothing to do this time, what arrived before has arrived all the same.
    """
    every, repeated = trip.sink.repeat_every, result.delivery.again
    if repeated and result.state == "cancelled":
        result = replace(result, state="delivered", verdict=f"told before; this time, {result.verdict}")
    arrived = result.state == "delivered" or (result.state == "dead" and repeated)
    due = arrived and result.delivery.event.action == "trigger"
    return replace(result, again=every) if due and every is not None else result


def _remembering(result: Result) -> Result:
    return replace(result, memory={**(result.memory or result.delivery.memory), TOLD: True})
