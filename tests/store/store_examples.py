"""What the store's tests say: a webhook, an event, a decision, as short as they can be."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec.structs import replace

from gateway.model import Attempt, DeadItem, Decision, Delivery, Event, Incident, Webhook
from gateway.store import Decide, Intake, Result, Store

NOON = 1_767_268_800.0  # 2026-01-01T12:00:00Z, epoch seconds
NOON_TEXT = "2026-01-01T12:00:00Z"
LEASE, LINE = 30.0, 900.0
LOST = "the gateway stopped before the answer was written down"


def a_webhook(id: str = "w1", *, provider: str = "prometheus", at: float = NOON) -> Webhook:
    return Webhook(
        id=id,
        provider=provider,
        received_at=datetime.fromtimestamp(at, UTC),
        body=b'\x00\xff{"a": 1}',
        url=f"https://gateway.test/webhooks/{provider}?a=1",
        headers={"content-type": "application/json", "x-twice": "1, 2"},
        query={"a": "1"},
        repeated=frozenset({"x-twice"}),
        client="192.0.2.7",
        rest="/token",
    )


def an_event(id: str = "e1", action: str = "trigger", *, key: str = "db-1", **more) -> Event:
    facts = {"webhook_id": "w1", "provider": "prometheus", "severity": "critical", "summary": f"{key} is down"} | more
    return Event(id=id, action=action, dedup_key=key, occurred_at=NOON_TEXT, received_at=NOON_TEXT, **facts)


def telling(*sinks: str, filtered: tuple[str, ...] = (), resolve_at: float | None = None) -> Decide:
    """A `decide` that tells these sinks of every event that is not a stray."""

    def decide(incident: Incident | None, event: Event) -> Decision:
        living = incident if incident and incident.status != "resolved" else None
        if event.action == "notice":
            assert incident is None, "a notice never sees an incident"
            return Decision(outcome="told", tell=sinks, filtered=filtered)
        if living is None and event.action != "trigger":
            return Decision(outcome="stray")
        after = _advance(living, event, sinks, resolve_at)
        return Decision(outcome="told", incident=after, tell=sinks, filtered=filtered)

    return decide


def _advance(living: Incident | None, event: Event, sinks: tuple[str, ...], resolve_at: float | None) -> Incident:
    if living is None:
        return Incident(
            id=event.id,
            provider=event.provider,
            project=event.project,
            dedup_key=event.dedup_key,
            status="open",
            severity=event.severity,
            summary=event.summary,
            opened_at=event.received_at,
            updated_at=event.received_at,
            sinks=sinks,
            resolve_at=resolve_at,
        )
    if event.action == "trigger":
        return replace(living, triggers=living.triggers + 1, resolve_at=resolve_at)
    status = {"acknowledge": "acknowledged", "resolve": "resolved"}[event.action]
    return replace(living, status=status, resolve_at=resolve_at)


def deciding(decision: Decision) -> Decide:
    """A `decide` that always says the same."""

    def decide(incident: Incident | None, event: Event) -> Decision:
        return decision

    return decide


def an_intake(*events: Event, webhook: Webhook | None = None, decide: Decide | None = None, **more) -> Intake:
    """By default webhook w1 and one sink, splunk."""
    return Intake(webhook=webhook or a_webhook(), decide=decide or telling("splunk"), events=events, **more)


async def keep(store: Store, *events: Event, sinks: tuple[str, ...] = ("splunk",), at: float = NOON) -> None:
    """Each event in a webhook of its own, one after the other."""
    for event in events:
        webhook = a_webhook(f"w-{event.id}", at=at)
        await store.accept(an_intake(replace(event, webhook_id=webhook.id), webhook=webhook, decide=telling(*sinks)))


async def claim(store: Store, sink: str = "splunk", *, now: float = NOON, limit: int = 10) -> list[Delivery]:
    return await store.claim(sink, limit, now=now, lease=LEASE, line=LINE)


def tried(delivery: Delivery, state: str = "delivered", *, at: float = NOON, **more) -> Result:
    """One try, and where it leaves the delivery."""
    verdict = {"delivered": "delivered", "pending": "retry", "parked": "park", "dead": "dead"}[state]
    attempt = Attempt(number=delivery.attempts, at=at, seconds=0.25, verdict=verdict, status=200, excerpt="ok")
    return Result(delivery=delivery, attempt=attempt, state=state, **more)


def a_dead_item(index: int = 0) -> DeadItem:
    return DeadItem(index=index, stage="map", reason="unmappable", message="dedup_key: $.fingerprint finds nothing")


async def conserved(store: Store) -> dict[str, dict[str, int]]:
    """The sums of every sink, after a look that nothing is missing."""
    sums = await store.conservation()
    for sink, counts in sums.items():
        assert counts["accepted"] == sum(counts.values()) - counts["accepted"], sink
    return sums


def ids(deliveries: list[Delivery]) -> list[str]:
    return [delivery.id for delivery in deliveries]


async def history(store: Store, id: str = "e1.splunk") -> list[tuple[int, str, str]]:
    """Every try on record: its number, verdict and error."""
    return [(attempt["number"], attempt["verdict"], attempt["error"]) for attempt in (await store.delivery(id))["attempts"]]
