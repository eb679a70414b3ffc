"""A provider's words to ours: whole events out, whole sentences for what cannot be mapped."""

import hashlib
from datetime import UTC, datetime

import pytest

from gateway.config.decode import decode
from gateway.config.yaml import Document
from gateway.expr import Inbound
from gateway.model import DeadItem, Event, Webhook
from gateway.stages.mapping import MOST_ITEMS, Fields, Mapped, Reading, flat, read_events

NOW = datetime(2026, 3, 12, 8, 0, 0, 123456, tzinfo=UTC)
WEBHOOK = Webhook(id="w", provider="prom", received_at=NOW)
PLAIN = """
map:
  action: { from: $.status, table: { firing: trigger, resolved: resolve, told: notice, noise: ignore } }
  dedup_key: $.fingerprint
  severity: { from: $.level, table: { high: critical }, absent: warning }
  summary: $.title
"""
ALERT = {"status": "firing", "fingerprint": "f1", "title": "Disk full"}


def reading(text):
    document = Document("a.yaml", text)
    found = decode(document, Reading)
    assert document.problems == []
    return found


def scope(payload, **more):
    return {
        "payload": payload,
        "item": payload,
        "envelope": payload,
        "headers": {},
        "query": {},
        "method": "POST",
        "path": "$",
    } | more


def mapped(text, *payloads, only=None, **more):
    read = reading(text)
    return read_events(read, WEBHOOK, [read.filled(scope(each, **more)) for each in payloads], project="acme", only=only)


def event(**more):
    moment = "2026-03-12T08:00:00.123Z"
    fields = {"id": "w-0", "dedup_key": "f1", "severity": "warning", "summary": "Disk full", "action": "trigger"}
    stamps = {"webhook_id": "w", "provider": "prom", "project": "acme", "occurred_at": moment, "received_at": moment}
    return Event(**stamps | fields | more)


def dead(message, index=0, reason=None):
    return DeadItem(index=index, stage="map", reason=reason or message.partition(":")[0], message=message)


def test_one_body_is_one_event_with_an_id_that_derives_from_the_webhooks():
    assert mapped(PLAIN, ALERT) == Mapped(events=(event(),))


def test_the_same_webhook_always_gives_the_same_events_and_is_left_as_it_was():
    payload = {"alerts": [ALERT, ALERT | {"tags": ["a"], "title": "$NONE"}]}
    text, before = PLAIN + "events: $.alerts[*]\nmissing: ['^\\$[A-Z]+$']\nlet: { tags: $.tags }", repr(payload)
    assert mapped(text, payload) == mapped(text, payload)
    assert repr(payload) == before


EVERYTHING = (
    PLAIN
    + """
  type: "{{ payload.kind }}"
  source: $.host
  occurred_at: $.at
  url: "https://x.test/{{ path }}"
  labels: $.labels
  details: { status: $.status, absent: $.absent, size: $.size, fixed: [1, "{{ method }}"] }
events: $.alerts[*]
"""
)


def test_every_field_of_an_event_comes_from_the_item_the_payload_and_how_it_was_reached():
    labels = {
        "n": 3,
        "f": 3.0,
        "on": True,
        "list": ["a", None, 2.5],
        "map": {"b": [1]},
        "none": None,
        "empty": "",
        "Grö ße": " x ",
    }
    item = ALERT | {
        "host": " db\n-1\t",
        "at": "2026-03-12 07:00:00+01:00",
        "labels": labels,
        "size": 123456789012345678901234567890,
    }
    flattened = {"n": "3", "f": "3", "on": "true", "list": "a, 2.5", "map": '{"b":[1]}', "Grö ße": " x "}
    assert mapped(EVERYTHING, {"kind": "alert", "alerts": [item]}).events == (
        event(
            type="alert",
            source="db -1",
            occurred_at="2026-03-12T06:00:00Z",
            url="https://x.test/$['alerts'][0]",
            labels=flattened,
            details={"status": "firing", "size": 123456789012345678901234567890, "fixed": [1, "POST"]},
        ),
    )


@pytest.mark.parametrize(
    "at", ["soon", "31/31/2026", {"a": 1}, ["x"], True, 1e300, 10**40, "0001-01-01T00:00:00Z", "-1", "", None]
)
def test_a_time_that_cannot_be_read_counts_as_not_said(at):
    assert mapped(PLAIN + "  occurred_at: $.at", ALERT | {"at": at}).events == (event(),)


KEYS = [
    ("k" * 512, "k" * 512),
    ("k" * 513, hashlib.sha256(b"k" * 513).hexdigest()),
    (" a\n b ", "a b"),
    (7, "7"),
    (["a", 1], "a, 1"),
]


@pytest.mark.parametrize(("found", "key"), KEYS)
def test_a_dedup_key_is_one_text_and_a_long_one_is_kept_as_its_hash(found, key):
    assert mapped(PLAIN, ALERT | {"fingerprint": found}).events == (event(dedup_key=key),)


@pytest.mark.parametrize(("found", "summary"), [("ä" * 1025, "ä" * 1024), ("a\r\n\tb", "a b"), (5.0, "5"), ({"a": 1}, '{"a":1}')])
def test_a_summary_is_one_line_of_at_most_1024_characters(found, summary):
    assert mapped(PLAIN, ALERT | {"title": found}).events == (event(summary=summary),)


def test_a_notice_needs_no_dedup_key_and_what_is_ignored_needs_nothing():
    told, noise = {"status": "told", "title": "Deployed"}, {"status": "noise"}
    assert mapped(PLAIN, told, noise) == Mapped(events=(event(action="notice", dedup_key="", summary="Deployed"),), ignored=1)


LOST = [
    (ALERT | {"fingerprint": None}, "", "dedup_key: $.fingerprint finds nothing"),
    (ALERT | {"fingerprint": " \n"}, "", "dedup_key: $.fingerprint finds nothing"),
    (ALERT | {"title": ""}, "", "summary: $.title finds nothing"),
    (ALERT | {"status": None}, "", "action: $.status finds nothing, and there is no `absent`"),
    (ALERT | {"status": "new"}, "", "action: 'new' is in no row of the table, and there is no default"),
    (ALERT | {"level": "p1"}, "", "severity: 'p1' is in no row of the table, and there is no default"),
    (ALERT | {"level": ["high"]}, "", "severity: $.level finds a list, and a word is wanted; say which part of it"),
    (ALERT | {"labels": ["a"]}, "  labels: $.labels", "labels: a mapping is wanted, and 'a' was found"),
    (ALERT, "  source: '{{ item.title | number }}'", "source: {{ item.title | number }}: 'Disk full' is no number"),
    (ALERT | {"a": "{"}, "  url: '{{ item.a | from_json }}'", "url: {{ item.a | from_json }}: '{' is not JSON"),
    (ALERT, "  url: '{{ u }}'\nlet: { v: '{{ item.title | number }}', u: '{{ v }}' }", "let.v: {{ item.title | number }}: 'Disk full' is no number"),
    (None, "", "action: $.status finds nothing, and there is no `absent`"),
    ("text", "", "action: $.status finds nothing, and there is no `absent`"),
    ([[]], "", "action: $.status finds nothing, and there is no `absent`"),
]  # fmt: skip


@pytest.mark.parametrize(("payload", "more", "message"), LOST)
def test_what_cannot_be_mapped_is_a_dead_letter_that_says_which_field_and_why(payload, more, message):
    reason = "expression" if message.startswith("let") else None
    assert mapped(PLAIN + more, payload) == Mapped(dead=(dead(message, reason=reason),))


LEFT_OUT = [
    ("  source: on {{ item.host }}", {"source": ""}),
    ("  type: 'x{{ item.kind }}'\n  url: 'https://a.test/{{ item.id }}'", {"type": "", "url": ""}),
    ("  details: { a: [ 'x{{ item.b }}', y ], b: $.title }", {"details": {"a": ["y"], "b": "Disk full"}}),
    ("  labels: { a: 'x{{ item.b }}', b: 'x{{ item.title }}' }", {"labels": {"b": "xDisk full"}}),
    ("  source: \"{{ v or 'none' }}\"\nlet: { v: 'x{{ item.v }}' }", {"source": "none"}),
    (
        "  labels: \"{{ {'a': item.b, 'c': 'd'} }}\"\n  details: \"{{ {'a': [item.b], 'c': 1} }}\"",
        {"labels": {"c": "d"}, "details": {"a": [None], "c": 1}},
    ),
    ("  labels: '{{ own }}'\nlet: { own: \"{{ {'a': item.b, 'c': 'd'} }}\" }", {"labels": {"c": "d"}}),
    ("  source: '{{ u }}'\nlet: { v: 'x{{ item.v }}', u: '{{ v }}' }", {"source": ""}),
]


@pytest.mark.parametrize(("more", "fields"), LEFT_OUT)
def test_what_is_not_required_and_prints_what_is_missing_is_left_out(more, fields):
    found = mapped(PLAIN + more, ALERT)
    assert (found.dead, [{name: getattr(event, name) for name in fields} for event in found.events]) == ((), [fields])


def test_a_required_field_that_prints_what_is_missing_says_what_that_is():
    text = PLAIN.replace("$.title", "on {{ item.host }}")
    assert mapped(text, ALERT) == Mapped(dead=(dead("summary: on {{ item.host }}: item.host finds nothing"),))


AFTER = [
    ("  resolve_after: 24h", {}, 86400.0),
    ("  resolve_after: \"{{ '30d' if item.kind == 'ssl' }}\"", {"kind": "ssl"}, 2_592_000.0),
    ("  resolve_after: \"{{ '30d' if item.kind == 'ssl' }}\"", {"kind": "tcp"}, None),
    ("  resolve_after: $.after", {"after": "1.5h"}, 5400.0),
    ("", {}, None),
]


@pytest.mark.parametrize(("more", "said", "seconds"), AFTER)
def test_an_event_says_after_how_much_quiet_its_incident_resolves(more, said, seconds):
    (event,) = mapped(PLAIN + more, ALERT | said).events
    assert event.resolve_after == seconds


def test_a_duration_that_is_none_is_a_dead_letter_and_one_that_is_written_out_is_found_at_load():
    message = "resolve_after: 'soon' is not a duration; write it like 500ms, 10s, 5m, 24h or 7d"
    assert mapped(PLAIN + "  resolve_after: $.after", ALERT | {"after": "soon"}) == Mapped(dead=(dead(message),))
    with pytest.raises(ValueError, match=r"^resolve_after: 'soon' is not a duration; write it like 500ms, 10s, 5m, 24h or 7d$"):
        Fields(resolve_after=Inbound.read("soon"))


def test_a_list_that_is_not_there_is_another_kind_of_message_and_an_empty_one_says_nothing():
    text = PLAIN + "events: $.data.alerts[*]"
    assert [mapped(text, {"data": data}) for data in ({"alerts": []}, {"alerts": None}, {"alerts": {}})] == [Mapped()] * 3
    gone = Mapped(dead=(dead("events: there is no $.data.alerts in this payload", -1, "cases"),))
    assert [mapped(text, payload) for payload in ({}, {"data": {}}, {"data": None}, ALERT, [])] == [gone] * 5


def test_one_bad_item_leaves_the_others_and_is_named_by_its_index_over_all_payloads():
    text, bad = PLAIN + "events: $.alerts[*]", ALERT | {"fingerprint": None}
    payloads = {"alerts": [ALERT, {"status": "noise"}]}, {"alerts": []}, {"alerts": [bad, ALERT]}
    whole = Mapped(events=(event(), event(id="w-3")), dead=(dead("dedup_key: $.fingerprint finds nothing", 2),), ignored=1)
    assert mapped(text, *payloads) == whole
    assert mapped(text, *payloads, only=[2]) == Mapped(dead=whole.dead)
    assert mapped(text, *payloads, only=[3, 0]) == Mapped(events=whole.events)


def test_an_empty_list_says_nothing():
    assert mapped(PLAIN + "events: $.alerts[*]", {"alerts": []}) == Mapped()


def test_a_webhook_with_too_many_items_is_one_dead_letter():
    message = "events: more than 10000 items in one webhook; let the sender send fewer at a time"
    assert mapped(PLAIN + "events: $[*]", [ALERT] * (MOST_ITEMS + 1)) == Mapped(dead=(dead(message, -1),))


CASES = """
let:
  kind: "{{ headers['x-kind'] }}"
  where: "at {{ item.host }}"
map: { severity: { default: info }, summary: $.title, source: "{{ where }}", labels: { kind: "{{ kind }}" } }
cases:
  - when: "{{ kind == 'run' and payload.done }}"
    let: { key: "{{ kind }}/{{ item.id }}" }
    map: { action: { default: resolve }, dedup_key: "{{ key }}", severity: { default: error } }
  - when: "{{ kind == 'run' }}"
    map: { action: { default: trigger }, dedup_key: $.id, source: here }
  - when: "{{ payload.messages }}"
    events: $.messages['new','old'].data[*]
    map: { action: { from: "{{ path | capture(\\"'(new|old)'\\") }}", table: { new: trigger, old: resolve } }, dedup_key: $.id }
"""


def test_the_first_case_that_holds_speaks_with_its_own_fields_over_the_shared_ones():
    done = {"done": True, "host": "a", "id": "1", "title": "Run"}
    assert mapped(CASES, done, headers={"x-kind": "run"}).events == (
        event(action="resolve", dedup_key="run/1", severity="error", summary="Run", source="at a", labels={"kind": "run"}),
    )


def test_a_case_is_told_without_the_names_it_does_not_use_and_mapped_without_those_its_fields_do_not():
    assert mapped(CASES, {"id": "1", "title": "Run"}, headers={"x-kind": "run"}).events == (
        event(dedup_key="1", severity="info", summary="Run", source="here", labels={"kind": "run"}),
    )


def test_a_case_may_have_its_own_list_whose_path_says_what_its_items_are():
    item = {"host": "a", "title": "T"}
    payload = {"messages": {"old": {"data": [item | {"id": "1"}]}, "new": {"data": [item | {"id": "2"}]}}}
    shared = {"severity": "info", "summary": "T", "source": "at a"}
    assert mapped(CASES, payload).events == (
        event(id="w-0", dedup_key="2", **shared),
        event(id="w-1", dedup_key="1", action="resolve", **shared),
    )


def test_what_no_case_speaks_of_is_ignored_and_counted():
    assert mapped(CASES, {"title": "Run"}) == Mapped(ignored=1)


def test_where_the_kind_cannot_be_told_the_whole_webhook_is_a_dead_letter():
    text = PLAIN + "let: { kind: '{{ item.k | number }}' }\ncases: [ { when: '{{ kind == 1 }}' }, { when: 'y{{ item.j }}' } ]"
    first = mapped(text, ALERT | {"k": "b"})
    assert first == Mapped(dead=(dead("let.kind: {{ item.k | number }}: 'b' is no number", -1, "cases"),))
    second = mapped(text, ALERT | {"k": 2})
    assert second == Mapped(dead=(dead("cases[1].when: y{{ item.j }}: item.j finds nothing", -1, "cases"),))


def test_a_list_of_events_that_is_too_large_to_search_is_a_dead_letter():
    message = "events: a descent (`..`) visits more than 10000 values; name the way instead"
    assert mapped(PLAIN + "events: $..a", list(range(20_000))) == Mapped(dead=(dead(message, -1, "cases"),))


def test_let_goes_in_order_and_may_hold_a_document_or_a_look_up():
    text = (
        PLAIN
        + """  details: "{{ all }}"
let:
  one: $.a
  state: { from: "{{ one }}", table: { x: up }, default: down }
  all: { state: "{{ state }}", items: ["{{ one }}", $.absent] }
"""
    )
    assert mapped(text, ALERT | {"a": "X"}).events == (event(details={"state": "up", "items": ["X"]}),)


@pytest.mark.parametrize("blank", ["$ALERT_ID", "null", "${x}"])
def test_a_text_that_stands_for_nothing_is_as_good_as_missing_wherever_it_stands(blank):
    text = (
        "missing: ['^\\$[A-Z_]+$', '^null$', '^\\$\\{.*\\}$']"
        + PLAIN
        + "  details: $\n  source: '{{ item.host or payload.alt }}'"
    )
    payload = ALERT | {"host": blank, "alt": "b", "in": [blank, {"deep": blank}], "kept": f"about {blank}"}
    after = payload | {"host": None, "in": [None, {"deep": None}]}
    assert mapped(text, payload).events == (event(source="b", details=after),)


def test_a_pattern_for_missing_that_is_none_is_refused_when_the_file_loads():
    document = Document("a.yaml", "missing: ['(']" + PLAIN)
    assert decode(document, Reading) is None
    assert [problem.message for problem in document.problems] == ["'(' is not a regular expression (RE2): missing ): ("]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (0, "0"),
        (1e300, "1e+300"),
        (2.0, "2"),
        (0.1, "0.1"),
        ([], ""),
        ([[1], {}], "1, {}"),
        ({}, "{}"),
    ],
)
def test_any_value_is_flat_text(value, text):
    assert flat(value) == text
