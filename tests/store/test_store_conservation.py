"""
Whatever is done in whatever order: accepted = delivered + filtered + cancelled + dead + pending + claimed + parked, and a delivery
is never claimed while an older one of its incident holds the line.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from store_examples import LEASE, LINE, NOON, a_webhook, an_event, an_intake, conserved, telling, tried

from gateway.store import Result, open_store

SINKS = ("splunk", "datadog")
UNFINISHED = ("pending", "claimed", "parked")
sinks = st.sampled_from(SINKS)
ends = st.sampled_from(["delivered", "pending", "parked", "dead", "cancelled"])


class Deliveries(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.url = f"sqlite:///{self.folder.name}/gateway.db"
        self.store = self.run(self.open())
        self.now, self.count = NOON, 0
        self.accepted, self.held = Counter(), []

    async def open(self):
        return open_store(self.url)

    def run(self, call):
        return self.runner.run(call)

    @initialize(end=ends)
    def begin(self, end):
        """Left to chance, many runs would restart and settle a store with nothing in it."""
        self.accept("trigger", "a", set(SINKS), set())
        self.deliver("splunk", end)

    @rule(
        action=st.sampled_from(["trigger", "resolve", "notice"]),
        key=st.sampled_from("ab"),
        tell=st.sets(sinks),
        filtered=st.sets(sinks),
    )
    def accept(self, action, key, tell, filtered):
        self.count += 1
        event = an_event(f"e{self.count}", action, key=key)
        decide = telling(*sorted(tell), filtered=tuple(sorted(filtered - tell)))
        webhook = a_webhook(f"w{self.count}", at=self.now)
        receipt = self.run(self.store.accept(an_intake(event, webhook=webhook, decide=decide)))
        if receipt.events[0].outcome == "told":
            self.accepted.update(tell | filtered)

    @rule(sink=sinks, limit=st.integers(1, 3))
    def claim(self, sink, limit):
        before = self.all()
        claimed = self.run(self.store.claim(sink, limit, now=self.now, lease=LEASE, line=LINE))
        for delivery in claimed:
            self.nobody_older_holds_the_line(delivery, before)
        assert (self.run(self.store.next_due(sink, now=self.now)) is None) == (not self.waiting(sink))
        self.held += claimed

    @precondition(lambda self: self.held)
    @rule(choice=st.integers(0, 5), end=ends, sent=st.booleans(), after=st.sampled_from([0.0, 60.0, 2 * LINE]))
    def record(self, choice, end, sent, after):
        delivery = self.held.pop(choice % len(self.held))
        standing = self.run(self.store.delivery(delivery.id))
        result = Result(delivery=delivery, attempt=None, state=end, due_at=self.now + after)
        if sent and end != "cancelled":
            result = tried(delivery, end, at=self.now, due_at=self.now + after)
        written = self.run(self.store.record([result], now=self.now))
        fenced = (standing["state"], standing["tries"], standing["due_at"])
        assert written == (fenced == ("claimed", delivery.attempts, delivery.due_at))

    @precondition(lambda self: any(map(self.waiting, SINKS)))
    @rule(sink=sinks, end=ends)
    def deliver(self, sink, end):
        """What happens most: whatever is due is claimed, and written down before anything else happens."""
        already = len(self.held)
        self.claim(sink, 3)
        while len(self.held) > already:
            self.record(already, end, sent=True, after=0.0)

    @rule(seconds=st.sampled_from([1.0, LEASE, LINE]))
    def wait(self, seconds):
        self.now += seconds

    @rule(sink=st.sampled_from(["", *SINKS]), state=st.sampled_from(["parked", "dead", "delivered", "cancelled", "pending"]))
    def release(self, sink, state):
        due = [delivery for delivery in self.all() if delivery["state"] == state and sink in {"", delivery["sink"]}]
        assert self.run(self.store.release(sink=sink, states=[state], now=self.now)) == len(due)

    @rule(gone=st.sets(sinks))
    def settle(self, gone):
        dying = [delivery for delivery in self.all() if delivery["sink"] in gone and delivery["state"] in UNFINISHED]
        assert self.run(self.store.settle(sorted(set(SINKS) - gone), now=self.now)) == len(dying)

    @rule(age=st.sampled_from([0.0, LINE]))
    def prune(self, age):
        cutoff = self.now - age
        under_way = [delivery["id"] for delivery in self.all() if delivery["state"] in UNFINISHED]
        self.run(self.store.prune(webhooks=cutoff, events=cutoff, dead=cutoff, delivery_ids=cutoff, limit=5))
        assert under_way == [delivery["id"] for delivery in self.all() if delivery["state"] in UNFINISHED]
        gone = {delivery.id for delivery in self.held} - {delivery["id"] for delivery in self.all()}
        self.held = [delivery for delivery in self.held if delivery.id not in gone]

    @rule()
    def restart(self):
        self.run(self.store.close())
        self.store = self.run(self.open())
        assert not [delivery for delivery in self.all() if delivery["state"] == "claimed"]

    @invariant()
    def nothing_is_missing(self):
        sums = self.run(conserved(self.store))
        assert {sink: counts["accepted"] for sink, counts in sums.items()} == self.accepted
        standing = Counter((delivery["sink"], delivery["state"]) for delivery in self.all())
        for sink, counts in sums.items():
            for state in UNFINISHED:
                assert counts[state] == standing[sink, state]

    def nobody_older_holds_the_line(self, delivery, before):
        older = before[[row["id"] for row in before].index(delivery.id) + 1 :]  # pages are newest first
        for row in older:
            same_line = (row["sink"], row["incident_id"]) == (delivery.sink, delivery.incident.id if delivery.incident else None)
            held_long = row["held_since"] is not None and row["held_since"] <= self.now - LINE
            assert not same_line or row["state"] not in UNFINISHED or held_long

    def waiting(self, sink):
        return [row for row in self.all() if row["sink"] == sink and row["state"] in {"pending", "claimed"}]

    def all(self):
        return self.run(self.store.deliveries({}, limit=500)).items

    def teardown(self):
        self.run(self.store.close())
        self.runner.close()
        self.folder.cleanup()


TestDeliveries = Deliveries.TestCase
TestDeliveries.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
