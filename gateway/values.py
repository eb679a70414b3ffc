"""
What a YAML value may be, beyond JSON's own types: durations, sizes, rates, secrets. Each type reads itself.

To add one: a class with `read` (raises ValueError with a sentence that says how to mend it) and `schema` (its JSON Schema).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol, Self, runtime_checkable

import re2
from msgspec import Struct

from .errors import SecretUnset

SHORTEST_MASKED = 4  # characters: masking shorter ones would tear other words apart


def harmless(text: str) -> str:
    """Text that may hold what an attacker wrote, with everything that steers a terminal made visible."""
    return "".join(
        letter if letter in "\n\t" or unicodedata.category(letter) not in ("Cc", "Cf") else f"\\u{ord(letter):04x}"
        for letter in text
    )


@runtime_checkable
class Value(Protocol):
    """A type that reads itself from a YAML value."""

    @classmethod
    def read(cls, data: Any) -> Self:
        """The value, or ValueError."""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        """Its JSON Schema."""


class Keys(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True, rename=lambda name: name.rstrip("_")):
    """
    A mapping in a YAML file: the base of every struct that describes one.

    The first paragraph of a subclass's docstring says what it is; each line `key: text` after it documents one key. The JSON
    Schemas and the reference are made from them. A field called `from_` is written `from`. `dict=True` makes room for
    `cached_property`: what is compiled from the keys.
    """


def _number_with_unit(units: dict[str, float], data: Any, what: str, examples: str) -> float:
    if isinstance(data, str) and (found := re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([A-Za-z]+)", data)) and found[2] in units:
        return float(found[1]) * units[found[2]]
    raise ValueError(f"{data!r} is not a {what}; write it like {examples}")


class Duration(float):
    """Seconds, written `500ms`, `10s`, `5m`, `24h` or `7d`."""

    UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

    @classmethod
    def read(cls, data: Any) -> Self:
        return cls(_number_with_unit(cls.UNITS, data, "duration", "500ms, 10s, 5m, 24h or 7d"))

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {
            "type": "string",
            "pattern": r"^[0-9]+(\.[0-9]+)?(ms|s|m|h|d)$",
            "examples": ["500ms", "10s", "5m", "24h", "7d"],
        }


class Size(int):
    """Bytes, written `64KiB`, `1MiB` or `500B`."""

    UNITS = {"B": 1.0, "KiB": 1024.0, "MiB": 1024.0**2, "GiB": 1024.0**3}

    @classmethod
    def read(cls, data: Any) -> Self:
        return cls(_number_with_unit(cls.UNITS, data, "size", "500B, 64KiB or 1MiB"))

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(B|KiB|MiB|GiB)$", "examples": ["64KiB", "1MiB"]}


class Rate(Struct, frozen=True):
    """So many per second, minute, hour or day, written `50/s`, `100/m`."""

    count: float
    seconds: float

    PERIODS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

    @classmethod
    def read(cls, data: Any) -> Self:
        if isinstance(data, str) and (found := re.fullmatch(r"([0-9]+)/([smhd])", data)) and int(found[1]) > 0:
            return cls(float(found[1]), cls.PERIODS[found[2]])
        raise ValueError(f"{data!r} is not a rate; write it like 50/s, 100/m or 1800/d")

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": "string", "pattern": "^[1-9][0-9]*/[smhd]$", "examples": ["50/s", "100/m"]}


class Pattern:
    """A text to compare with, letter by letter; `*` stands for any run of characters and `?` for one."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.exact = not any(wildcard in text for wildcard in "*?")
        source = "".join({"*": ".*", "?": "."}.get(letter) or re2.escape(letter) for letter in text)
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


class Reference(Keys, frozen=True):
    """
    Where a value is kept. A secret never stands in a file we read.

    env: The environment variable that holds it.
    file: The file that holds it, relative to the secrets directory; one newline at its end is taken off.
    previous: The value before this one; it is accepted too until you remove this key (rotation).
    prefix: Taken off the front of the value, as in `whsec_…`.
    decode: `base64`: the value is decoded before it is used as a key.
    default: Used when nothing is set. For `vars` only: a secret has no default.
    """

    env: str | None = None
    file: str | None = None
    previous: Reference | None = None
    prefix: str = ""
    decode: Literal["base64"] | None = None
    default: str | None = None

    def __post_init__(self) -> None:
        if (self.env is None) == (self.file is None):
            raise ValueError("give either env or file")

    def __str__(self) -> str:
        return self.env if self.env is not None else f"file {self.file}"


class Secrets:
    """
    The values behind references, read once per configuration snapshot. Immutable from outside: a reload makes a new one.

    `environment` maps variable names to values; `root` is the directory that `file:` references may not leave.
    """

    LARGEST_FILE = 64 * 1024

    def __init__(self, environment: Mapping[str, str], root: Path | None = None) -> None:
        self._environment, self._root = environment, root
        self._known: dict[str, str] = {}

    def reveal(self, reference: Reference) -> str:
        """The secret; SecretUnset when there is none or it is empty. It is masked from now on in whatever is shown."""
        key = str(reference)
        if key not in self._known:
            self._known[key] = self.look_up(reference)
        return self._known[key].removeprefix(reference.prefix)

    def look_up(self, reference: Reference) -> str:
        """A value that is not secret (`vars`); SecretUnset when there is none."""
        value = self._environment.get(reference.env, "") if reference.env is not None else self._read(reference)
        if not (value or reference.default):
            raise SecretUnset(str(reference))
        return value or str(reference.default)

    def is_set(self, reference: Reference) -> bool:
        """Whether there is a value."""
        try:
            self.look_up(reference)
        except SecretUnset:
            return False
        return True

    def mask(self, text: str) -> str:
        """The text with every secret given out so far replaced by ***."""
        for value in self.revealed():
            if len(value) >= SHORTEST_MASKED and value in text:
                text = text.replace(value, "***")
        return text

    def revealed(self) -> list[str]:
        """Every value given out so far, longest first: what must be masked in whatever is shown."""
        return sorted(filter(None, self._known.values()), key=len, reverse=True)

    def _read(self, reference: Reference) -> str:
        if self._root is None or not reference.file:
            raise SecretUnset(f"{reference} (no secrets directory is set)")
        path = (self._root / reference.file).resolve()
        if not path.is_relative_to(self._root.resolve()) or not path.is_file() or path.stat().st_size > self.LARGEST_FILE:
            raise SecretUnset(f"{reference} (not a small file inside the secrets directory)")
        return path.read_text().removesuffix("\n")
