"""Numbers with a unit: durations, sizes, rates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Self

from msgspec import Struct

_NUMBER = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"  # nine digits: longer ones are slips, and the longest are no numbers at all


def _read(units: Mapping[str, float], data: Any, what: str, examples: str) -> float:
    if isinstance(data, str) and (found := re.fullmatch(rf"({_NUMBER})([A-Za-z]+)", data)) and found[2] in units:
        return float(found[1]) * units[found[2]]
    raise ValueError(f"{data!r} is not a {what}; write it like {examples}")


def _schema(units: Mapping[str, float], *examples: str) -> dict[str, Any]:
    return {"type": "string", "pattern": rf"^{_NUMBER}({'|'.join(units)})$", "examples": list(examples)}


class Duration(float):
    """Seconds, written `500ms`, `10s`, `5m`, `24h` or `7d`."""

    UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

    @classmethod
    def read(cls, data: Any) -> Self:
        return cls(_read(cls.UNITS, data, "duration", "500ms, 10s, 5m, 24h or 7d"))

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return _schema(cls.UNITS, "500ms", "10s", "5m", "24h", "7d")


class Size(int):
    """Bytes, written `64KiB`, `1MiB` or `500B`."""

    UNITS = {"B": 1.0, "KiB": 1024.0, "MiB": 1024.0**2, "GiB": 1024.0**3}

    @classmethod
    def read(cls, data: Any) -> Self:
        return cls(_read(cls.UNITS, data, "size", "500B, 64KiB or 1MiB"))

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return _schema(cls.UNITS, "64KiB", "1MiB")


_RATE = "[1-9][0-9]{0,8}/[smhd]"


class Rate(Struct, frozen=True):
    """So many per second, minute, hour or day, written `50/s`, `100/m`."""

    count: float
    seconds: float

    PERIODS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

    @classmethod
    def read(cls, data: Any) -> Self:
        if isinstance(data, str) and (found := re.fullmatch(r"([0-9]{1,9})/([smhd])", data)) and int(found[1]) > 0:
            return cls(float(found[1]), cls.PERIODS[found[2]])
        raise ValueError(f"{data!r} is not a rate; write it like 50/s, 100/m or 1800/d")

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^{_RATE}$", "examples": ["50/s", "100/m"]}


class Rates(tuple[Rate, ...]):
    """One rate or several, all of which hold, written `50/s` or `4/s 100/h 1800/d`."""

    __slots__ = ()

    @classmethod
    def read(cls, data: Any) -> Self:
        words = data.split() if isinstance(data, str) else []
        return cls(map(Rate.read, words or [data]))

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^{_RATE}( +{_RATE})*$", "examples": ["50/s", "4/s 100/h 1800/d"]}
