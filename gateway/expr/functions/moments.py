"""Functions on times. They take what `to_time` takes, which is every form that the providers we know send."""

from __future__ import annotations

from typing import Any

from ..times import to_epoch, to_nanoseconds, to_time
from .registry import Digits, Format, Zone, function


@function
def time(value: Any, format: Format = None, zone: Zone = None, digits: Digits = None) -> str | None:
    """
    A time in any of the usual forms as RFC 3339 in UTC; nothing for a time that says "not set".

    `format` is strptime's, for unusual forms; `zone` is for times that do not say theirs: `Europe/Berlin`, `+02:00`. `digits` is
    how many the fraction of a second has; without it as many as were sent, and none for a whole second.

    >>> time("2019-02-15T23:53:45.093+0000")
    '2019-02-15T23:53:45.093Z'
    >>> time("2019-02-15 23:53:45", zone="+01:00", digits=3)
    '2019-02-15T22:53:45.000Z'
    """
    found = to_time(value, format=format, zone=zone)
    if found is None or digits is None:
        return found
    whole, _, fraction = found[:-1].partition(".")
    return whole + (f".{fraction[:digits].ljust(digits, '0')}" if digits else "") + "Z"


@function
def epoch(value: Any) -> float:
    """
    A time as seconds since 1970.

    >>> epoch("2023-06-12T08:24:38.326Z")
    1686558278.326
    """
    return to_epoch(value)


@function
def epoch_s(value: Any) -> int:
    """
    A time as whole seconds since 1970.

    >>> epoch_s("2023-06-12T08:24:38.326Z")
    1686558278
    """
    return to_nanoseconds(value) // 10**9


@function
def epoch_ms(value: Any) -> int:
    """
    A time as milliseconds since 1970.

    >>> epoch_ms("2023-06-12T08:24:38.326Z")
    1686558278326
    """
    return to_nanoseconds(value) // 10**6


@function
def epoch_ns(value: Any) -> int:
    """
    A time as nanoseconds since 1970, exact.

    >>> epoch_ns("2023-06-12T08:24:38.326000001Z")
    1686558278326000001
    """
    return to_nanoseconds(value)
