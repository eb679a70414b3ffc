"""The incident's life against a model of it that is written another way: sets and a state word, no table."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.model import SEVERITIES, Event
from gateway.stages.lifecycle import Lifecycle, advance

SINKS = ("all", "errors", "prod")


class IncidentLife(RuleBasedStateMachine):
    """One dedup key. The model keeps what each sink was told; the sinks' own view must never contradict the incident."""

    def __init__(self):
        super().__init__()
        self.rules = Lifecycle()
        self.incident = None
        self.number = 0
        self.following = set()  # sinks that were told of a trigger of the incident that is open
        self.worst = -1
        self.told = dict.fromkeys(SINKS, "nothing")

    def say(self, action, severity, prod):
        self.number += 1
        event = Event(
            id=f"e{self.number}",
            provider="p",
            action=action,
            dedup_key="k",
            severity=severity,
            summary="s",
            occurred_at="",
            received_at="t",
        )
        matching = [
            sink
            for sink in SINKS
            if sink == "all" or (sink == "errors" and severity in ("error", "critical")) or (sink == "prod" and prod)
        ]
        decision = advance(self.incident, event, matching, self.rules)
        self.incident = decision.incident or self.incident
        return decision, set(matching)

    @rule(severity=st.sampled_from(SEVERITIES), prod=st.booleans())
    def trigger(self, severity, prod):
        was_open = self.incident is not None and self.incident.status != "resolved"
        decision, matching = self.say("trigger", severity, prod)
        rank = SEVERITIES.index(severity)
        if not was_open:
            assert set(decision.tell) == matching
            self.following, self.worst = matching, rank
        else:
            newcomers = matching - self.following
            expected = (self.following | newcomers) if rank > self.worst else newcomers
            assert set(decision.tell) == expected
            self.following, self.worst = self.following | newcomers, max(rank, self.worst)
        for sink in decision.tell:
            self.told[sink] = "trigger"

    @rule(severity=st.sampled_from(SEVERITIES), prod=st.booleans())
    def acknowledge(self, severity, prod):
        was = self.incident.status if self.incident else "resolved"
        decision, _ = self.say("acknowledge", severity, prod)
        assert set(decision.tell) == (self.following if was == "open" else set())

    @rule(severity=st.sampled_from(SEVERITIES), prod=st.booleans())
    def resolve(self, severity, prod):
        was = self.incident.status if self.incident else "resolved"
        decision, _ = self.say("resolve", severity, prod)
        assert set(decision.tell) == (self.following if was != "resolved" else set())
        for sink in decision.tell:
            self.told[sink] = "resolve"
        if was != "resolved":
            self.following = set()

    @rule(severity=st.sampled_from(SEVERITIES), prod=st.booleans())
    def notice(self, severity, prod):
        before = self.incident
        decision, matching = self.say("notice", severity, prod)
        assert set(decision.tell) == matching
        assert self.incident == before

    @invariant()
    def every_sink_that_heard_a_trigger_hears_the_end(self):
        if self.incident is not None and self.incident.status == "resolved":
            assert all(word != "trigger" for word in self.told.values())

    @invariant()
    def nobody_is_both_told_and_kept_back(self):
        assert self.incident is None or len(set(self.incident.sinks)) == len(self.incident.sinks)


IncidentLife.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestIncidentLife = IncidentLife.TestCase
