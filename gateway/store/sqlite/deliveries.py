"""Claiming deliveries, writing down how they went, putting them back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import apsw
import msgspec
from msgspec import Struct
from msgspec.structs import asdict

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
    ticks: float
    line: float
    limit: int = 0
    lease: float = 0.0
    since: float = 0.0


class Haste(Struct, frozen=True, kw_only=True):
    """One call of `hasten`."""

    sink: str
    now: float
    untried: float
    longest: float


class Wish(Struct, frozen=True, kw_only=True):
    """One call of `release`."""

    sink: str
    ids: Sequence[str]
    states: Sequence[State]
    now: float


class Held(NamedTuple):
    """One result, when it came, and which call of `record` brought it."""

    result: Result
    now: float
    call: int


def claim(db: apsw.Connection, asks: list[Ask]) -> list[list[Delivery]]:
    """The deliveries of each ask."""
    return [_claim(db, ask) for ask in asks]


def next_due(db: apsw.Connection, asks: list[Ask]) -> list[float | None]:
    """When each ask's sink may have something again."""
    return [_next_due(db, ask) for ask in asks]


def record(db: apsw.Connection, calls: list[tuple[Sequence[Result], float]]) -> list[int]:
    """How many results of each call were written."""
    written = [0] * len(calls)
    for held in _rounds(calls):
        for id in _write(db, held):
            written[held[id].call] += 1
    return written


def note(db: apsw.Connection, calls: list[Steps]) -> list[bool]:
    """Whether each was written."""
    return [_note(db, steps) for steps in calls]


def release(db: apsw.Connection, wishes: list[Wish]) -> list[int]:
    """How many deliveries each wish put back."""
    return [_release(db, wish) for wish in wishes]


def hasten(db: apsw.Connection, calls: list[Haste]) -> list[int]:
    """How many deliveries of each sink would have waited too long, or held up their line."""
    return [_hasten(db, call) for call in calls]


def settle(db: apsw.Connection, calls: list[tuple[Sequence[str], float, float]]) -> list[int]:
    """How many deliveries died with their sinks."""
    return [_settle(db, sinks, now, ticks) for sinks, now, ticks in calls]


def void_claims(db: apsw.Connection) -> None:
    """At start: whoever held a claim is gone, because only one process may have the database."""
    with db:
        _lose(db, once(db, SQL["void all claims"], {"verdict": LOST}))


def _claim(db: apsw.Connection, ask: Ask) -> list[Delivery]:
    when = {"sink": ask.sink, "now": ask.now, "ticks": ask.ticks}
    _lose(db, once(db, SQL["void expired claims"], when | {"verdict": LOST}))
    names = when | {"line": ask.line, "limit": ask.limit, "lease": ask.lease}
    claimed = [seq for (seq,) in once(db, SQL["claim"], names)]
    return [_delivery(row) for row in once(db, SQL["claimed"], {"seqs": seqs(claimed)})] if claimed else []


def _next_due(db: apsw.Connection, ask: Ask) -> float | None:
    names = {"sink": ask.sink, "now": ask.now, "ticks": ask.ticks, "line": ask.line, "since": ask.since}
    ((at,),) = once(db, SQL["next due"], names)
    return None if at is None else float(at)


def _delivery(row: Row) -> Delivery:
    id, seq, sink, event, incident, memory, progress, state, attempts, due_at, verdict, again = row
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
        again=bool(again),
    )


def _lose(db: apsw.Connection, claims: Iterable[Row]) -> None:
    rows = [(seq, number, at, 0.0, "retry", None, "", LOST, 1) for seq, number, at in claims]
    many(db, SQL["insert attempts"], rows)


def _rounds(calls: list[tuple[Sequence[Result], float]]) -> list[dict[str, Held]]:
    """Each with one result of a delivery at most, in the order they came: of two in one statement, a stale one might count."""
    rounds: list[dict[str, Held]] = []
    seen = Counter[str]()
    for call, (results, now) in enumerate(calls):
        for result in results:
            id = result.delivery.id
            if seen[id] == len(rounds):
                rounds.append({})
            rounds[seen[id]][id] = Held(result, now, call)
            seen[id] += 1
    return rounds


def _write(db: apsw.Connection, held: Mapping[str, Held]) -> list[str]:
    by_seq = {each.result.delivery.seq: each.result for each in held.values()}
    fenced = many(db, SQL["record"], [_result_row(each.result, each.now) for each in held.values()])
    attempts, memories, repeats, tallies = [], [], [], Counter[tuple[str, str]]()
    for seq, earlier, incident_id in fenced:
        result = by_seq[seq]
        if result.attempt:
            attempts.append(_attempt_row(seq, earlier + result.delivery.attempts, result.attempt))
        if result.memory is not None and incident_id:
            memories.append((incident_id, result.delivery.sink, encode(result.memory)))
        if result.again and incident_id:
            repeats.append((incident_id, result.delivery.sink, seq, held[result.delivery.id].now + result.again))
        if result.state in ENDS:
            tallies[result.delivery.sink, result.state] += 1
    many(db, SQL["insert attempts"], attempts)
    many(db, SQL["remember"], memories)
    many(db, SQL["tell again"], repeats)
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


def _hasten(db: apsw.Connection, call: Haste) -> int:
    hastened = {seq for (seq,) in once(db, SQL["hasten"], asdict(call))}
    return len(hastened.union(seq for (seq,) in once(db, SQL["hold since now"], {"sink": call.sink, "now": call.now})))


def _settle(db: apsw.Connection, sinks: Sequence[str], now: float, ticks: float) -> int:
    _lose(db, once(db, SQL["void every expired claim"], {"now": now, "ticks": ticks, "verdict": LOST}))
    died = Counter(sink for (sink,) in once(db, SQL["bury orphans"], {"now": now, "sinks": encode(sinks).decode()}))
    count(db, Counter({(sink, "dead"): number for sink, number in died.items()}))
    return died.total()
