"""A delivery of several steps: those whose `when` holds, in order, each done once, unless it is to be repeated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from .. import telemetry
from ..errors import StageError, StoreError
from ..expr import ExpressionError
from ..model import Delivery, Request, Response
from ..stages.deliver import Judgement
from ..stages.render import render
from ..store import Result, Steps
from .trip import Trip, cancelled, excerpt_of, exchange, settled, shown, too_late, untried, wished

if TYPE_CHECKING:
    from ..config.schema import Step

SOONEST = 1.0  # seconds; whatever the answer says
OWN = ".memory"  # in a delivery's progress: what it remembered itself, whatever another of its incident has remembered since
ASK_AGAIN = 5.0  # seconds between two questions of a step that waits, unless its rule or the answer says otherwise
_LATE = Judgement("retry", "the time of its claim was up")


class _Walk(Struct):
    """How far a delivery has come along its steps."""

    memory: dict[str, Any]
    progress: dict[str, Any]
    response: Response | None = None
    rest: float = 0.0


async def walk(trip: Trip, delivery: Delivery) -> Result:
    """A delivery's steps in order, those whose `when` holds; a retry goes on where it stopped, and repeats its look-ups."""
    repeated = {step.name for step in trip.sink.steps if step.every_try}
    progress = {name: done for name, done in delivery.progress.items() if name not in repeated}
    began, walk = trip.clock(), _Walk(dict(delivery.memory) | progress.get(OWN, {}), progress)
    end: Judgement | None = None
    for step in trip.sink.steps:
        if end is None and step.name not in walk.progress:
            end = await _take(trip, delivery, step, walk)
            if step.name in walk.progress and step is not trip.sink.steps[-1] and not await _noted(trip, delivery, walk):
                end = _LATE
    if end is None and not walk.progress:
        return cancelled(delivery, "no step applies to it")
    if end is _LATE:
        result = too_late(trip, delivery)
    elif end is not None and end.verdict == "wait":
        result = untried(
            delivery, trip.clock() + (ASK_AGAIN if end.after is None else max(SOONEST, end.after)), shown(trip, end.reason)
        )
    else:
        judgement, excerpt = end or Judgement("delivered", "every step was done"), excerpt_of(trip, walk.response)
        result = settled(trip, delivery, judgement, began, walk.response, excerpt=excerpt)
    result = replace(result, rest=max(result.rest, walk.rest))
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
    (judgement,), walk.response = await exchange(trip, request, trip.sink.answers_to(step), [delivery], repeatable=step.every_try)
    walk.rest = max(walk.rest, wished(judgement, walk.response))
    if judgement.verdict == "wait":
        return _waiting(trip, step, walk, judgement)
    if judgement.verdict != "delivered":
        return replace(judgement, reason=f"step {step.name}: {judgement.reason}")
    walk.progress.pop(_since(step), None)
    walk.progress[step.name] = True  # whatever follows, it is not sent a second time
    try:
        found = _remembered(trip, step, walk, delivery)
    except ExpressionError as error:
        return Judgement("dead", f"step {step.name}: remember: {error}")
    if found:
        walk.memory |= found
        walk.progress[OWN] = walk.progress.get(OWN, {}) | found
    return None


def _waiting(trip: Trip, step: Step, walk: _Walk, judgement: Judgement) -> Judgement:
    """Not yet: asked again later, for as long as the rule says; then the steps begin anew."""
    now, reason = trip.clock(), f"step {step.name}: {judgement.reason}"
    since = walk.progress[_since(step)] = min(now, walk.progress.get(_since(step), now))  # the clock may have been set back
    if now - since < judgement.at_most:
        return replace(judgement, reason=reason)
    walk.progress.clear()
    return Judgement("retry", f"{reason}, and has for {judgement.at_most:g} s; the steps begin anew")


def _since(step: Step) -> str:
    """Where a delivery's progress says when a step began to wait: no step has such a name."""
    return f".since {step.name}"


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
    return {name: _masked(value, trip.config.secrets.mask) for name, value in found.items() if value is not None}


def _masked(value: Any, mask: Callable[[str], str]) -> Any:
    """The same without our secrets, however deep they stand."""
    match value:
        case str():
            return mask(value)
        case list():
            return [_masked(each, mask) for each in value]
        case dict():
            return {mask(str(name)): _masked(each, mask) for name, each in value.items()}
    return value
