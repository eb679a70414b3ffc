"""
The memory, as a protocol. A store is one file here (named for its URL scheme) and one folder of SQL; the conformance suite
in `tests/store` holds for each. Times are epoch seconds and passed in; nothing here looks at a clock. `ticks` are seconds of a
clock that nobody sets (`time.monotonic`), by which leases end, so that no claim is lost to a clock that is; without it, `now`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from ..errors import StoreError
from ..model import Attempt, DeadItem, Decision, Delivery, Event, Incident, Receipt, State, Webhook

Decide = Callable[[Incident | None, Event], Decision]


class Intake(Struct, frozen=True, kw_only=True):
    """
    What one webhook brings, kept all or nothing. `decide` is called inside the transaction with the incident as it stands
    (None when the dedup key has never been seen, a resolved one as it ended) and must be pure.
    """

    webhook: Webhook | None  # None: an event of our own making (a quiet incident that resolves by itself, a test)
    decide: Decide
    events: Sequence[Event] = ()
    dead: Sequence[DeadItem] = ()
    ignored: int = 0
    filtered: int = 0
    delivery_id: str = ""  # the provider's own id of this webhook, if its file names one
    replayed: Sequence[int] | None = None  # a replay of these dead items of a webhook that is already kept


class Result(Struct, frozen=True, kw_only=True):
    """How one try of a delivery went, and where that leaves it."""

    delivery: Delivery  # as claimed: `attempts` is the fence
    attempt: Attempt | None  # None: nothing was sent (cancelled, or released unsent)
    state: State  # delivered | pending | parked | dead | cancelled
    due_at: float = 0.0  # for pending: when to try again
    verdict: str = ""  # why, in a sentence
    memory: Mapping[str, Any] | None = None  # remembered for (incident, sink) from now on
    progress: Mapping[str, Any] | None = None  # the steps of this delivery that are done
    rest: float = 0.0  # seconds for which the sink is to be asked nothing more
    again: float = 0.0  # delivered, now or before: seconds after which it is to be told again, if its incident is open by then


def claimed_next(result: Result) -> Delivery:
    """The delivery of a result as it is claimed next, while its incident stays as it is: what every store makes of it."""
    delivery = result.delivery
    remembered = result.memory if delivery.incident is not None else None  # a notice has nothing to remember it for
    return replace(
        delivery,
        memory=dict(delivery.memory if remembered is None else remembered),
        progress=dict(delivery.progress if result.progress is None else result.progress),
        attempts=delivery.attempts + (result.attempt is not None),  # a try that sent nothing is not counted
        due_at=result.due_at,
        verdict=result.verdict,
    )


class Steps(Struct, frozen=True, kw_only=True):
    """How far a delivery has come on its way."""

    delivery: Delivery  # as claimed: `attempts` is the fence
    progress: Mapping[str, Any]  # the steps that are done
    memory: Mapping[str, Any]  # remembered for (incident, sink)


class Page(Struct, frozen=True, kw_only=True):
    """Rows as plain JSON values, newest first, and the cursor of the next page ("" at the end)."""

    items: list[dict[str, Any]]
    next: str = ""


class Store(Protocol):
    """Everything the gateway remembers. Each method raises StoreError when the database refuses."""

    async def accept(self, intake: Intake) -> Receipt:
        """Keep it all in one transaction; return after the commit is on disk. Concurrent calls share a commit."""

    async def claim(
        self, sink: str, limit: int, *, now: float, ticks: float | None = None, lease: float, line: float
    ) -> list[Delivery]:
        """
        Take up to `limit` due deliveries of a sink, oldest first, each with `attempts` one higher, for `lease` seconds.

        Never one while an older delivery of the same dedup key to the same sink is unfinished, be it of an earlier life of the
        incident; a parked or ever-tried one
        holds that line for at most `line` seconds from its first try or parking. Expired leases are pending again.
        """

    async def record(self, results: Sequence[Result], *, now: float) -> int:
        """Write down how tries went. A result whose claim is no longer held changes nothing. Returns how many were written."""

    async def note(self, steps: Steps) -> bool:
        """
        Write down how far a claimed delivery has come, before its try ends, so that a kill repeats no step that is done. False,
        and nothing is written, where its claim is no longer held.
        """

    async def next_due(self, sink: str, *, now: float, ticks: float | None = None, since: float = 0.0) -> float | None:
        """
        When this sink's next delivery may be claimable, epoch seconds; None when nothing is pending or claimed. `since`: what was
        due by then was asked for, and what was not given waits behind another.
        """

    async def release(self, *, sink: str = "", ids: Sequence[str] = (), states: Sequence[State] = ("parked",), now: float) -> int:
        """Make deliveries pending again, due now, with a fresh count of attempts (their past attempts stay on record)."""

    async def hasten(self, sink: str, *, untried: float, longest: float, now: float) -> int:
        """
        After the clock was set back: none of the sink's deliveries waits more than `longest` seconds from now, and none that was
        never tried more than `untried`; none holds its line since a time to come. Returns how many would have.
        """

    async def begin_to_repeat(self, every: Mapping[str, float], *, now: float) -> None:
        """At start and reload: of incidents that are not resolved, what these sinks were told before is to be told again, too."""

    async def repeat(self, every: Mapping[str, float], *, now: float, limit: int) -> frozenset[str]:
        """
        Make up to `limit` deliveries pending again whose time to be told `again` has come: the last trigger that was delivered
        of an incident that is not resolved. `every`: seconds, by the sinks that repeat; what others have is forgotten until they
        begin to. Returns the sinks that have something now.
        """

    async def settle(self, sinks: Sequence[str], *, now: float, ticks: float | None = None) -> int:
        """At start and reload: deliveries whose sink is gone die, saying so; expired claims come back. Returns how many died."""

    async def quiet(self, *, now: float, limit: int) -> list[tuple[Incident, Event]]:
        """Incidents whose `resolve_at` has passed, each with the event that last triggered it."""

    async def prune(self, *, webhooks: float, events: float, dead: float, delivery_ids: float, limit: int) -> int:
        """Forget what is older than these times (epoch seconds) and finished. Returns how many rows went."""

    async def events(self, filters: Mapping[str, str], *, cursor: str = "", limit: int = 50) -> Page: ...
    async def event(self, id: str) -> dict[str, Any] | None: ...
    async def incidents(self, filters: Mapping[str, str], *, cursor: str = "", limit: int = 50) -> Page: ...
    async def incident(self, id: str) -> dict[str, Any] | None: ...
    async def deliveries(self, filters: Mapping[str, str], *, cursor: str = "", limit: int = 50) -> Page: ...
    async def delivery(self, id: str) -> dict[str, Any] | None: ...
    async def dead_letters(self, filters: Mapping[str, str], *, cursor: str = "", limit: int = 50) -> Page: ...
    async def dead_letter(self, id: str) -> dict[str, Any] | None: ...
    async def webhook(self, id: str) -> Webhook | None: ...

    async def conservation(self) -> dict[str, dict[str, int]]:
        """Per sink: accepted, delivered, filtered, cancelled, dead, pending, claimed, parked: counters and live rows, no scan."""

    async def ping(self) -> None:
        """Write and commit something: the store can be written."""

    async def close(self) -> None: ...


SCHEMES = ("sqlite",)


def open_store(url: str) -> Store:
    """The store that a URL names, by its scheme: `sqlite:///gateway.db`."""
    opened: Store = _module(url).open(url)
    return opened


def look_over(url: str) -> str:
    """What there is to say of the store at a URL, in a sentence; nothing is changed. Raises StoreError where it is not well."""
    said: str = _module(url).look_over(url)
    return said


def _module(url: str) -> Any:
    scheme = url.partition(":")[0]
    if scheme not in SCHEMES:
        raise StoreError(f"there is no store for {scheme!r}; write sqlite:///gateway.db", retryable=False)
    return import_module(f".{scheme}", __package__)
