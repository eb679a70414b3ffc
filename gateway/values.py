"""
What a YAML value may be, beyond JSON's own types: durations, sizes, rates, networks, secrets. Each type reads itself.

To add one: a class with `read` (raises ValueError with a sentence that says how to mend it) and `schema` (its JSON Schema).
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Protocol, Self, runtime_checkable
from urllib.parse import quote, quote_plus

import re2
from msgspec import Struct
from msgspec.structs import replace

from .errors import SecretUnset

SHORTEST_MASKED = 4  # characters: masking shorter ones would tear other words apart
_NUMBER = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"  # nine digits: longer ones are slips, and the longest are no numbers at all


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
    if isinstance(data, str) and (found := re.fullmatch(rf"({_NUMBER})([A-Za-z]+)", data)) and found[2] in units:
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
            "pattern": rf"^{_NUMBER}(ms|s|m|h|d)$",
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
        return {"type": "string", "pattern": rf"^{_NUMBER}(B|KiB|MiB|GiB)$", "examples": ["64KiB", "1MiB"]}


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
        return {"type": "string", "pattern": "^[1-9][0-9]{0,8}/[smhd]$", "examples": ["50/s", "100/m"]}


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


class Network:
    """A network in CIDR form, as `10.0.0.0/8`, or one address."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._network = ipaddress.ip_network(text)

    def holds(self, address: str) -> bool:
        """Whether the address is in it, also an IPv4 address that stands in an IPv6 one (`::ffff:10.0.0.1`)."""
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(each is not None and each in self._network for each in (found, getattr(found, "ipv4_mapped", None)))

    @classmethod
    def read(cls, data: Any) -> Self:
        try:
            return cls(str(data))
        except ValueError:
            raise ValueError(f"{data!r} is no network; write it like {_nearest(data)}") from None

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": "string", "description": cls.__doc__}


def _nearest(data: Any) -> str:
    """The network that an address with its bits set stands in, or examples."""
    try:
        return str(ipaddress.ip_network(str(data), strict=False))
    except ValueError:
        return "10.0.0.0/8 or 192.0.2.7"


class Reference(Keys, frozen=True):
    """
    Where a value is kept. A secret never stands in a file we read.

    env: The environment variable that holds it. One newline at its end is taken off.
    file: The file that holds it, relative to the secrets directory. One newline at its end is taken off.
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
        if self.file is not None and not _stays_inside(self.file):
            raise ValueError("file: write a path relative to the secrets directory, without ..")
        if self.previous is not None and self.previous.previous is not None:
            raise ValueError("previous: only one value before this one is accepted; take the older one away")

    def __str__(self) -> str:
        return self.env if self.env is not None else f"file {self.file}"

    @cached_property
    def earlier(self) -> Reference | None:
        """The value before this one, read as this one is unless it says otherwise."""
        was = self.previous
        return was and replace(was, prefix=was.prefix or self.prefix, decode=was.decode or self.decode)


def check_secrets(keys: Keys, *names: str, decoded: bool = False) -> None:
    """Raise ValueError where one of these keys is a secret with a `default`, or with a `decode` that nothing would heed."""
    for name in names:
        reference: Reference = getattr(keys, name)
        for each in filter(None, (reference, reference.previous)):
            if each.default is not None:
                raise ValueError(f"{name}: a secret has no default; set its variable or file, and take `default` away")
            if each.decode is not None and not decoded:
                raise ValueError(f"{name}: only the key of a signature is decoded; take `decode` away")


class Secrets:
    """
    The values behind references, read once per configuration snapshot. Immutable from outside: a reload makes a new one.

    `environment` maps variable names to values; `root` is the directory that `file:` references may not leave.
    """

    LARGEST_FILE = 64 * 1024

    def __init__(self, environment: Mapping[str, str], root: Path | None = None) -> None:
        self._environment, self._root = environment, root
        self._found: dict[Reference, tuple[str, str]] = {}  # the value and why there is none; one of them is empty
        self._concealed: list[str] = []

    def reveal(self, reference: Reference) -> str:
        """The secret; SecretUnset when there is none or it is empty. It is masked from now on in whatever is shown."""
        value = self.look_up(reference)
        self.conceal(value)
        self.conceal(reference.prefix + value)
        return value

    def accepted(self, reference: Reference) -> list[str]:
        """The secret and, while it has a value, the one before it. Raises SecretUnset as `reveal` does."""
        return [self.reveal(each) for each in self._active(reference)]

    def keys(self, reference: Reference) -> list[bytes]:
        """The same as bytes, decoded where their references say so. SecretUnset also where one is not what it should be."""
        return [self._key(each) for each in self._active(reference)]

    def look_up(self, reference: Reference) -> str:
        """A value that is not secret (`vars`); SecretUnset when there is none."""
        if reference not in self._found:
            self._found[reference] = self._find(reference)
        value, unset = self._found[reference]
        if unset:
            raise SecretUnset(unset)
        return value

    def is_set(self, reference: Reference) -> bool:
        """Whether there is a value."""
        return not self.unset(reference)

    def unset(self, reference: Reference) -> str:
        """Which variable or file has no value, and why if it is there; empty if it has one."""
        try:
            self.look_up(reference)
        except SecretUnset as error:
            return error.reference
        return ""

    def conceal(self, text: str) -> None:
        """Mask this text from now on, also as it stands in a URL, in a form and in JSON."""
        if text in self._concealed:
            return
        written = {text, quote(text), quote(text, safe=""), quote_plus(text)}
        written |= {json.dumps(text, ensure_ascii=only_ascii)[1:-1] for only_ascii in (True, False)}
        self._concealed = sorted({*self._concealed, *written}, key=lambda each: (-len(each), each))

    def mask(self, text: str) -> str:
        """The text with every secret given out so far replaced by ***."""
        for value in self._concealed:
            if len(value) >= SHORTEST_MASKED and value in text:
                text = text.replace(value, "***")
        return text

    def revealed(self) -> list[str]:
        """Every value given out so far, however it may be written, longest first: what must be masked in whatever is shown."""
        return list(self._concealed)

    def _active(self, reference: Reference) -> list[Reference]:
        earlier = reference.earlier
        return [reference] if earlier is None or not self.is_set(earlier) else [reference, earlier]

    def _key(self, reference: Reference) -> bytes:
        text = self.reveal(reference)
        if reference.decode is None:
            return text.encode()
        try:
            key = unbase64(text)
        except ValueError:
            raise SecretUnset(f"{reference} (it is not base64)") from None
        with suppress(UnicodeDecodeError):
            self.conceal(key.decode())
        return key

    def _find(self, reference: Reference) -> tuple[str, str]:
        """A blank value counts as none: a key of nothing, or of one space, is one that anybody has."""
        try:
            value = self._environment.get(reference.env, "") if reference.env is not None else self._read(reference)
            value = re.sub(r"\r?\n\Z", "", value, count=1)
            value.encode()
        except UnicodeError:
            return "", f"{reference} (it is not UTF-8 text)"
        except SecretUnset as error:
            return "", error.reference
        if value.removeprefix(reference.prefix).strip():
            return value.removeprefix(reference.prefix), ""
        if reference.default:
            return reference.default, ""
        return "", f"{reference} (nothing stands behind {reference.prefix})" if value.strip() else str(reference)

    def _read(self, reference: Reference) -> str:
        if self._root is None:
            raise SecretUnset(f"{reference} (there is no secrets directory: set `secrets_dir` in gateway.yaml)")
        try:
            root = self._root.resolve()
            path = (root / str(reference.file)).resolve()
            if not path.is_relative_to(root):
                raise SecretUnset(f"{reference} (it leads out of the secrets directory)")
            if not path.is_file():
                raise SecretUnset(f"{reference} (there is no such file in the secrets directory)")
            with path.open("rb") as file:
                data = file.read(self.LARGEST_FILE + 1)
        except (OSError, RuntimeError) as error:  # a RuntimeError where links lead in a circle
            reason = getattr(error, "strerror", None) or "links that lead in a circle"
            raise SecretUnset(f"{reference} (it cannot be read: {reason})") from None
        if len(data) > self.LARGEST_FILE:
            raise SecretUnset(f"{reference} (it is larger than {self.LARGEST_FILE // 1024} KiB)")
        return data.decode()


def unbase64(text: str) -> bytes:
    """The bytes behind base64, with or without the padding at its end; ValueError for anything else."""
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def _stays_inside(file: str) -> bool:
    path = PurePosixPath(file)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\0" not in file
