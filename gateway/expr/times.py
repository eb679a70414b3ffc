"""Times in all the forms that senders use, as one: RFC 3339 in UTC. The forms are those of the providers we know, and no more."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any
from zoneinfo import ZoneInfo

from .errors import ExpressionError

# seconds, milliseconds, microseconds, nanoseconds: told apart by their size, which is unambiguous between 1973 and 5138
_MAGNITUDES = ((10**11, 1), (10**14, 10**3), (10**17, 10**6), (10**20, 10**9))
_ISO = re.compile(
    r"(\d{4})[-./](\d{2})[-./](\d{2})[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*(Z|UTC|GMT|[+-]\d{2}:?\d{2})?",
    re.IGNORECASE | re.ASCII,
)
_JAVA = re.compile(r"[A-Za-z]{3} ([A-Za-z]{3}) (\d{2}) (\d{2}:\d{2}:\d{2}) (UTC|GMT|Z) (\d{4})", re.ASCII)


def to_time(value: Any, *, format: str | None = None, zone: str | None = None) -> str | None:
    """
    A time as RFC 3339 in UTC, with the fraction it came with (up to 9 digits); None for one that says "not set".

    Takes RFC 3339 with any fraction and offset, the same with blanks, dots or no zone (then `zone`, else UTC), epoch seconds to
    nanoseconds as number or text, RFC 1123, Java's text form, and what `format` (strptime) says. ExpressionError for the rest.
    """
    if value is None or value == "" or isinstance(value, bool):
        return None
    if isinstance(value, int | float) or re.fullmatch(r"-?\d+(\.\d+)?", str(value)):
        return _from_number(str(value))
    text = str(value).strip()
    if format is not None:
        return _shown(_strptime(text, format, zone), "")
    if found := _ISO.fullmatch(text):
        return _from_iso(found, text, zone)
    if found := _JAVA.fullmatch(text):
        return _shown(_strptime(f"{found[1]} {found[2]} {found[5]} {found[3]}", "%b %d %Y %H:%M:%S", None), "")
    try:
        return _shown(parsedate_to_datetime(text).astimezone(UTC), "")
    except (ValueError, TypeError, IndexError, OverflowError):
        raise ExpressionError(f"{text[:80]!r} is no time; give its `format`") from None


def to_epoch(value: Any) -> float:
    """Seconds since 1970 of a time in any form that `to_time` takes. ExpressionError for one that is not set."""
    text = to_time(value)
    if text is None:
        raise ExpressionError(f"{str(value)[:80]!r} says that no time is set")
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp() + float(f"0.{fraction or 0}")


def _from_number(text: str) -> str | None:
    whole, _, fraction = text.partition(".")
    number = int(whole)
    if number <= 0:
        return None
    for limit, per_second in _MAGNITUDES:
        if number < limit:
            seconds, rest = divmod(number, per_second)
            digits = str(rest).rjust(len(str(per_second)) - 1, "0") if per_second > 1 else ""
            return _shown(datetime.fromtimestamp(seconds, UTC), (digits + fraction)[:9])
    return None


def _from_iso(found: re.Match[str], text: str, zone: str | None) -> str | None:
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    if int(year) <= 1:
        return None  # 0001-01-01T00:00:00Z: Go's "not set"
    try:
        naive = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second or 0), tzinfo=UTC)
        moment = naive.replace(tzinfo=_zone(offset, zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ExpressionError(f"{text[:80]!r} is no time") from None
    return _shown(moment, fraction or "")


def _zone(offset: str | None, zone: str | None) -> timezone | ZoneInfo:
    if offset is None:
        return ZoneInfo(zone) if zone else UTC
    if not offset.startswith(("+", "-")):
        return UTC
    hours, minutes = int(offset[1:3]), int(offset[-2:])
    return timezone(timedelta(hours=hours, minutes=minutes) * (-1 if offset[0] == "-" else 1))


def _strptime(text: str, format: str, zone: str | None) -> datetime:
    try:
        moment = datetime.strptime(text, format)  # noqa: DTZ007 - the zone is given in the next line
    except ValueError:
        raise ExpressionError(f"{text[:80]!r} is not of the format {format!r}") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=_zone(None, zone))).astimezone(UTC)


def _shown(moment: datetime, fraction: str) -> str:
    fraction = fraction.rstrip() or (f"{moment.microsecond:06d}".rstrip("0") if moment.microsecond else "")
    return moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0") + (f".{fraction}" if fraction.strip("0") else "") + "Z"
