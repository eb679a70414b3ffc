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


def test_a_repeat_is_held():
    decision = advance(incident(), event(), ["a"], HOLD)
    held = incident(triggers=2)
    assert decision == Decision(outcome="held", incident=replace(held, summary="later", updated_at=LATER), filtered=("a",))


def test_a_repeat_is_passed_on_where_the_provider_says_so():
    decision = advance(incident(), event(), ["a"], Lifecycle(repeats="deliver"))
    assert (decision.outcome, decision.tell, decision.filtered) == ("told", ("a",), ())


def test_a_rise_in_severity_is_news_for_every_sink_that_follows():
    decision = advance(incident(severity="warning", sinks=("a", "b")), event(severity="critical"), ["b"], HOLD)
    assert (decision.outcome, decision.tell, decision.incident.severity) == ("told", ("a", "b"), "critical")


def test_a_fall_in_severity_is_no_news_and_the_worst_stays():
    decision = advance(incident(severity="critical"), event(severity="warning"), ["a"], HOLD)
    assert (decision.outcome, decision.tell, decision.incident.severity) == ("held", (), "critical")


def test_a_sink_whose_match_holds_for_the_first_time_gets_a_trigger_and_nobody_else_does():
    decision = advance(incident(), event(), ["a", "b"], HOLD)
    assert (decision.outcome, decision.tell, decision.filtered, decision.incident.sinks) == ("told", ("b",), ("a",), ("a", "b"))


@pytest.mark.parametrize("status", ["open", "acknowledged"])
def test_a_resolve_goes_where_its_trigger_went_whatever_matches_now(status):
    decision = advance(incident(status=status, sinks=("a", "b"), resolve_at=1.0), event("resolve", "info"), ["c"], HOLD)
    after = incident(status="resolved", sinks=("a", "b"), resolved_at=LATER)
    assert decision == Decision(outcome="told", incident=replace(after, updated_at=LATER), tell=("a", "b"))


def test_an_acknowledge_is_told_once():
    first = advance(incident(), event("acknowledge"), [], HOLD)
    assert (first.outcome, first.tell, first.incident.status, first.incident.acknowledged_at) == (
        "told",
        ("a",),
        "acknowledged",
        LATER,
    )
    second = advance(first.incident, event("acknowledge", id="e3"), [], HOLD)
    assert (second.outcome, second.tell, second.filtered, second.incident.status) == ("held", (), ("a",), "acknowledged")


def test_a_trigger_leaves_an_acknowledged_incident_acknowledged():
    decision = advance(incident(status="acknowledged"), event(), ["a"], HOLD)
    assert (decision.outcome, decision.incident.status) == ("held", "acknowledged")


def test_a_rise_on_an_acknowledged_incident_is_told_and_leaves_it_acknowledged():
    decision = advance(incident(status="acknowledged"), event(severity="critical"), ["a"], HOLD)
    assert (decision.outcome, decision.tell, decision.incident.status) == ("told", ("a",), "acknowledged")


def test_a_trigger_after_an_acknowledge_reopens_where_the_provider_re_fires():
    decision = advance(incident(status="acknowledged"), event(), ["a"], Lifecycle(refires="reopen"))
    assert (decision.outcome, decision.tell, decision.incident.status) == ("told", ("a",), "open")


@pytest.mark.parametrize("action", ["acknowledge", "resolve"])
@pytest.mark.parametrize("before", [None, incident(status="resolved")])
def test_with_nothing_open_a_resolve_or_acknowledge_is_stray(action, before):
    assert advance(before, event(action), ["a"], HOLD) == Decision(outcome="stray")


def test_a_trigger_after_a_resolve_opens_a_new_incident_with_the_same_key():
    decision = advance(incident(status="resolved", resolved_at=AT, severity="critical"), event(severity="warning"), ["b"], HOLD)
    assert (decision.incident.id, decision.incident.dedup_key, decision.incident.severity) == ("e2", "k", "warning")
    assert (decision.incident.status, decision.incident.sinks, decision.tell) == ("open", ("b",), ("b",))


@pytest.mark.parametrize(("matching", "outcome"), [(["a"], "told"), ([], "unrouted")])
def test_a_notice_never_touches_an_incident(matching, outcome):
    assert advance(incident(), event("notice"), matching, HOLD) == Decision(outcome=outcome, tell=tuple(matching))


def test_each_trigger_sets_the_clock_of_a_quiet_incident_anew():
    rules = Lifecycle(resolve_after=Duration(3600))
    opened = advance(None, event(id="e1", at="1970-01-01T00:00:00.000Z"), ["a"], rules)
    assert opened.incident.resolve_at == 3600.0
    again = advance(opened.incident, event(at="1970-01-01T00:10:00.000Z"), ["a"], rules)
    assert again.incident.resolve_at == 4200.0
