"""The table of an incident's life, row by row, as ARCHITECTURE's "The incident's life" tells it."""

import pytest
from msgspec.structs import replace

from gateway.model import Decision, Event, Incident
from gateway.stages.lifecycle import Lifecycle, advance
from gateway.values import Duration

AT = "2026-03-12T08:00:00.000Z"
LATER = "2026-03-12T09:00:00.000Z"
HOLD = Lifecycle()


def event(action="trigger", severity="error", at=LATER, id="e2", summary="later"):
    return Event(
        id=id, provider="p", action=action, dedup_key="k", severity=severity, summary=summary, occurred_at=at, received_at=at
    )


def incident(status="open", severity="error", sinks=("a",), **more):
    return Incident(
        id="e1",
        provider="p",
        dedup_key="k",
        status=status,
        severity=severity,
        summary="first",
        opened_at=AT,
        updated_at=AT,
        sinks=sinks,
        **more,
    )


def test_the_first_trigger_opens_an_incident_named_for_it():
    decision = advance(None, event(id="e1", at=AT, summary="first"), ["a"], HOLD)
    assert decision == Decision(outcome="told", incident=incident(), tell=("a",))


def test_a_trigger_that_no_sink_wants_opens_an_incident_all_the_same():
    decision = advance(None, event(id="e1", at=AT, summary="first"), [], HOLD)
    assert decision == Decision(outcome="unrouted", incident=incident(sinks=()))


REPEATS = [
    # how it stands, the severity that comes, who matches, the rules; then who is told, who is kept back, and what has changed
    ("open", "error", "a", HOLD, "", "a", {}),
    ("open", "critical", "a", HOLD, "a", "", {"severity": "critical"}),
    ("open", "info", "a", HOLD, "", "a", {}),
    ("open", "error", "ab", HOLD, "b", "a", {"sinks": ("a", "b")}),
    ("open", "info", "b", HOLD, "b", "a", {"sinks": ("a", "b")}),
    ("open", "critical", "b", HOLD, "ab", "", {"severity": "critical", "sinks": ("a", "b")}),
    ("open", "error", "", HOLD, "", "a", {}),
    ("open", "critical", "", HOLD, "a", "", {"severity": "critical"}),
    ("open", "error", "b", Lifecycle(repeats="deliver"), "ab", "", {"sinks": ("a", "b")}),
    ("open", "info", "", Lifecycle(repeats="deliver"), "a", "", {}),
    ("open", "error", "a", Lifecycle(refires="reopen"), "", "a", {}),
    ("acknowledged", "error", "a", HOLD, "", "a", {}),
    ("acknowledged", "critical", "a", HOLD, "a", "", {"severity": "critical"}),
    ("acknowledged", "error", "ab", HOLD, "b", "a", {"sinks": ("a", "b")}),
    ("acknowledged", "error", "a", Lifecycle(repeats="deliver"), "a", "", {}),
    ("acknowledged", "info", "b", Lifecycle(refires="reopen"), "ab", "", {"status": "open", "acknowledged_at": "", "sinks": ("a", "b")}),
]  # fmt: skip


@pytest.mark.parametrize("status, severity, matching, rules, told, kept_back, changed", REPEATS)
def test_a_repeat_is_told_only_where_it_is_news(status, severity, matching, rules, told, kept_back, changed):
    before = incident(status, acknowledged_at=AT if status == "acknowledged" else "")
    after = replace(before, summary="later", updated_at=LATER, triggers=2, **changed)
    decision = advance(before, event(severity=severity), list(matching), rules)
    wanted = Decision(outcome="told" if told else "held", incident=after, tell=tuple(told), filtered=tuple(kept_back))
    assert decision == wanted


def test_only_the_first_trigger_after_an_acknowledge_is_a_refire():
    rules, now, told = Lifecycle(refires="reopen"), incident(), []
    for action in ("acknowledge", "trigger", "trigger", "acknowledge", "trigger"):
        decision = advance(now, event(action), ["a"], rules)
        now = decision.incident
        told.append((action, decision.outcome, now.status))
    assert told == [
        ("acknowledge", "told", "acknowledged"),
        ("trigger", "told", "open"),
        ("trigger", "held", "open"),
        ("acknowledge", "told", "acknowledged"),
        ("trigger", "told", "open"),
    ]


def test_acknowledge_and_resolve_go_to_every_sink_that_ever_matched():
    now = None
    for severity, matching in (("info", "a"), ("warning", "b"), ("warning", "c"), ("info", "")):
        now = advance(now, event(severity=severity), list(matching), HOLD).incident
    acknowledged = advance(now, event("acknowledge"), ["d"], HOLD)
    resolved = advance(acknowledged.incident, event("resolve"), ["d"], HOLD)
    assert [acknowledged.tell, resolved.tell, resolved.incident.sinks] == [("a", "b", "c")] * 3


def test_what_no_sink_follows_is_unrouted_to_its_end():
    now, outcomes = None, []
    for action in ("trigger", "trigger", "acknowledge", "acknowledge", "resolve", "resolve"):
        decision = advance(now, event(action), [], HOLD)
        now = decision.incident or now
        outcomes.append(decision.outcome)
    assert outcomes == ["unrouted"] * 5 + ["stray"]


@pytest.mark.parametrize("status", ["open", "acknowledged"])
def test_a_resolve_goes_where_its_trigger_went_whatever_matches_now(status):
    decision = advance(incident(status=status, sinks=("a", "b"), resolve_at=1.0), event("resolve", "info"), ["c"], HOLD)
    after = incident(status="resolved", sinks=("a", "b"), resolved_at=LATER)
    assert decision == Decision(outcome="told", incident=replace(after, updated_at=LATER), tell=("a", "b"))


def test_an_acknowledge_is_told_once():
    first = advance(incident(), event("acknowledge"), [], HOLD)
    after = replace(incident(), status="acknowledged", acknowledged_at=LATER, updated_at=LATER)
    assert first == Decision(outcome="told", incident=after, tell=("a",))
    second = advance(after, event("acknowledge", id="e3"), [], HOLD)
    assert second == Decision(outcome="held", incident=after, filtered=("a",))


@pytest.mark.parametrize("action", ["acknowledge", "resolve"])
@pytest.mark.parametrize("before", [None, incident(status="resolved")])
def test_with_nothing_open_a_resolve_or_acknowledge_is_stray(action, before):
    assert advance(before, event(action), ["a"], HOLD) == Decision(outcome="stray")


def test_a_trigger_after_a_resolve_opens_a_new_incident_with_the_same_key():
    before = incident(status="resolved", resolved_at=AT, severity="critical", triggers=9)
    opened = replace(incident(severity="warning", sinks=("b",)), id="e2", summary="later", opened_at=LATER, updated_at=LATER)
    assert advance(before, event(severity="warning"), ["b"], HOLD) == Decision(outcome="told", incident=opened, tell=("b",))


@pytest.mark.parametrize(("matching", "outcome"), [(["a"], "told"), ([], "unrouted")])
def test_a_notice_never_touches_an_incident(matching, outcome):
    assert advance(incident(), event("notice"), matching, HOLD) == Decision(outcome=outcome, tell=tuple(matching))


def test_each_trigger_sets_the_clock_of_a_quiet_incident_anew():
    rules = Lifecycle(resolve_after=Duration(3600))
    opened = advance(None, event(id="e1", at="1970-01-01T00:00:00.000Z"), ["a"], rules)
    assert opened.incident.resolve_at == 3600.0
    again = advance(opened.incident, event(at="1970-01-01T00:10:00.000Z"), ["a"], rules)
    assert again.incident.resolve_at == 4200.0


def test_what_an_event_says_of_its_quiet_counts_before_what_its_provider_says():
    rules = Lifecycle(resolve_after=Duration(3600))
    one = event(id="e1", at="1970-01-01T00:00:00.000Z")
    assert advance(None, replace(one, resolve_after=60.0), ["a"], rules).incident.resolve_at == 60.0
    assert advance(None, replace(one, resolve_after=60.0), ["a"], HOLD).incident.resolve_at == 60.0
    assert advance(None, one, ["a"], HOLD).incident.resolve_at is None
