"""A file in sinks.d."""

from __future__ import annotations

from typing import Any

from msgspec import field

from ...expr import Body, Outbound, Remembered
from ...signature import Signature
from ...stages.authorize import Auth
from ...stages.deliver import Answers, Breaker, Limits, Retry
from ...stages.render import Batch, RequestTemplate, has_idle_body
from ...stages.route import Match
from ...values import Duration, Keys, Reference, Tls
from .tests import SinkTest

SHORTEST_REPEAT = 10.0  # seconds


class Step(Keys, frozen=True):
    """
    One request of several.

    name: What it is called, in attempts and in a delivery's progress.
    when: Holds if it is to be done. Without it, it always is.
    request: What is sent.
    response: What the answer means; what the sink's own `response` says holds for the rest.
    remember: Values from the answer, kept for this incident and sink; `memory` in later requests. `$` is the answer's JSON.
    every_try: Done anew in each try, though it succeeded before: a look-up, which finds what an earlier try left behind.
    """

    name: str
    request: RequestTemplate
    when: Outbound | None = None
    response: Answers = field(default_factory=Answers)
    remember: dict[str, Remembered] = {}
    every_try: bool = False


class Sink(Keys, frozen=True):
    """
    One file in sinks.d: which events it wants, and how it wants them said.

    title: The destination's name.
    docs: The page that describes what it takes.
    like: The sink this one is made from; what stands here replaces or joins what stands there.
    match: Which events it wants. Without it, all.
    vars: Values that are not secret. While one is not set, the sink is off, and says so.
    secrets: Its secrets. While one is not set, the sink is off, and says so.
    tables: Tables for the `table` function.
    auth: How we prove who we are.
    sign: How we sign what we send, over its exact bytes, at the time of the attempt.
    request: What is sent.
    print: Prints one line for each event instead of sending anything.
    batch: Sends several events in one request.
    response: What an answer means; of steps, where their own say nothing.
    steps: More than one request, in order; progress is kept with the delivery.
    escalate_after: Delivered only if the incident is still open by then; else cancelled.
    fold: A trigger whose incident is resolved before its turn comes is not told, and its resolve neither: of a storm that ends
      while the destination is down, nothing is left. What was told is always resolved.
    repeat_every: A trigger that was delivered is told again so often while its incident is open or acknowledged, for a receiver
      that forgets what it is not told of.
    retry: When to try again, and how often.
    limits: How much it takes at once.
    breaker: When to leave it alone for a while.
    tls: How its certificate is checked, and ours shown.
    tests: Tests that travel with the file.
    """

    title: str
    docs: str = ""
    like: str = ""
    match: Match = field(default_factory=Match)
    vars: dict[str, Reference] = {}
    secrets: dict[str, Reference] = {}
    tables: dict[str, dict[str, Any]] = {}
    auth: Auth | None = None
    sign: Signature | None = None
    request: RequestTemplate | None = None
    print: Body | None = None
    batch: Batch | None = None
    response: Answers = field(default_factory=Answers)
    steps: list[Step] = []
    escalate_after: Duration | None = None
    fold: bool = False
    repeat_every: Duration | None = None
    retry: Retry = field(default_factory=Retry)
    limits: Limits = field(default_factory=Limits)
    breaker: Breaker = field(default_factory=Breaker)
    tls: Tls | None = None
    tests: list[SinkTest] = []

    def __post_init__(self) -> None:
        if sum(map(bool, (self.request, self.print, self.steps))) != 1:
            raise ValueError("give one of request, steps and print")
        if self.batch is not None and self.request is None:
            raise ValueError("batch goes with request; steps and print take one event at a time")
        if self.repeat_every is not None and self.repeat_every < SHORTEST_REPEAT:
            raise ValueError(f"repeat_every: the shortest is {SHORTEST_REPEAT:g}s; who is told more often hears nothing else")
        items = self.response.items.rules if self.response.items is not None else []
        if self.request is not None and any(rule.then == "wait" for rule in (*self.response.rules, *items)):
            raise ValueError("response: `wait` goes with steps: what was sent before a question must not be sent with it again")
        if self.response.items is not None and self.response.items.first_bad and self.batch and self.batch.has_lines:
            raise ValueError(
                "response.items: `first_bad` is the number of an event, and with `batch.item` each has several lines"
            )
        if self.batch is not None and self.request is not None and has_idle_body(self.request, self.batch):
            raise ValueError("request: with `batch.item` the items are its body: say `{{ items }}` in it, or take the body away")

    @property
    def tells_late(self) -> bool:
        """Whether an incident may be over before it is told, so that it matters whether it was."""
        return self.fold or self.escalate_after is not None

    def answers_to(self, step: Step) -> Answers:
        """What the answers to a step mean: its own rules come first."""
        return Answers(rules=[*step.response.rules, *self.response.rules])
