"""Keeping a group of webhooks: look up what is known, plan in memory, write each table once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import apsw
import msgspec

from ...model import Incident, Receipt, Told
from .. import Intake
from ..plan import Key, Known, Plan, key_of, wanted
from .statements import SQL, Row, many, once

COUNTERS = ("accepted", "delivered", "filtered", "cancelled", "dead")

_incident = msgspec.json.Decoder(Incident).decode
_receipt = msgspec.json.Decoder(Receipt).decode


def accept(db: apsw.Connection, intakes: list[Intake]) -> list[Receipt]:
    """What was made of each."""
    keys, ids, delivery_ids = wanted(intakes)
    plan = Plan(Known(_latest_incidents(db, keys), _told(db, ids), _receipts(db, delivery_ids)))
    receipts = [plan.add(intake) for intake in intakes]
    _write(db, plan)
    return receipts


def count(db: apsw.Connection, changes: Counter[tuple[str, str]]) -> None:
    """Change the tallies, by sink and counter."""
    sinks = sorted({sink for sink, _ in changes})
    many(db, SQL["add to tallies"], [(sink, *(changes[sink, counter] for counter in COUNTERS)) for sink in sinks])


def _write(db: apsw.Connection, plan: Plan) -> None:
    many(db, SQL["insert webhooks"], plan.webhooks)
    many(db, SQL["insert delivery ids"], plan.delivery_ids)
    many(db, SQL["insert events"], plan.events)
    many(db, SQL["keep incidents"], plan.incidents())
    many(db, SQL["insert deliveries"], plan.deliveries)
    many(db, SQL["mark replayed"], plan.replayed)
    many(db, SQL["keep dead items"], plan.dead_items)
    count(db, plan.tallies)


def _latest_incidents(db: apsw.Connection, keys: Iterable[Key]) -> dict[Key, Incident]:
    found = [_incident(body) for (body,) in many(db, SQL["latest incidents"], keys)]
    return {key_of(incident): incident for incident in found}


def _told(db: apsw.Connection, ids: Iterable[str]) -> dict[str, Told]:
    return {row[0]: _as_it_stands(db, row) for row in many(db, SQL["known events"], [(id,) for id in ids])}


def _as_it_stands(db: apsw.Connection, row: Row) -> Told:
    id, action, severity, dedup_key, incident_id, outcome = row
    sinks = tuple(sink for (sink,) in once(db, SQL["told sinks"], {"event": id}))
    return Told(
        id=id,
        action=action,
        severity=severity,
        dedup_key=dedup_key,
        incident_id=incident_id,
        outcome=outcome,
        sinks=sinks,
    )


def _receipts(db: apsw.Connection, delivery_ids: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Receipt]:
    found = many(db, SQL["known delivery ids"], delivery_ids)
    return {(provider, delivery_id): _receipt(receipt) for provider, delivery_id, receipt in found}
