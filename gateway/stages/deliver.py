"""What a sink's answer means, and when to try again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from msgspec import Struct, to_builtins

from ..expr import Answer, ExpressionError, Outbound, Path
from ..model import Response, State, Verdict
from ..values import Duration, Keys, Rates

LONGEST_WAIT = 3600.0  # seconds that a Retry-After may ask for
MOST_AT_ONCE = 1000  # requests of one sink: each has a connection, and descriptors are few
RETRIED = frozenset({408, 425, 429})
PARKED = frozenset({401, 403})


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
    after: How long to wait before the next try, at least: a duration, or an expression over the answer that gives seconds, such
      as `{{ response.json.retry_after }}`. A Retry-After that asks for more is honoured. With
      `delivered`, and after any 429, the whole sink is asked nothing more for so long.
    at_most: With `wait`: for how long to ask in all. After that it counts as a try that failed, and the steps begin anew.
    """

    when: Answer
    then: Verdict
    after: Delay | None = None
    at_most: Duration = Duration(300.0)


class Items(Keys, frozen=True):
    """
    An answer that names each event of a batch, in order.

    each: Where the answers to the events are.
    rules: What each means; `item` is one of them. Default: by its `status`, as for a whole answer.
    """

    each: Path
    rules: list[Rule] = []


class Answers(Keys, frozen=True):
    """
    What a sink's answer means.

    rules: The first that holds counts. Then: 2xx is delivered, 408 425 429 5xx are tried again, 401 and 403 park, 413 splits,
      the rest is dead.
    items: For an answer that names each event of a batch.
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


class Judgement(Struct, frozen=True):
    """
    What an answer means for one delivery, and why. `after`: seconds to wait at least; `at_most`: seconds to go on waiting. `own`:
    it spoke of this one alone.
    """

    verdict: Verdict
    reason: str
    after: float | None = None
    own: bool = False
    at_most: float = 0.0


def judge(answers: Answers, response: Response, count: int, now: float) -> list[Judgement]:
    """What a response means for each of the `count` deliveries it answers, in order."""
    scope: dict[str, Any] = {"response": to_builtins(response), "now": now}
    ruled = _ruled(answers.rules, scope, response, now)
    if ruled is not None:
        return [ruled] * count
    if answers.items is not None and 200 <= response.status < 300:
        return _item_by_item(answers.items, scope, response, count, now)
    return [_by_status(response.status, response, now)] * count


def _item_by_item(items: Items, scope: Mapping[str, Any], response: Response, count: int, now: float) -> list[Judgement]:
    try:
        found = items.each(response.json)
    except ExpressionError:
        found = []
    if len(found) != count:
        hint = "; what `each` finds is a list: write [*] behind it" if len(found) == 1 and isinstance(found[0], list) else ""
        reason = f"answered {response.status}, and the answer names {len(found)} of {count} items{hint}"
        return [Judgement("retry", reason)] * count
    return [_item(items, {**scope, "item": item}, item, response, now) for item in found]


def _item(items: Items, scope: Mapping[str, Any], item: Any, response: Response, now: float) -> Judgement:
    status = item.get("status") if isinstance(item, dict) else None
    said = f"item: {status if status is not None else 'no status'}{_cause(item)}"
    ruled = _ruled(items.rules, scope, response, now, said)
    if ruled is not None:
        return Judgement(ruled.verdict, ruled.reason, ruled.after, own=True)
    judged = _by_status(status if isinstance(status, int) else 500, response, now)
    return Judgement(judged.verdict, said, judged.after, own=True)


def _cause(item: Any) -> str:
    error = item.get("error") if isinstance(item, dict) else None
    if isinstance(error, dict):
        error = error.get("reason") or error.get("type")
    return f" ({error})" if error else ""


def _ruled(
    rules: Sequence[Rule], scope: Mapping[str, Any], response: Response, now: float, said: str | None = None
) -> Judgement | None:
    for index, rule in enumerate(rules):
        try:
            holds = rule.when(scope)
        except ExpressionError:
            holds = False
        if holds:
            asked = _retry_after(response, now) if rule.then in ("retry", "wait") else None
            own = rule.after.seconds(scope) if rule.after is not None else None
            after = max((each for each in (own, asked) if each is not None), default=None)
            which = "" if rule.then == "delivered" else f"; rules[{index}] says {rule.then}"
            at_most = rule.at_most if rule.then == "wait" else 0.0
            return Judgement(rule.then, (said or _answered(response.status)) + which, after, at_most=at_most)
    return None


def _by_status(status: int, response: Response, now: float) -> Judgement:
    reason = _answered(status)
    if 200 <= status < 300:
        return Judgement("delivered", reason)
    if status in RETRIED or status >= 500:
        return Judgement("retry", reason, _retry_after(response, now))
    if status in PARKED:
        return Judgement("park", reason)
    return Judgement("split" if status == 413 else "dead", reason)


def _answered(status: int) -> str:
    return f"answered {status}" + ("; redirects are not followed, so give the final address" if 300 <= status < 400 else "")


def _retry_after(response: Response, now: float) -> float | None:
    """Seconds, from Retry-After (RFC 9110, section 10.2.3): seconds or a date. Nonsense is passed over."""
    text = response.headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return min(LONGEST_WAIT, float(text[:12]))
    try:
        moment = parsedate_to_datetime(text)
        wait = moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() - now
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return max(0.0, min(LONGEST_WAIT, wait))


def next_state(judgement: Judgement, attempts: int, retry: Retry, chance: float, now: float) -> tuple[State, float, str]:
    """Where a judgement leaves a delivery after try number `attempts`: its state, when it is due again, and why."""
    if judgement.verdict == "delivered":
        return "delivered", 0.0, judgement.reason
    if judgement.verdict == "park":
        return "parked", 0.0, f"{judgement.reason}; parked until it is mended"
    if judgement.verdict == "retry" and attempts < retry.attempts:
        wait = max(retry.delay(attempts, chance), judgement.after or 0.0)
        return "pending", now + wait, judgement.reason
    if judgement.verdict == "retry":
        return "dead", 0.0, f"{judgement.reason}; given up after {attempts} tries"
    return "dead", 0.0, judgement.reason
