"""What is signed: bytes from literals and from parts of a message."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Self
from urllib.parse import parse_qsl

from msgspec import Struct

from ..errors import Unverified

MOST_FIELDS = 1000  # of a form whose fields are signed
_NAMED = r"[!#$%&*+.^_`|~0-9A-Za-z-]+"  # what a header may be called (RFC 9110), without the quote


class Signed(Struct, frozen=True, dict=True):
    """What may be signed: the body's exact bytes, the URL as called, headers by lower-case name."""

    body: bytes
    url: str = ""
    headers: Mapping[str, str] = {}
    repeated: frozenset[str] = frozenset()

    @cached_property
    def form(self) -> list[tuple[str, str]]:
        """The fields of a form body, in byte order, each byte as the letter of that number (latin-1): nothing is lost."""
        try:
            pairs = parse_qsl(self.body.decode("latin-1"), keep_blank_values=True, encoding="latin-1", max_num_fields=MOST_FIELDS)
        except ValueError:
            raise Unverified(f"the form that is signed has more than {MOST_FIELDS} fields", reason="form") from None
        return sorted(pairs)


Part = Callable[[Signed, str, bytes], bytes]
_PLACE = re.compile(r"\{\{\s*(.*?)\s*\}\}")
_HEADER = re.compile(rf"""headers\[(['"])({_NAMED})\1\]""")
NAMES: dict[str, Part] = {
    "body": lambda signed, timestamp, secret: signed.body,
    "timestamp": lambda signed, timestamp, secret: timestamp.encode(),
    "url": lambda signed, timestamp, secret: signed.url.encode(),
    "secret": lambda signed, timestamp, secret: secret,
    "form | sorted_pairs": lambda signed, timestamp, secret: "".join(key + value for key, value in signed.form).encode("latin-1"),
}


def raw(text: str) -> bytes:
    """The bytes of a header's value: on the wire each was one letter (latin-1); what a test writes beyond that is UTF-8."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode(errors="replace")


def check_header(name: str, prefix: str = "", key: str = "header") -> None:
    """Raise ValueError for what is no header's name, or for what no value can begin with."""
    if not re.fullmatch(_NAMED, name):
        raise ValueError(f"{key}: {name!r} is no header's name")
    if not re.fullmatch(r"(?! )[ -~]*", prefix):
        raise ValueError(f"prefix: no header's value begins with {prefix!r}")


class ByteTemplate:
    """Bytes from literals and `{{ body }}`, `timestamp`, `url`, `secret`, `headers['…']`, `form | sorted_pairs`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.headers: list[str] = []
        pieces = _PLACE.split(text)
        if any("{{" in literal or "}}" in literal for literal in pieces[::2]):
            raise ValueError(f"{text!r} has braces that open or close nothing; a name stands between {{{{ and }}}}")
        self._parts = [
            self._name(piece) if index % 2 else _literal(piece) for index, piece in enumerate(pieces) if index % 2 or piece
        ]

    def _name(self, name: str) -> Part:
        if name in NAMES:
            return NAMES[name]
        if found := _HEADER.fullmatch(name):
            header = found[2].lower()
            self.headers.append(header)
            return lambda signed, timestamp, secret: raw(signed.headers.get(header, ""))
        known = [*NAMES, "headers['…']"]
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"names here: {', '.join(known)}"
        raise ValueError(f"unknown name {name!r} in what is signed; {hint}")

    def __call__(self, signed: Signed, timestamp: str, secret: bytes) -> bytes:
        return b"".join([part(signed, timestamp, secret) for part in self._parts])

    def uses(self, name: str) -> bool:
        """Whether it takes this name."""
        return any(found.strip() == name for found in _PLACE.findall(self.text))

    @classmethod
    def read(cls, data: Any) -> Self:
        if not isinstance(data, str):
            raise ValueError(f"{data!r} is no text; put it in quotes")  # noqa: TRY004 - a ValueError is what `read` raises
        return cls(data)

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": "string", "description": cls.__doc__}


def _literal(text: str) -> Part:
    return lambda signed, timestamp, secret: text.encode()
