"""Telling sinks again what is still so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import apsw
from msgspec import Struct

from .accept import count
from .statements import SQL, many, once, seqs

LATER = 60.0  # seconds after which what had to wait for something else of its line is looked at again


class Look(Struct, frozen=True, kw_only=True):
    """One call of `repeat`, or of `begin_to_repeat`."""

    every: Mapping[str, float]
    now: float
    limit: int = 0


def begin(db: apsw.Connection, looks: list[Look]) -> list[None]:
    """The sinks of each look repeat from now on, also what they were told before."""
    for look in looks:
        for sink, every in look.every.items():
            once(db, SQL["begin to tell again"], {"sink": sink, "due_at": look.now + every})
    return [None] * len(looks)


def repeat(db: apsw.Connection, looks: list[Look]) -> list[frozenset[str]]:
    """The sinks of each look that have something to tell again."""
    return [_repeat(db, look) for look in looks]


def _repeat(db: apsw.Connection, look: Look) -> frozenset[str]:
    latest = look.now + max(look.every.values(), default=0.0) + LATER
    over, again, told = [], [], Counter[tuple[str, str]]()
    names = {"now": look.now, "latest": latest, "limit": look.limit}
    for incident, sink, seq, state, goes_on, waits in once(db, SQL["due again"], names):
        if not goes_on or sink not in look.every:
            over.append((incident, sink))
        elif waits:
            once(db, SQL["put off"], {"at": look.now + LATER, "incident": incident, "sink": sink})
        else:
            over.append((incident, sink))  # until it has been told
            again.append(seq)
            told[sink, state] += 1
    many(db, SQL["tell no more"], over)
    once(db, SQL["forget earlier tries"], {"seqs": seqs(again)})
    once(db, SQL["put back to be told again"], {"now": look.now, "seqs": seqs(again)})
    count(db, Counter({ended: -number for ended, number in told.items()}))
    return frozenset(sink for sink, _ in told)
