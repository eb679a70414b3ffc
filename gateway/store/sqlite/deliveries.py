"""Claiming deliveries, writing down how they went, putting them back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import apsw
import msgspec
from msgspec import Struct

from ...model import Attempt, Delivery, Event, Incident, State
from .. import Result, Steps
from .accept import count
from .statements import SQL, Row, many, once, seqs

EXCERPT = 2_000  # characters of an answer that are kept
LOST = "the gateway stopped before the answer was written down"
ENDS: frozenset[State] = frozenset({"delivered", "cancelled", "dead"})  # the states that a counter counts

encode = msgspec.json.Encoder().encode
_event = msgspec.json.Decoder(Event).decode
_incident = msgspec.json.Decoder(Incident).decode
_mapping = msgspec.json.Decoder(dict[str, Any]).decode


class Ask(Struct, frozen=True, kw_only=True):
    """One call of `claim`, or of `next_due`."""

    sink: str
    now: float
    line: float
    limit: int = 0
    lease: float = 0.0


class Wish(Struct, frozen=True, kw_only=True):
    """One call of `release`."""

    sink: str
    ids: Sequence[str]
    states: Sequence[State]
    now: float


def claim(db: apsw.Connection, asks: list[Ask]) -> list[list[Delivery]]:
    """The deliveries of each ask."""
    return [_claim(db, ask) for ask in asks]


def next_due(db: apsw.Connection, asks: list[Ask]) -> list[float | None]:
    """When each ask's sink may have something again."""
    return [_next_due(db, ask) for ask in asks]


def record(db: apsw.Connection, calls: list[tuple[Sequence[Result], float]]) -> list[int]:
    """How many results of each call were written."""
    held: dict[str, tuple[Result, float]] = {}
    written = [0] * len(calls)
    owner: dict[str, int] = {}
    for index, (results, now) in enumerate(calls):
        for result in results:
            held.setdefault(result.delivery.id, (result, now))
            owner.setdefault(result.delivery.id, index)
    for id in _write(db, held):
        written[owner[id]] += 1
    return written


def note(db: apsw.Connection, calls: list[Steps]) -> list[bool]:
    """Whether each was written."""
    return [_note(db, steps) for steps in calls]


def release(db: apsw.Connection, wishes: list[Wish]) -> list[int]:
    """How many deliveries each wish put back."""
    return [_release(db, wish) for wish in wishes]


def settle(db: apsw.Connection, calls: list[tuple[Sequence[str], float]]) -> list[int]:
    """How many deliveries died with their sinks."""
    return [_settle(db, sinks, now) for sinks, now in calls]


def void_claims(db: apsw.Connection) -> None:
    """At start: whoever held a claim is gone, because only one process may have the database."""
    with db:
        _lose(db, once(db, SQL["void all claims"], {"verdict": LOST}))


def _claim(db: apsw.Connection, ask: Ask) -> list[Delivery]:
    _lose(db, once(db, SQL["void expired claims"], {"sink": ask.sink, "now": ask.now, "verdict": LOST}))
    names = {"sink": ask.sink, "now": ask.now, "line": ask.line, "limit": ask.limit, "lease": ask.lease}
    claimed = [seq for (seq,) in once(db, SQL["claim"], names)]
    return [_delivery(row) for row in once(db, SQL["claimed"], {"seqs": seqs(claimed)})] if claimed else []


def _next_due(db: apsw.Connection, ask: Ask) -> float | None:
    ((at,),) = once(db, SQL["next due"], {"sink": ask.sink, "now": ask.now, "line": ask.line})
    return None if at is None else float(at)


def _delivery(row: Row) -> Delivery:
    id, seq, sink, event, incident, memory, progress, state, attempts, due_at, verdict = row
    return Delivery(
        id=id,
        seq=seq,
        sink=sink,
        event=_event(event),
        incident=_incident(incident) if incident else None,
        memory=_mapping(memory) if memory else {},
        progress=_mapping(progress),
        state=state,
        attempts=attempts,
        due_at=due_at,
        verdict=verdict,
    )


def _lose(db: apsw.Connection, claims: Iterable[Row]) -> None:
    rows = [(seq, number, at, 0.0, "retry", None, "", LOST, 1) for seq, number, at in claims]
    many(db, SQL["insert attempts"], rows)


def _write(db: apsw.Connection, held: Mapping[str, tuple[Result, float]]) -> list[str]:
    by_seq = {result.delivery.seq: result for result, _ in held.values()}
    fenced = many(db, SQL["record"], [_result_row(result, now) for result, now in held.values()])
    attempts, memories, tallies = [], [], Counter[tuple[str, str]]()
    for seq, earlier, incident_id in fenced:
        result = by_seq[seq]
        if result.attempt:
            attempts.append(_attempt_row(seq, earlier + result.delivery.attempts, result.attempt))
        if result.memory is not None and incident_id:
            memories.append((incident_id, result.delivery.sink, encode(result.memory)))
        if result.state in ENDS:
            tallies[result.delivery.sink, result.state] += 1
    many(db, SQL["insert attempts"], attempts)
    many(db, SQL["remember"], memories)
    count(db, tallies)
    return [by_seq[seq].delivery.id for seq, *_ in fenced]


def _result_row(result: Result, now: float) -> Row:
    delivery, sent = result.delivery, result.attempt is not None
    progress = None if result.progress is None else encode(result.progress)
    return (
        delivery.seq,
        delivery.id,
        delivery.attempts,
        delivery.due_at,
        result.state,
        result.due_at,
        sent,
        result.verdict,
        progress,
        now,
    )


def _attempt_row(seq: int, number: int, attempt: Attempt) -> Row:
    return (
        seq,
        number,
        attempt.at,
        attempt.seconds,
        attempt.verdict,
        attempt.status,
        attempt.excerpt[:EXCERPT],
        attempt.error[:EXCERPT],
        attempt.batch,
    )


def _note(db: apsw.Connection, steps: Steps) -> bool:
    delivery = steps.delivery
    names = {"seq": delivery.seq, "id": delivery.id, "fence": delivery.attempts, "was_due": delivery.due_at}
    held = once(db, SQL["note progress"], names | {"progress": encode(steps.progress)})
    memories = [(incident, delivery.sink, encode(steps.memory)) for (incident,) in held if incident and steps.memory]
    many(db, SQL["remember"], memories)
    return bool(held)


def _release(db: apsw.Connection, wish: Wish) -> int:
    given = frozenset(name for name in ("sink", "ids") if getattr(wish, name))
    names = {"sink": wish.sink, "ids": encode(wish.ids).decode(), "states": encode(wish.states).decode()}
    found = once(db, SQL["releasable"].given(given), {name: names[name] for name in ("states", *given)})
    once(db, SQL["release"], {"now": wish.now, "seqs": seqs(seq for seq, _, _ in found)})
    count(db, Counter({(sink, state): -n for (sink, state), n in _ended(found).items()}))
    return len(found)


def _ended(rows: Iterable[Row]) -> Counter[tuple[str, str]]:
    return Counter((sink, state) for _, sink, state in rows if state in ENDS)


def _settle(db: apsw.Connection, sinks: Sequence[str], now: float) -> int:
    _lose(db, once(db, SQL["void every expired claim"], {"now": now, "verdict": LOST}))
    died = Counter(sink for (sink,) in once(db, SQL["bury orphans"], {"now": now, "sinks": encode(sinks).decode()}))
    count(db, Counter({(sink, "dead"): number for sink, number in died.items()}))
    return died.total()
