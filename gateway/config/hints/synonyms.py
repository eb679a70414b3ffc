"""What an unknown word stands for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# What other tools call our keys, our words and our names, and our own words of other places: the first that is known here counts.
SYNONYMS: dict[str, tuple[str, ...]] = {
    # keys
    "body": ("payload", "json"),
    "condition": ("when",),
    "description": ("details",),
    "endpoint": ("url",),
    "filter": ("match",),
    "fingerprint": ("dedup_key",),
    "host": ("source",),
    "if": ("when",),
    "level": ("severity",),
    "link": ("url",),
    "mapping": ("map",),
    "message": ("summary",),
    "name": ("title",),
    "password": ("secret",),
    "priority": ("severity",),
    "status": ("action",),
    "tags": ("labels",),
    "template": ("text",),
    "timestamp": ("occurred_at",),
    "type": ("scheme",),
    # schemes
    "api_key": ("token",),
    "apikey": ("api_key", "token"),
    "token": ("api_key",),
    # severities
    "emergency": ("critical",),
    "fatal": ("critical",),
    "high": ("error",),
    "major": ("error",),
    "low": ("info",),
    "medium": ("warning",),
    "minor": ("warning",),
    # actions and verdicts
    "ack": ("acknowledge",),
    "alert": ("trigger", "item", "event"),
    "close": ("resolve",),
    "closed": ("resolve",),
    "fire": ("trigger",),
    "firing": ("trigger",),
    "open": ("trigger",),
    "drop": ("ignore", "dead"),
    "suppress": ("ignore",),
    "fail": ("dead",),
    "failed": ("dead",),
    "ok": ("resolve", "delivered"),
    "success": ("delivered",),
    # names in expressions
    "answer": ("response",),
    "env": ("vars",),
    "event": ("item",),
    "item": ("event",),
    "items": ("item", "event"),
    "labels": ("item", "event"),
    "payload": ("event",),
}


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was meant, if one is near enough, or a word that goes on after it, as `hmac-sha256` does."""
    lower = {other.lower().replace("-", "_"): other for other in known}
    word = word[:80].lower().replace("-", "_")
    found = difflib.get_close_matches(word, lower, 1) or [other for other in lower if word.startswith(f"{other}_")]
    return lower[found[0]] if found else None


def meaning(word: str, known: Iterable[str]) -> str | None:
    """The known word that an unknown one stands for: another name of it, or nearly its own."""
    known = list(known)
    same = (other for other in SYNONYMS.get(word.lower(), ()) if other in known)
    return next(same, None) or nearest(word, known)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The suggestion as a hint; empty where nothing is near."""
    meant = meaning(word, known)
    return f"did you mean `{meant}`?" if meant else ""
