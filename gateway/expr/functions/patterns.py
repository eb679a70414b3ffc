"""Regular expressions on attackers' texts: RE2, whose time grows with the text and no faster."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2

LONGEST_SEARCHED = 65_536  # characters of a text that is searched
MOST_STEPS = 300  # that a pattern compiles to: each may be tried at every character

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = 1 << 20  # bytes


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> Any:
    """The compiled pattern, or ValueError. Patterns stand in files, never in payloads, so this holds no more than the files."""
    try:
        made = re2.compile(pattern, _OPTIONS)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        words = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"{pattern!r} is not a regular expression (RE2): {words}") from None
    if made.programsize > MOST_STEPS:
        raise ValueError(
            f"{pattern[:80]!r} is too large: it compiles to {made.programsize} steps, and {MOST_STEPS} are allowed; "
            "write fewer or smaller repetitions such as {9}"
        )
    return made


def search(pattern: str, text: str) -> Any:
    """What the pattern finds first in the beginning of the text, or None."""
    return compiled(pattern).search(text[:LONGEST_SEARCHED])


def check_pattern(pattern: Any) -> None:
    """ValueError for what is not a regular expression."""
    compiled(pattern)
