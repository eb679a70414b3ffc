"""Values as an event's texts."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from ...values import Duration
from ..words import EXACT

LONGEST_SUMMARY = 1024  # characters: what the narrowest common event format takes
LONGEST_KEY = 512  # characters; a longer dedup key is kept as its SHA-256


def flat(value: Any) -> str:
    """A value as one text: nothing is "", a list is joined by commas, a mapping is compact JSON, 3.0 is "3"."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer() and abs(value) < EXACT:
            return str(int(value))
        case list():
            return ", ".join(filter(None, map(flat, value)))
        case dict():
            return msgspec.json.encode(value).decode()
    return str(value)


def seconds_of(value: Any) -> float | None:
    """A duration as seconds; None for what is missing. Raises ValueError."""
    return float(Duration.read(flat(value))) if value else None


def short(key: str) -> str:
    """A key that is no longer than 512 characters: itself, or its SHA-256 in hex."""
    return key if len(key) <= LONGEST_KEY else hashlib.sha256(key.encode()).hexdigest()
