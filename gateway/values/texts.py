"""Texts: compared with wildcards, and made harmless where they are shown."""

from __future__ import annotations

import unicodedata
from typing import Any, Self

import re2

LONGEST_PATTERN = 512  # characters: more wildcards take longer with each


def harmless(text: str) -> str:
    """Text that may hold what an attacker wrote, with everything that steers a terminal made visible."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter in "\n\t" or unicodedata.category(letter) not in ("Cc", "Cf") else f"\\u{ord(letter):04x}"
        for letter in text
    )


class Pattern:
    """A text to compare with, letter by letter; `*` stands for any run of characters and `?` for one."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.exact = not any(wildcard in text for wildcard in "*?")
        source = "".join({"*": ".*", "?": "."}.get(letter) or re2.escape(letter) for letter in text)
        if not self.exact and len(text) > LONGEST_PATTERN:
            raise ValueError(f"a pattern of {len(text)} characters is too long; {LONGEST_PATTERN} are allowed")
        self._regex = None if self.exact else re2.compile(f"(?s){source}")

    def matches(self, text: str) -> bool:
        """Whether the whole text fits."""
        return text == self.text if self._regex is None else self._regex.fullmatch(text) is not None

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"

    @classmethod
    def read(cls, data: Any) -> Self:
        if isinstance(data, bool) or not isinstance(data, str | int | float):
            raise ValueError(f"{data!r} is not a text to match; write it in quotes")  # noqa: TRY004 - a ValueError is what `read` raises
        return cls(str(data))

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {
            "type": ["string", "number"],
            "description": "Compared letter by letter; * stands for any run of characters, ? for one.",
        }
