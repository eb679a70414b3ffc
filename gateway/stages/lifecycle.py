"""
What an event means for its incident, and which sinks learn of it: one table.

A trigger opens or repeats; a repeat is held unless it is news. A resolve goes where its trigger went.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal

from msgspec.structs import replace

from ..model import SEVERITIES, Action, Decision, Event, Incident, Outcome
from ..values import Duration, Keys


class Lifecycle(Keys, frozen=True):
    """
    How this provider's incidents live.

    repeats: `hold` tells sinks only news; `deliver` passes every repeated trigger on.
    refires: `hold` leaves an acknowledged incident acknowledged when it triggers again; `reopen` opens it again and tells
      its sinks, for providers whose trigger after an acknowledge means that somebody took the acknowledge back.
    resolve_after: Resolves an incident that has not triggered for so long, for sources that never say "resolved".
    """

    repeats: Literal["hold", "deliver"] = "hold"
    refires: Literal["hold", "reopen"] = "hold"
    resolve_after: Duration | None = None


def advance(before: Incident | None, event: Event, matching: Sequence[str], rules: Lifecycle) -> Decision:
    """The incident as the event leaves it, and the sinks to tell. `matching`: the sinks whose `match` holds for this event."""
    if event.action == "notice":
        return Decision(outcome="told" if matching else "unrouted", tell=tuple(matching))
    status = "resolved" if before is None else before.status
    return STEPS[status, event.action](before, event, tuple(matching), rules)


def _open(before: Incident | None, event: Event, matching: tuple[str, ...], rules: Lifecycle) -> Decision:
    incident = Incident(
        id=event.id,
        provider=event.provider,
        project=event.project,
        dedup_key=event.dedup_key,
        status="open",
        severity=event.severity,
        summary=event.summary,
        opened_at=event.received_at,
        updated_at=event.received_at,
        sinks=matching,
        resolve_at=_resolve_at(event, rules),
    )
    return Decision(outcome="told" if matching else "unrouted", incident=incident, tell=matching)


def _repeat(before: Incident | None, event: Event, matching: tuple[str, ...], rules: Lifecycle) -> Decision:
    assert before is not None
    newcomers = tuple(sink for sink in matching if sink not in before.sinks)
    rises = SEVERITIES.index(event.severity) > SEVERITIES.index(before.severity)
    reopens = before.status == "acknowledged" and rules.refires == "reopen"
    incident = replace(
        before,
        status="open" if reopens else before.status,
        severity=event.severity if rises else before.severity,
        summary=event.summary,
        updated_at=event.received_at,
        acknowledged_at="" if reopens else before.acknowledged_at,
        triggers=before.triggers + 1,
        sinks=before.sinks + newcomers,
        resolve_at=_resolve_at(event, rules),
    )
    tell = incident.sinks if rises or reopens or rules.repeats == "deliver" else newcomers
    return _decision(incident, tell)


def _acknowledge(before: Incident | None, event: Event, matching: tuple[str, ...], rules: Lifecycle) -> Decision:
    assert before is not None
    incident = replace(before, status="acknowledged", updated_at=event.received_at, acknowledged_at=event.received_at)
    return _decision(incident, incident.sinks)


def _acknowledge_again(before: Incident | None, event: Event, matching: tuple[str, ...], rules: Lifecycle) -> Decision:
    assert before is not None
    return _decision(replace(before, updated_at=event.received_at), ())


def _resolve(before: Incident | None, event: Event, matching: tuple[str, ...], rules: Lifecycle) -> Decision:
    assert before is not None
    incident = replace(before, status="resolved", updated_at=event.received_at, resolved_at=event.received_at, resolve_at=None)
    return _decision(incident, incident.sinks)


def _stray(before: Incident | None, event: Event, matching: tuple[str, ...], rules: Lifecycle) -> Decision:
    return Decision(outcome="stray")


Step = Callable[[Incident | None, Event, tuple[str, ...], Lifecycle], Decision]

STEPS: dict[tuple[str, Action], Step] = {
    ("open", "trigger"): _repeat,
    ("open", "acknowledge"): _acknowledge,
    ("open", "resolve"): _resolve,
    ("acknowledged", "trigger"): _repeat,
    ("acknowledged", "acknowledge"): _acknowledge_again,
    ("acknowledged", "resolve"): _resolve,
    ("resolved", "trigger"): _open,
    ("resolved", "acknowledge"): _stray,
    ("resolved", "resolve"): _stray,
}


def _decision(incident: Incident, tell: tuple[str, ...]) -> Decision:
    kept_back = tuple(sink for sink in incident.sinks if sink not in tell)
    outcome: Outcome = "told" if tell else "held" if incident.sinks else "unrouted"
    return Decision(outcome=outcome, incident=incident, tell=tell, filtered=kept_back)


def _resolve_at(event: Event, rules: Lifecycle) -> float | None:
    after = rules.resolve_after if event.resolve_after is None else event.resolve_after
    return None if after is None else datetime.fromisoformat(event.received_at).timestamp() + after
