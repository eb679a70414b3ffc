"""
How fast one may go: a token bucket for rates, turns, a fuse that leaves a failing sink alone. They are told the time, as seconds
of a clock that nobody sets.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from .values import Rate, Rates


def steady(clock: Callable[[], float], ticks: Callable[[], float] = time.monotonic) -> Callable[[], float]:
    """A clock that goes on evenly from what the other says now, though that one may be set meanwhile."""
    start, began = clock(), ticks()
    return lambda: start + ticks() - began


LOOK_EVERY = 1.0  # seconds between two looks for turns that can be forgotten


class Bucket:
    """A token bucket: so many per period, as many at once. Times in seconds."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._capacity = rate.count
        self._per_second = rate.count / rate.seconds
        self._tokens = rate.count
        self._filled_at: float | None = None

    def wait(self, now: float, tokens: float = 1.0) -> float:
        """Take so many tokens and return 0.0; or take none and return the seconds until they are there."""
        missing = self.missing(now, tokens)
        if missing == 0:
            self.take(tokens)
        return missing

    def missing(self, now: float, tokens: float = 1.0) -> float:
        """Seconds until so many tokens are there, or all there is room for; none is taken."""
        return max(0.0, (min(tokens, self._capacity) - self._fill(now)) / self._per_second)

    def whole(self, now: float) -> int:
        """How many tokens can be taken now."""
        return max(0, int(self._fill(now)))

    def full(self, now: float) -> bool:
        """Whether it has all it can hold."""
        return self._fill(now) >= self._capacity

    def _fill(self, now: float) -> float:
        passed = 0.0 if self._filled_at is None else max(0.0, now - self._filled_at)
        self._filled_at = now
        self._tokens = min(self._capacity, self._tokens + passed * self._per_second)
        return self._tokens

    def take(self, tokens: float = 1.0) -> None:
        """Take so many, though they may not be there yet: whoever comes next waits the longer."""
        self._tokens -= tokens


class Buckets:
    """Several buckets that all must have what is taken: `4/s 100/h`."""

    def __init__(self, rates: Rates) -> None:
        self.rates = rates
        self._buckets = [Bucket(rate) for rate in rates]

    def missing(self, now: float) -> float:
        """Seconds until one token is in each; none is taken."""
        return max(bucket.missing(now) for bucket in self._buckets)

    def whole(self, now: float) -> int:
        """How many tokens can be taken now."""
        return min(bucket.whole(now) for bucket in self._buckets)

    def full(self, now: float) -> bool:
        """Whether each has all it can hold."""
        return all(bucket.full(now) for bucket in self._buckets)

    def take(self, tokens: float = 1.0) -> None:
        """Take so many from each, though they may not be there yet."""
        for bucket in self._buckets:
            bucket.take(tokens)


class Turns:
    """A rate for each of many things, such as a channel."""

    MOST = 10_000

    def __init__(self, rates: Rates) -> None:
        self.rates = rates
        self._of: dict[int, tuple[Buckets, float]] = {}  # by the thing's hash; and until when its turns are promised
        self._looked_at = -LOOK_EVERY
        self._apart = max(rate.seconds / rate.count for rate in rates)

    def wait(self, thing: str, now: float) -> float:
        """
        Take one token of this thing and return 0.0; or take none and return the seconds after which to ask again: for each who
        asks a moment of their own, so that a thousand who wait do not all come back for one token.
        """
        key = hash(thing)
        if key not in self._of and len(self._of) >= self.MOST and not self._forget(now):
            key = 0  # who names ever new things shares one rate for all of them
        buckets, promised = self._of.pop(key) if key in self._of else (Buckets(self.rates), 0.0)
        missing = buckets.missing(now)
        if missing == 0:
            buckets.take()
        else:
            promised = max(now + missing, promised + self._apart if promised > now else 0.0)
        self._of[key] = buckets, promised
        return 0.0 if missing == 0 else promised - now

    def _forget(self, now: float) -> bool:
        """Whether there is room again: those whose buckets are full are as if they had never been asked for."""
        if now >= self._looked_at + LOOK_EVERY:
            self._looked_at = now
            self._of = {key: kept for key, kept in self._of.items() if kept[1] > now or not kept[0].full(now)}
        return len(self._of) < self.MOST


class Fuse:
    """
    A circuit breaker with a single probe: after so many failures in a row (or one that says that the door is locked) the sink
    is left alone for `pause` seconds, doubled each time up to LONGEST_PAUSE; then one delivery tries.
    """

    LONGEST_PAUSE = 900.0

    def __init__(self, failures: int, pause: float) -> None:
        self._most, self._first_pause = failures, pause
        self._in_a_row, self._pause, self._open_until = 0, pause, 0.0
        self.blown = False

    def wait(self, now: float) -> float:
        """Seconds to leave the sink alone; 0.0 when it may be tried."""
        return max(0.0, self._open_until - now) if self.blown else 0.0

    def succeeded(self) -> bool:
        """Whether this mended a blown fuse."""
        was_blown, self.blown = self.blown, False
        self._in_a_row, self._pause = 0, self._first_pause
        return was_blown

    def failed(self, now: float, *, at_once: bool = False) -> bool:
        """Count a failure; whether the fuse blew just now. What was under way when it blew tells nothing new."""
        if self.wait(now):
            return False
        self._in_a_row += 1
        if not (self.blown or at_once or self._in_a_row >= self._most):
            return False
        was_blown, self.blown = self.blown, True
        self._open_until = now + self._pause
        self._pause = min(self.LONGEST_PAUSE, self._pause * 2)
        return not was_blown


Ticks = Callable[[], float]


class Pace:
    """How fast a sink is asked on one trip; without limits everything goes. `paid`: requests that are paid for already."""

    def __init__(
        self, ticks: Ticks = time.monotonic, bucket: Buckets | None = None, turns: Turns | None = None, paid: int = 0
    ) -> None:
        self._ticks, self._bucket, self._turns, self._paid = ticks, bucket, turns, paid

    def turn(self, thing: str) -> float:
        """Seconds until it is the turn of this thing, of those that are told apart; 0.0: it is, and the turn is taken."""
        return self._turns.wait(thing, self._ticks()) if self._turns is not None else 0.0

    def sent(self) -> None:
        """A request goes out: of a batch that is cut, or of several steps, it may be one of many."""
        if self._paid:
            self._paid -= 1
        elif self._bucket is not None:
            self._bucket.take()
