"""Times in all the forms that senders use, as one: RFC 3339 in UTC. The forms are those of the providers we know, and no more."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from .errors import ExpressionError

LONGEST = 100  # characters of a time
_UNSET_YEARS = (1, 9999)  # Go's "not set" is the year 1; past 9999 lie a vendor's typing errors and overflows

# seconds, milliseconds, microseconds, nanoseconds: told apart by their size, which is unambiguous between 1973 and 5138
_MAGNITUDES = ((10**11, 9), (10**14, 6), (10**17, 3), (10**20, 0))
_NUMBER = re.compile(r"[-+]?\d+(\.\d*)?([eE][-+]?\d{1,3})?", re.ASCII)
_ISO = re.compile(
    r"(\d{4,6})[-./](\d{2})[-./](\d{2})[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*(Z|UTC|GMT|[+-]\d{2}:?\d{2})?",
    re.IGNORECASE | re.ASCII,
)
_OURS = re.compile(r"(?!0001)(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{0,8}[1-9])?Z", re.ASCII)  # as it is shown in the end
_JAVA = re.compile(r"[A-Z][a-z]{2} ([A-Z][a-z]{2}) ([ \d]?\d) (\d{2}:\d{2}:\d{2}) ([A-Z]{1,5}) (\d{4})", re.ASCII)
_RFC_1123 = re.compile(
    r"(?:[A-Z][a-z]{2}, )?(\d{1,2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}:\d{2}:\d{2})(?: (GMT|UTC|Z|[+-]\d{4}))?", re.ASCII
)
_OFFSET = re.compile(r"([+-])([01]\d|2[0-3]):?([0-5]\d)", re.ASCII)
_WORDS = {dict: "a mapping", list: "a list", tuple: "a list", bool: "true"}


def rfc3339(moment: datetime) -> str:
    """A moment as the text that events carry: RFC 3339 in UTC, milliseconds."""
    plain = (moment if moment.tzinfo is UTC else moment.astimezone(UTC)).replace(tzinfo=None)
    return plain.isoformat(timespec="milliseconds") + "Z"


def to_time(value: Any, *, format: str | None = None, zone: str | None = None) -> str | None:
    """
    A time as RFC 3339 in UTC, with the fraction it came with (up to 9 digits); None for one that says "not set".

    Takes RFC 3339 with any fraction and offset, the same with blanks, dots or no zone (then `zone`, else UTC), epoch seconds to
    nanoseconds as number or text, RFC 1123, Java's text form, and what `format` (strptime) says. "Not set" are nothing, false,
    "", as a number zero and what lies before it, the year 1, and years past 9999. ExpressionError for the rest.
    """
    if value is None or value is False or value == "":
        return None
    if isinstance(value, str) and format is None and (ours := _OURS.fullmatch(value)) and _exists(ours[1]):
        return value
    if value is True or not isinstance(value, str | int | float):
        raise ExpressionError(f"{_WORDS.get(type(value), 'this')} is no time")
    text = str(value).strip() if isinstance(value, str | float) else f"{value:d}" if abs(value) < 10**LONGEST else "1e999"
    if len(text) > LONGEST:
        raise ExpressionError(f"{text[:80]!r} is no time; it is too long")
    if format is not None:
        return _shown(*_strptime(text, format, zone))
    if _NUMBER.fullmatch(text):
        return _from_number(Decimal(text))
    return _from_text(text, zone)


def _exists(moment: str) -> bool:
    try:
        datetime.fromisoformat(moment)
    except ValueError:
        return False
    return True


def to_nanoseconds(value: Any) -> int:
    """Nanoseconds since 1970, exact, of a time in any form that `to_time` takes. ExpressionError for one that is not set."""
    text = to_time(value)
    if text is None:
        raise ExpressionError(f"{str(value)[:80]!r} says that no time is set")
    whole, _, fraction = text.removesuffix("Z").partition(".")
    since = datetime.fromisoformat(whole).replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86400 + since.seconds) * 10**9 + int(fraction.ljust(9, "0"))


def to_epoch(value: Any) -> float:
    """Seconds since 1970 of a time in any form that `to_time` takes: the nearest float. ExpressionError for one not set."""
    return to_nanoseconds(value) / 10**9


def check_zone(zone: str) -> None:
    """ValueError for what is neither a zone's name nor an offset."""
    _zone(zone)


def check_format(format: str) -> None:
    """ValueError for a strptime format that no text could have."""
    try:
        datetime.strptime("", format)  # noqa: DTZ007 - only whether it is one
    except re.error:
        raise ValueError(f"{format!r} is no time format: it says one thing twice") from None
    except ValueError as error:
        if "does not match" not in str(error):
            raise ValueError(f"{format!r} is no time format: {error}") from None


def _from_number(number: Decimal) -> str | None:
    if not 0 < number < _MAGNITUDES[-1][0]:
        return None
    power = next(power for limit, power in _MAGNITUDES if number < limit)
    seconds, rest = divmod(int(number.scaleb(power)), 10**9)
    return None if seconds == rest == 0 else _shown(datetime.fromtimestamp(seconds, UTC), f"{rest:09d}".rstrip("0"))


def _from_text(text: str, zone: str | None) -> str | None:
    try:
        if found := _ISO.fullmatch(text):
            return _from_iso(found, zone)
        if found := _JAVA.fullmatch(text):
            month, day, clock, name, year = found.groups()
            moment = datetime.strptime(f"{year} {month} {day} {clock}", "%Y %b %d %H:%M:%S")  # noqa: DTZ007 - its zone comes now
            return _shown(moment.replace(tzinfo=_named(name, zone)))
        if found := _RFC_1123.fullmatch(text):
            day, month, year, clock, offset = found.groups()
            moment = datetime.strptime(f"{year} {month} {day} {clock}", "%Y %b %d %H:%M:%S")  # noqa: DTZ007 - its zone comes now
            return _shown(moment.replace(tzinfo=_zone(offset or zone)))
    except (ValueError, OverflowError) as error:
        raise ExpressionError(f"{text!r} is no time: {error}") from None
    raise ExpressionError(f"{text[:80]!r} is no time that we know; give its `format`")


def _from_iso(found: re.Match[str], zone: str | None) -> str | None:
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    if not _UNSET_YEARS[0] < int(year) <= _UNSET_YEARS[1]:
        return None
    moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second or 0), tzinfo=_zone(offset or zone))
    return _shown(moment, fraction or "")


def _named(name: str, zone: str | None) -> tzinfo:
    if name in ("UTC", "GMT", "Z"):
        return UTC
    if zone is None:
        raise ValueError(f"{name} is the name of several zones; give its `zone`")
    return _zone(zone)


@lru_cache(maxsize=256)
def _zone(name: str | None) -> tzinfo:
    if name is None or name.upper() in ("Z", "UTC", "GMT"):
        return UTC
    if found := _OFFSET.fullmatch(name):
        sign, hours, minutes = found.groups()
        return timezone(timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1))
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not found; not a name; the name of a directory
        raise ValueError(f"there is no time zone {name[:80]!r}; write it like Europe/Berlin or +02:00") from None


def _strptime(text: str, format: str, zone: str | None) -> tuple[datetime, str]:
    try:
        moment = datetime.strptime(text, format)  # noqa: DTZ007 - the zone is given in the next line
        return (moment if moment.tzinfo else moment.replace(tzinfo=_zone(zone))), f"{moment.microsecond:06d}".rstrip("0")
    except (ValueError, re.error):
        raise ExpressionError(f"{text[:80]!r} is not of the format {format!r}") from None


def _shown(moment: datetime, fraction: str = "") -> str:
    try:
        whole = moment.astimezone(UTC).replace(tzinfo=None, microsecond=0).isoformat()
    except OverflowError:
        raise ExpressionError(f"{moment.isoformat()} is no time: in UTC it lies outside of the years 1 to 9999") from None
    return whole + (f".{fraction}" if fraction.strip("0") else "") + "Z"
