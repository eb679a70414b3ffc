"""What a sink's file says of its answers, and of when to try again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from ...expr import Answer, ExpressionError, Outbound, Path
from ...model import Verdict
from ...values import Duration, Keys, Rates

LONGEST_WAIT = 3600.0  # seconds that a Retry-After may ask for
MOST_AT_ONCE = 1000  # requests of one sink: each has a connection, and descriptors are few


class Delay(Answer):
    """A duration, or an expression over the answer that gives seconds."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        said = text.startswith("$") or "{{" in text
        self.fixed = None if said else Duration.read(text)

    @classmethod
    def schema(cls) -> dict[str, Any]:
        written = Duration.schema()
        return {"type": "string", "pattern": rf"{written['pattern']}|^\$|\{{\{{", "examples": written["examples"]}

    def seconds(self, scope: Mapping[str, Any]) -> float | None:
        """So many seconds, LONGEST_WAIT at most; None where the answer does not say."""
        if self.fixed is not None:
            return self.fixed
        try:
            said = float(self(scope))
        except (ExpressionError, TypeError, ValueError, OverflowError):
            return None
        return max(0.0, min(LONGEST_WAIT, said)) if math.isfinite(said) else None


class Rule(Keys, frozen=True):
    """
    What an answer means, if it is of this kind.

    when: Holds if the answer is of this kind.
    then: `delivered`, `retry`, `dead`, `park` (until configuration or secret change), `split` (the batch is too large); for a
      step also `wait`: not yet, so ask again, which counts neither as a try nor as a failure of the sink.
    halve: With `dead`: a batch is halved until what spoils it is alone. `false` where some of it was taken and would be twice.
    after: How long to wait before the next try, at least: a duration, or an expression over the answer that gives seconds, such
      as `{{ response.json.retry_after }}`. A Retry-After that asks for more is honoured. With
      `delivered`, and after any 429, the whole sink is asked nothing more for so long.
    at_most: With `wait`: for how long to ask in all. After that it counts as a try that failed, and the steps begin anew.
    """

    when: Answer
    then: Verdict
    halve: bool = True
    after: Delay | None = None
    at_most: Duration = Duration(300.0)

    def __post_init__(self) -> None:
        if not self.halve and self.then != "dead":
            raise ValueError("halve: only `dead` halves a batch; take it away")


class Items(Keys, frozen=True):
    """
    An answer that speaks of the events of a batch one by one: in order, by their ids, or of the first that is bad.

    each: Where the answers to the events are.
    id: The event's id in such an answer, where they are in no order; what none of them names was taken.
    rules: What each means; `item` is one of them. Default: by its `status`, as for a whole answer.
    first_bad: Where the number of the first bad event is, from 0, in an answer that refuses them: those before it were taken, it
      is dead, and those behind it are sent anew.
    """

    each: Path | None = None
    id: Path | None = None
    rules: list[Rule] = []
    first_bad: Path | None = None

    def __post_init__(self) -> None:
        if (self.each is None) == (self.first_bad is None):
            raise ValueError("items: give one of each and first_bad")
        if self.each is None and (self.id is not None or self.rules):
            raise ValueError("items: `id` and `rules` go with `each`")


class Answers(Keys, frozen=True):
    """
    What a sink's answer means.

    rules: The first that holds counts. Then: 2xx is delivered, 408 425 429 5xx are tried again, 401 and 403 park, 413 splits,
      the rest is dead.
    items: For an answer that speaks of the events of a batch one by one.
    """

    rules: list[Rule] = []
    items: Items | None = None


class Retry(Keys, frozen=True):
    """
    When to try again. The delay doubles each time, half of it by chance; a Retry-After is honoured.

    attempts: How many tries there are in all.
    first_delay: The delay after the first one.
    max_delay: The longest delay.
    unknown: What to do where nobody knows whether a request arrived (no answer in time, a broken connection): `resend`, so that
      it may arrive twice, or `dead`, so that a person decides. A look-up step with `every_try` finds out before it sends.
    """

    attempts: int = 8
    first_delay: Duration = Duration(5.0)
    max_delay: Duration = Duration(900.0)
    unknown: Literal["resend", "dead"] = "resend"

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts: {self.attempts} is none; give at least 1")

    def delay(self, number: int, chance: float) -> float:
        """Seconds to wait after try `number` (from 1): between half of the full delay and all of it. `chance` is in [0, 1]."""
        full = min(self.max_delay, self.first_delay * 2.0 ** min(number - 1, 60))
        return full / 2 + chance * full / 2


class Share(Keys, frozen=True):
    """
    How much each of several takes: a channel, a tenant.

    of: What the deliveries are told apart by.
    rate: How many deliveries per time for each; several rates all hold.
    """

    of: Outbound
    rate: Rates


class Limits(Keys, frozen=True):
    """
    How much a sink takes.

    concurrency: How many requests at once, 1000 at most.
    rate: How many requests per time. Several all hold: `4/s 100/h 1800/d`.
    each: The same for each channel, tenant or whatever the deliveries are told apart by.
    timeout: How long one try may take in all.
    """

    concurrency: int = 4
    rate: Rates | None = None
    each: Share | None = None
    timeout: Duration = Duration(10.0)

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise ValueError(f"concurrency: {self.concurrency} is none; give at least 1")
        if self.concurrency > MOST_AT_ONCE:
            raise ValueError(
                f"concurrency: {self.concurrency} connections are more than {MOST_AT_ONCE}; send several events in one request "
                "with `batch` instead"
            )


class Breaker(Keys, frozen=True):
    """
    When to leave a sink alone: then one delivery tries before the others follow.

    failures: After how many failures in a row.
    pause: For how long, doubled each time it goes on.
    """

    failures: int = 10
    pause: Duration = Duration(60.0)
