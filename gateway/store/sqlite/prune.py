"""Forgetting what is old and finished, a bounded number of rows at a time."""

from __future__ import annotations

from typing import Any

import apsw
from msgspec import Struct

from .statements import SQL, Row, many, once, seqs


class Ages(Struct, frozen=True, kw_only=True):
    """One call of `prune`: what is older than these epoch seconds may go, at most `limit` rows of a kind."""

    webhooks: float
    events: float
    dead: float
    delivery_ids: float
    limit: int


class Found(Struct, frozen=True):
    """What a look beside the writer found prunable, by `seq`; the writer looks at these again."""

    ages: Ages
    events: str
    webhooks: str


def find(db: apsw.Connection, ages: Ages) -> Found:
    """The long look: it may pass many old rows that are not finished."""
    events, webhooks = _prunable(db, "events", ages), _prunable(db, "webhooks", ages)
    return Found(ages, seqs(seq for seq, *_ in events), seqs(seq for seq, *_ in webhooks))


def prune(db: apsw.Connection, calls: list[Found]) -> list[int]:
    """How many rows each call forgot."""
    return [_prune_dead(db, found.ages) + _prune_events(db, found) + _prune_rest(db, found) for found in calls]


def _prune_dead(db: apsw.Connection, ages: Ages) -> int:
    names = {"dead": ages.dead, "limit": ages.limit}
    dead = once(db, SQL["prune dead deliveries"], names)
    _forget_attempts(db, dead)
    return len(dead) + len(once(db, SQL["prune dead items"], names))


def _prune_events(db: apsw.Connection, found: Found) -> int:
    gone = _prunable(db, "events", found.ages, seqs=found.events)
    deliveries = many(db, SQL["prune deliveries"], [(id,) for _, id, _ in gone])
    _forget_attempts(db, deliveries)
    once(db, SQL["prune events"], {"seqs": seqs(seq for seq, _, _ in gone)})
    incidents = many(db, SQL["prune incidents"], [(id,) for id in sorted({id for *_, id in gone if id})])
    many(db, SQL["prune memory"], incidents)
    return len(gone) + len(deliveries) + len(incidents)


def _prune_rest(db: apsw.Connection, found: Found) -> int:
    gone = _prunable(db, "webhooks", found.ages, seqs=found.webhooks)
    once(db, SQL["prune webhooks"], {"seqs": seqs(seq for (seq,) in gone)})
    names = {"delivery_ids": found.ages.delivery_ids, "limit": found.ages.limit}
    return len(gone) + len(once(db, SQL["prune delivery ids"], names))


def _prunable(db: apsw.Connection, what: str, ages: Ages, **among: str) -> list[Row]:
    names: dict[str, Any] = {what: getattr(ages, what), "limit": ages.limit, **among}
    return once(db, SQL[f"prunable {what}"].given(frozenset(among)), names)


def _forget_attempts(db: apsw.Connection, deliveries: list[Row]) -> None:
    once(db, SQL["prune attempts"], {"seqs": seqs(seq for (seq,) in deliveries)})
