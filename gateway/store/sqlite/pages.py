"""What people look at: pages of rows as plain JSON values, newest first, and single rows with what belongs to them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import apsw
import msgspec
from msgspec.structs import asdict

from ...model import Event, Incident, Webhook
from .. import Page
from .statements import SQL, once

LARGEST = 500  # rows of a page; and of events and deliveries shown with an incident
NEWEST = (1 << 63) - 1

_event = msgspec.json.Decoder(Event).decode
_incident = msgspec.json.Decoder(Incident).decode
_json = msgspec.json.Decoder().decode

Item = dict[str, Any]
T = TypeVar("T")


def events(db: apsw.Connection, filters: Mapping[str, str], cursor: str, limit: int) -> Page:
    """Events as their public documents, each with its `incident_id` and `outcome`."""
    rows, following = _listed(db, "events", filters, cursor, limit)
    return Page(items=[_event_item(row) for row in rows], next=following)


def event(db: apsw.Connection, id: str) -> Item | None:
    """One event, with its deliveries."""
    return _one(db, "event", id, _event_item, lambda: {"deliveries": _all(db, deliveries, {"event": id})})


def incidents(db: apsw.Connection, filters: Mapping[str, str], cursor: str, limit: int) -> Page:
    """Incidents as they stand."""
    rows, following = _listed(db, "incidents", filters, cursor, limit)
    return Page(items=[_incident_item(row) for row in rows], next=following)


def incident(db: apsw.Connection, id: str) -> Item | None:
    """One incident, with its newest events and deliveries."""
    return _one(
        db,
        "incident",
        id,
        _incident_item,
        lambda: {
            "events": _all(db, events, {"incident": id}),
            "deliveries": _all(db, deliveries, {"incident": id}),
        },
    )


def deliveries(db: apsw.Connection, filters: Mapping[str, str], cursor: str, limit: int) -> Page:
    """Deliveries, each with a line about its event."""
    rows, following = _listed(db, "deliveries", filters, cursor, limit)
    return Page(items=[_without_seq(row) for row in rows], next=following)


def delivery(db: apsw.Connection, id: str) -> Item | None:
    """One delivery, with its `progress` and, as `attempts`, every try that was made of it."""
    if not (found := _rows(db, SQL["delivery"], {"id": id})):
        return None
    row = found[0]
    attempts = _rows(db, SQL["attempts"], {"seq": row.pop("seq")})
    return row | {"progress": _json(row["progress"]), "attempts": attempts}


def dead_letters(db: apsw.Connection, filters: Mapping[str, str], cursor: str, limit: int) -> Page:
    """Dead deliveries (kind `delivery`) and items that could not be mapped (kind `webhook`)."""
    _refuse_unknown("dead letters", filters)
    at, id = _before(cursor, tuple[float, str], (float("inf"), ""))
    names = dict(filters) | {"at": at, "id": id, "limit": _bounded(limit)}
    rows = _rows(db, SQL["dead letters"].given(frozenset(filters)), names)
    return Page(items=rows, next=_after([rows[-1]["at"], rows[-1]["id"]]) if len(rows) == _bounded(limit) else "")


def dead_letter(db: apsw.Connection, id: str) -> Item | None:
    """One of them: an item, or a delivery with its attempts."""
    if found := _rows(db, SQL["dead item"], {"id": id}):
        return found[0]
    letter = delivery(db, id)
    return {"kind": "delivery"} | letter if letter and letter["state"] == "dead" else None


def webhook(db: apsw.Connection, id: str) -> Webhook | None:
    """One webhook, as received."""
    if not (found := _rows(db, SQL["webhook"], {"id": id})):
        return None
    row = found[0]
    row["received_at"] = datetime.fromtimestamp(row["received_at"], UTC)
    row |= {name: _json(row[name]) for name in ("headers", "query")}
    return Webhook(**row | {"repeated": frozenset(_json(row["repeated"]))})


def quiet(db: apsw.Connection, now: float, limit: int) -> list[tuple[Incident, Event]]:
    """Incidents whose time has passed, each with the event that last triggered it."""
    rows = once(db, SQL["quiet incidents"], {"now": now, "limit": limit})
    return [(_incident(incident), _event(event)) for incident, event in rows]


def conservation(db: apsw.Connection) -> dict[str, dict[str, int]]:
    """Every sink's counters, and what is under way."""
    sums = {row.pop("sink"): row | dict.fromkeys(("pending", "claimed", "parked"), 0) for row in _rows(db, SQL["tallies"], {})}
    for sink, state, number in once(db, SQL["under way"], {}):
        sums[sink][state] = number
    return sums


def _listed(db: apsw.Connection, what: str, filters: Mapping[str, str], cursor: str, limit: int) -> tuple[list[Item], str]:
    _refuse_unknown(what, filters)
    names = dict(filters) | {"before": _before(cursor, int, NEWEST), "limit": _bounded(limit)}
    rows = _rows(db, SQL[what].given(frozenset(filters)), names)
    return rows, _after(rows[-1]["seq"]) if len(rows) == _bounded(limit) else ""


def _one(db: apsw.Connection, what: str, id: str, shape: Callable[[Item], Item], more: Callable[[], Item]) -> Item | None:
    found = _rows(db, SQL[what], {"id": id})
    return shape(found[0]) | more() if found else None


def _all(db: apsw.Connection, page: Callable[..., Page], filters: Mapping[str, str]) -> list[Item]:
    return page(db, filters, "", LARGEST).items


def _rows(db: apsw.Connection, sql: str, names: Mapping[str, Any]) -> list[Item]:
    cursor = db.execute(sql, names)
    return [dict(zip([name for name, _ in cursor.get_description()], row, strict=True)) for row in cursor]


def _refuse_unknown(what: str, filters: Mapping[str, str]) -> None:
    known = SQL[what].options()
    for name in sorted(filters.keys() - known):
        raise ValueError(f"{what} have no filter {name!r}; they have {', '.join(sorted(known))}")


def _bounded(limit: int) -> int:
    return max(1, min(limit, LARGEST))


def _before(cursor: str, kind: type[T], newest: T) -> T:
    if not cursor:
        return newest
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor), type=kind)
    except (binascii.Error, msgspec.DecodeError, UnicodeError, ValueError):
        raise ValueError(f"the cursor {cursor[:80]!r} is none of ours; begin without one") from None


def _after(position: Any) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode()


def _event_item(row: Item) -> Item:
    return asdict(_event(row["body"])) | {"incident_id": row["incident_id"], "outcome": row["outcome"]}


def _incident_item(row: Item) -> Item:
    incident = _incident(row["body"])
    return asdict(incident) | {"sinks": list(incident.sinks)}


def _without_seq(row: Item) -> Item:
    return {name: value for name, value in row.items() if name != "seq"}
