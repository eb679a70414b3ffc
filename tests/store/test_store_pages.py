"""What people look at: pages newest first, filters, cursors, and what belongs to one row."""

from __future__ import annotations

import base64

import pytest
from store_examples import NOON, NOON_TEXT, a_dead_item, a_webhook, an_event, an_intake, claim, keep, telling, tried

pytestmark = pytest.mark.anyio

PAGES = ("events", "incidents", "deliveries", "dead_letters")


@pytest.fixture
async def told(store):
    """
    Three incidents: `a` of prometheus, resolved; `b` of grafana and the project shop; a stray. Of `a`, the trigger was delivered
    to splunk and is dead at datadog. One item of webhook w-b could not be mapped.
    """
    await keep(store, an_event("a1", key="a"), an_event("a2", "resolve", key="a"), sinks=("splunk", "datadog"))
    b = an_event("b1", key="b", provider="grafana", project="shop", severity="warning", webhook_id="w-b")
    webhook = a_webhook("w-b", provider="grafana", at=NOON + 5)
    await store.accept(an_intake(b, webhook=webhook, dead=[a_dead_item(1)], decide=telling("splunk")))
    await keep(store, an_event("c1", "resolve", key="c"))
    splunk, datadog = (await claim(store, now=NOON + 5))[0], (await claim(store, "datadog", now=NOON + 5))[0]
    await store.record([tried(splunk)], now=NOON + 8)
    await store.record([tried(datadog, "dead", verdict="400: bad")], now=NOON + 9)
    return store


@pytest.mark.parametrize(
    "page, filters, found",
    [
        ("events", {}, ["c1", "b1", "a2", "a1"]),
        ("events", {"provider": "grafana"}, ["b1"]),
        ("events", {"project": "shop"}, ["b1"]),
        ("events", {"action": "resolve"}, ["c1", "a2"]),
        ("events", {"severity": "warning"}, ["b1"]),
        ("events", {"dedup_key": "a"}, ["a2", "a1"]),
        ("events", {"incident": "a1"}, ["a2", "a1"]),
        ("events", {"outcome": "stray"}, ["c1"]),
        ("events", {"provider": "prometheus", "action": "resolve", "incident": "a1"}, ["a2"]),
        ("events", {"provider": "' or 1=1 --"}, []),
        ("incidents", {}, ["b1", "a1"]),
        ("incidents", {"status": "resolved"}, ["a1"]),
        ("incidents", {"status": "open"}, ["b1"]),
        ("incidents", {"provider": "grafana"}, ["b1"]),
        ("incidents", {"project": "shop"}, ["b1"]),
        ("incidents", {"dedup_key": "a"}, ["a1"]),
        ("incidents", {"severity": "warning"}, ["b1"]),
        ("deliveries", {}, ["b1.splunk", "a2.datadog", "a2.splunk", "a1.datadog", "a1.splunk"]),
        ("deliveries", {"sink": "datadog"}, ["a2.datadog", "a1.datadog"]),
        ("deliveries", {"state": "claimed"}, ["b1.splunk"]),
        ("deliveries", {"event": "a1"}, ["a1.datadog", "a1.splunk"]),
        ("deliveries", {"incident": "a1"}, ["a2.datadog", "a2.splunk", "a1.datadog", "a1.splunk"]),
        ("deliveries", {"incident": "a1", "state": "pending", "sink": "splunk"}, ["a2.splunk"]),
        ("dead_letters", {}, ["a1.datadog", "w-b.1"]),
        ("dead_letters", {"kind": "delivery"}, ["a1.datadog"]),
        ("dead_letters", {"kind": "webhook"}, ["w-b.1"]),
        ("dead_letters", {"provider": "grafana"}, ["w-b.1"]),
        ("dead_letters", {"sink": "datadog"}, ["a1.datadog"]),
        ("dead_letters", {"sink": "splunk"}, []),
    ],
)
async def test_filters_keep_what_they_name_newest_first(told, page, filters, found):
    whole = await getattr(told, page)(filters)
    assert ([item["id"] for item in whole.items], whole.next) == (found, "")
    assert await pages_of(told, page, filters, 1) == found
    assert await pages_of(told, page, filters, 2) == found


async def pages_of(store, page, filters, limit):
    """Every id, gathered page by page."""
    gathered, cursor = [], ""
    while True:
        part = await getattr(store, page)(filters, cursor=cursor, limit=limit)
        assert len(part.items) <= limit
        gathered += [item["id"] for item in part.items]
        if not (cursor := part.next):
            return gathered


@pytest.mark.parametrize("page", PAGES)
async def test_a_new_row_does_not_disturb_later_pages(told, page):
    look = getattr(told, page)
    before = (await look({})).items
    first = await look({}, limit=1)
    await keep(told, an_event("z", key="z"))
    await told.accept(an_intake(webhook=a_webhook("w-z", at=NOON + 60), dead=[a_dead_item()]))
    second = await look({}, cursor=first.next, limit=1)
    assert first.items + second.items == before[:2]
    assert len((await look({})).items) == len(before) + 1


@pytest.mark.parametrize(
    "page, problem",
    [
        (
            "events",
            "events have no filter 'colour'; they have action, dedup_key, incident, outcome, project, provider, severity",
        ),
        ("incidents", "incidents have no filter 'colour'; they have dedup_key, project, provider, severity, status"),
        ("deliveries", "deliveries have no filter 'colour'; they have event, incident, sink, state"),
        ("dead_letters", "dead letters have no filter 'colour'; they have kind, provider, sink"),
    ],
)
async def test_an_unknown_filter_is_refused_with_the_known_ones(store, page, problem):
    with pytest.raises(ValueError) as error:  # noqa: PT011  the whole text is compared below
        await getattr(store, page)({"colour": "red"})
    assert str(error.value) == problem


@pytest.mark.parametrize("cursor", ["x", "é", "bm8=", base64.urlsafe_b64encode(b'{"a": 1}').decode(), "A" * 500])
@pytest.mark.parametrize("page", PAGES)
async def test_a_cursor_that_is_none_of_ours_is_refused(store, page, cursor):
    with pytest.raises(ValueError) as error:  # noqa: PT011  the whole text is compared below
        await getattr(store, page)({}, cursor=cursor)
    assert str(error.value) == f"the cursor {cursor[:80]!r} is none of ours; begin without one"


async def test_a_page_is_bounded(store):
    await keep(store, an_event("e1"), an_event("e2"))
    assert len((await store.events({}, limit=0)).items) == 1
    assert len((await store.events({}, limit=10**9)).items) == 2


@pytest.mark.parametrize("look", ["event", "incident", "delivery", "dead_letter", "webhook"])
async def test_what_is_not_there_is_none(told, look):
    assert await getattr(told, look)("nobody") is None


async def test_an_event_shows_its_document_and_its_deliveries(told):
    event = await told.event("a1")
    assert [delivery["id"] for delivery in event.pop("deliveries")] == ["a1.datadog", "a1.splunk"]
    assert event == {
        "version": 1,
        "id": "a1",
        "webhook_id": "w-a1",
        "provider": "prometheus",
        "project": "",
        "type": "",
        "action": "trigger",
        "dedup_key": "a",
        "severity": "critical",
        "summary": "a is down",
        "source": "",
        "occurred_at": NOON_TEXT,
        "received_at": NOON_TEXT,
        "url": "",
        "labels": {},
        "details": None,
        "resolve_after": None,
        "incident_id": "a1",
        "outcome": "told",
    }


async def test_an_incident_shows_its_events_and_deliveries(told):
    incident = await told.incident("a1")
    assert [event["id"] for event in incident.pop("events")] == ["a2", "a1"]
    assert len(incident.pop("deliveries")) == 4
    assert incident == {
        "id": "a1",
        "provider": "prometheus",
        "project": "",
        "dedup_key": "a",
        "status": "resolved",
        "severity": "critical",
        "summary": "a is down",
        "opened_at": NOON_TEXT,
        "updated_at": NOON_TEXT,
        "acknowledged_at": "",
        "resolved_at": "",
        "triggers": 1,
        "sinks": ["splunk", "datadog"],
        "resolve_at": None,
    }


async def test_dead_deliveries_and_dead_items_read_alike(told):
    assert (await told.dead_letters({})).items == [
        {
            "kind": "delivery",
            "id": "a1.datadog",
            "provider": "prometheus",
            "sink": "datadog",
            "stage": "deliver",
            "reason": "dead",
            "message": "400: bad",
            "at": NOON + 9,
            "webhook_id": "w-a1",
            "event_id": "a1",
            "item_index": None,
        },
        {
            "kind": "webhook",
            "id": "w-b.1",
            "provider": "grafana",
            "sink": "",
            "stage": "map",
            "reason": "unmappable",
            "message": "dedup_key: $.fingerprint finds nothing",
            "at": NOON + 5,
            "webhook_id": "w-b",
            "event_id": "",
            "item_index": 1,
        },
    ]


async def test_a_dead_letter_is_a_dead_delivery_with_its_history_or_an_item(told):
    letter = await told.dead_letter("a1.datadog")
    assert (letter["kind"], letter["verdict"], len(letter["attempts"])) == ("delivery", "400: bad", 1)
    assert (await told.dead_letter("w-b.1"))["state"] == "dead"
    assert await told.dead_letter("a1.splunk") is None, "it was delivered"


async def test_events_whose_ids_begin_alike_keep_their_own_deliveries(store):
    await keep(store, an_event("e", key="a"), an_event("e.1", key="b"), an_event("e.10", key="c"))
    for id in ("e", "e.1", "e.10"):
        assert [delivery["id"] for delivery in (await store.event(id))["deliveries"]] == [f"{id}.splunk"]
        assert [delivery["id"] for delivery in (await store.incident(id))["deliveries"]] == [f"{id}.splunk"]
