"""A provider's words to ours: one payload in, its events out. No vendor is known here: the YAML's `map`, `let` and `cases` do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from msgspec import Struct

from ...errors import Unmappable
from ...expr import ExpressionError, rfc3339
from ...model import DeadItem, Event, Webhook
from .fields import event_of
from .items import items_of
from .texts import flat, short
from .vocabulary import Case, Fields, Reading

MOST_ITEMS = 10_000  # of one webhook


class Mapped(Struct, frozen=True):
    """What became of a webhook's items."""

    events: tuple[Event, ...] = ()
    dead: tuple[DeadItem, ...] = ()
    ignored: int = 0


def read_events(
    reading: Reading,
    webhook: Webhook,
    scopes: Sequence[Mapping[str, Any]],
    *,
    project: str = "",
    only: Sequence[int] | None = None,
) -> Mapped:
    """
    The events of a webhook's payloads, each given as its `filled` scope; `only` names the items to map (a replay of dead ones).

    An item that cannot be mapped is in `dead`, by its index over all payloads; the others proceed. Where the items cannot even
    be told apart, the whole webhook is dead, with the index -1.
    """
    try:
        items = list(islice(items_of(reading, scopes), MOST_ITEMS + 1))
    except ExpressionError as error:
        return Mapped(dead=(_dead(-1, "cases", str(error)),))
    if len(items) > MOST_ITEMS:
        message = f"events: more than {MOST_ITEMS} items in one webhook; let the sender send fewer at a time"
        return Mapped(dead=(_dead(-1, "events", message),))
    events: list[Event] = []
    dead: list[DeadItem] = []
    ignored, received_at = 0, rfc3339(webhook.received_at)
    for index, (case, scope) in enumerate(items):
        if only is not None and index not in only:
            continue
        try:
            event = None if case is None else _event(case, scope, webhook, project, index, received_at)
        except Unmappable as error:
            dead.append(_dead(index, error.reason, str(error)))
        except ExpressionError as error:
            dead.append(_dead(index, "expression", str(error)))
        else:
            events += [event] if event else []
            ignored += event is None
    return Mapped(tuple(events), tuple(dead), ignored)


def _event(case: Case, scope: dict[str, Any], webhook: Webhook, project: str, index: int, received_at: str) -> Event | None:
    try:
        return case.quick(scope, webhook, project, index, received_at)
    except Exception:  # noqa: BLE001 - the fields one by one say what is wrong, if it is
        return event_of(case, scope, webhook, project, index, received_at)


def _dead(index: int, reason: str, message: str) -> DeadItem:
    return DeadItem(index=index, stage="map", reason=reason, message=message)


__all__ = ["MOST_ITEMS", "Case", "Fields", "Mapped", "Reading", "flat", "read_events", "short"]
