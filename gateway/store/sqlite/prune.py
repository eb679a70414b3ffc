"""Forgetting what is old and finished, a bounded number of rows at a time."""

from __future__ import annotations

import apsw
import msgspec
from msgspec import Struct

from .statements import SQL, Row, many, once, seqs


class Ages(Struct, frozen=True, kw_only=True):
    """One call of `prune`: what is older than these epoch seconds may go, at most `limit` rows of a kind."""

    webhooks: float
    events: float
    dead: float
    delivery_ids: float
    limit: int


def prune(db: apsw.Connection, calls: list[Ages]) -> list[int]:
    """How many rows each call forgot."""
    return [_prune(db, msgspec.structs.asdict(ages)) for ages in calls]


def _prune(db: apsw.Connection, ages: dict[str, float]) -> int:
    dead = [seq for (seq,) in _delete(db, "prune dead deliveries", ages, "dead", "limit")]
    _forget_attempts(db, dead)
    return (
        len(dead)
        + len(_delete(db, "prune dead items", ages, "dead", "limit"))
        + _prune_events(db, ages)
        + len(_delete(db, "prune webhooks", ages, "webhooks", "limit"))
        + len(_delete(db, "prune delivery ids", ages, "delivery_ids", "limit"))
    )


def _prune_events(db: apsw.Connection, ages: dict[str, float]) -> int:
    gone = _delete(db, "prunable events", ages, "events", "limit")
    deliveries = [seq for (seq,) in many(db, SQL["prune deliveries"], [(id,) for _, id, _ in gone])]
    _forget_attempts(db, deliveries)
    once(db, SQL["prune events"], {"seqs": seqs(seq for seq, _, _ in gone)})
    incidents = many(db, SQL["prune incidents"], [(id,) for id in sorted({id for *_, id in gone if id})])
    many(db, SQL["prune memory"], incidents)
    return len(gone) + len(deliveries) + len(incidents)


def _forget_attempts(db: apsw.Connection, deliveries: list[int]) -> None:
    once(db, SQL["prune attempts"], {"seqs": seqs(deliveries)})


def _delete(db: apsw.Connection, query: str, ages: dict[str, float], *names: str) -> list[Row]:
    return once(db, SQL[query], {name: ages[name] for name in names})
