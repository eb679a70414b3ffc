"""
The signature language, for both directions: what is signed, where the signature stands and how it is written are data.

A spec verifies what comes in and signs what goes out; bytes go through untouched, and nothing here knows a vendor.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Literal, Self
from urllib.parse import parse_qsl

from msgspec import Struct

from .errors import SecretUnset, Unverified
from .values import Duration, Keys, Reference, Secrets


class Signed(Struct, frozen=True, dict=True):
    """What may be signed: the body's exact bytes, the URL as called, headers by lower-case name."""

    body: bytes
    url: str = ""
    headers: Mapping[str, str] = {}
    repeated: frozenset[str] = frozenset()

    @cached_property
    def form(self) -> list[tuple[str, str]]:
        """The fields of a form body; none where it is no form."""
        try:
            return parse_qsl(self.body.decode(), keep_blank_values=True, max_num_fields=1000)
        except ValueError:
            return []


Part = Callable[[Signed, str, bytes], bytes]
_PLACE = re.compile(r"\{\{\s*(.*?)\s*\}\}")
_HEADER = re.compile(r"""headers\[(['"])([A-Za-z0-9-]+)\1\]""")
_NAMES: dict[str, Part] = {
    "body": lambda signed, timestamp, secret: signed.body,
    "timestamp": lambda signed, timestamp, secret: timestamp.encode(),
    "url": lambda signed, timestamp, secret: signed.url.encode(),
    "secret": lambda signed, timestamp, secret: secret,
    "form | sorted_pairs": lambda signed, timestamp, secret: "".join(key + value for key, value in sorted(signed.form)).encode(),
}


class ByteTemplate:
    """Bytes from literals and `{{ body }}`, `timestamp`, `url`, `secret`, `headers['…']`, `form | sorted_pairs`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.headers: list[str] = []
        pieces = _PLACE.split(text)
        self._parts = [
            self._name(piece) if index % 2 else _literal(piece) for index, piece in enumerate(pieces) if index % 2 or piece
        ]

    def _name(self, name: str) -> Part:
        if name in _NAMES:
            return _NAMES[name]
        if found := _HEADER.fullmatch(name):
            header = found[2].lower()
            self.headers.append(header)
            return lambda signed, timestamp, secret: signed.headers.get(header, "").encode("latin-1", "replace")
        known = [*_NAMES, "headers['…']"]
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"names here: {', '.join(known)}"
        raise ValueError(f"unknown name {name!r} in what is signed; {hint}")

    def __call__(self, signed: Signed, timestamp: str, secret: bytes) -> bytes:
        return b"".join(part(signed, timestamp, secret) for part in self._parts)

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


class Place(Keys, frozen=True):
    """
    Where a signature stands.

    header: The header's name.
    split: What separates several values in the header; each is looked at.
    prefix: What a value begins with; values that begin otherwise are passed over.
    """

    header: str
    split: str = ""
    prefix: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", self.header):
            raise ValueError(f"header: {self.header!r} is no header's name")

    def find(self, value: str) -> list[str]:
        """The values behind the prefix."""
        parts = [part.strip() for part in value.split(self.split)] if self.split else [value]
        return [part.removeprefix(self.prefix) for part in parts if part.startswith(self.prefix)]


class Clock(Place, frozen=True):
    """
    Where the sender's clock stands, in whole seconds since 1970.

    header: The header's name.
    split: What separates several values in the header.
    prefix: What the value begins with.
    tolerance: How far it may be from ours, in both directions.
    """

    tolerance: Duration = Duration(300.0)


class Signature(Keys, frozen=True):
    """
    An HMAC over bytes of the message.

    secret: The shared secret. `previous` beside it is accepted too, until it is removed.
    algorithm: The hash: `sha1`, `sha256` or `sha512`.
    encoding: How the digest is written: `hex` or `base64`.
    signed: What is signed, as a byte template. Default: the body.
    key: What the key is made of, as a byte template. Default: the secret.
    timestamp: Where the sender's clock stands.
    signature: Where the signature stands.
    aliases: Other names for headers; the name that is there counts.
    """

    secret: Reference
    signature: Place
    algorithm: Literal["sha1", "sha256", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    signed: ByteTemplate = ByteTemplate("{{ body }}")
    key: ByteTemplate = ByteTemplate("{{ secret }}")
    timestamp: Clock | None = None
    aliases: dict[str, str] = {}

    def __post_init__(self) -> None:
        if self.timestamp is None and (self.signed.uses("timestamp") or self.key.uses("timestamp")):
            raise ValueError("`{{ timestamp }}` is signed, so say where it stands: `timestamp: { header: … }`")

    def verify(self, signed: Signed, secrets: Secrets, now: float) -> None:
        """Return, or raise Unverified (SecretUnset where no secret has a value). No other error, whatever the sender wrote."""
        signed = self._with_aliases(signed)
        candidates = self.signature.find(_header(signed, self.signature.header))
        timestamp = self._fresh(signed, now) if self.timestamp is not None else ""
        for name in {*self.signed.headers, *self.key.headers}:
            _header(signed, name)
        given = [candidate.encode("latin-1", "replace") for candidate in candidates]
        found = False
        for secret in self._keys(secrets):
            expected = self._digest(signed, timestamp, secret)
            for candidate in given:
                found |= hmac.compare_digest(candidate.lower() if self.encoding == "hex" else candidate, expected)
        if not found:
            raise Unverified(f"{self.signature.header} does not fit what was sent and the secret", reason="mismatch")

    def sign(self, signed: Signed, secrets: Secrets, now: float) -> dict[str, str]:
        """The headers that sign this: the signature and, where the spec has one, the timestamp."""
        timestamp = str(int(now)) if self.timestamp is not None else ""
        written = [self.signature.prefix + self._digest(signed, timestamp, key).decode() for key in self._keys(secrets)]
        values = written if self.signature.split else written[:1]
        if self.timestamp is None:
            return {self.signature.header: self.signature.split.join(values)}
        stamped = self.timestamp.prefix + timestamp
        if self.timestamp.header.lower() == self.signature.header.lower():
            return {self.signature.header: self.signature.split.join([stamped, *values])}
        return {self.timestamp.header: stamped, self.signature.header: self.signature.split.join(values)}

    def references(self) -> list[Reference]:
        """The secret that must have a value."""
        return [self.secret]

    def _digest(self, signed: Signed, timestamp: str, secret: bytes) -> bytes:
        key = self.key(signed, timestamp, secret)
        digest = hmac.digest(key, self.signed(signed, timestamp, secret), self.algorithm)
        return base64.b64encode(digest) if self.encoding == "base64" else digest.hex().encode()

    def _keys(self, secrets: Secrets) -> list[bytes]:
        """The active secrets as bytes: the current one and, while it is there, the one before it."""
        keys = [_key_bytes(self.secret, secrets)]
        previous = self.secret.previous
        if previous is not None and secrets.is_set(previous):
            keys.append(_key_bytes(previous, secrets, like=self.secret))
        return keys

    def _fresh(self, signed: Signed, now: float) -> str:
        assert self.timestamp is not None
        found = self.timestamp.find(_header(signed, self.timestamp.header))
        if len(found) != 1 or not re.fullmatch(r"[0-9]{1,12}", found[0], re.ASCII):
            raise Unverified(f"{self.timestamp.header} has no timestamp in whole seconds", reason="timestamp")
        difference = now - int(found[0])
        if abs(difference) > self.timestamp.tolerance:
            where = "old" if difference > 0 else "in the future"
            raise Unverified(
                f"{self.timestamp.header} is {abs(difference):.0f} s {where}; {self.timestamp.tolerance:g} s are tolerated",
                reason="stale",
            )
        return found[0]

    def _with_aliases(self, signed: Signed) -> Signed:
        if not self.aliases:
            return signed
        headers, repeated = dict(signed.headers), set(signed.repeated)
        for name, other in self.aliases.items():
            if name.lower() not in headers and other.lower() in headers:
                headers[name.lower()] = headers[other.lower()]
                repeated |= {name.lower()} if other.lower() in repeated else set()
        return Signed(signed.body, signed.url, headers, frozenset(repeated))


def _header(signed: Signed, name: str) -> str:
    if name.lower() in signed.repeated:
        raise Unverified(f"{name} came more than once", reason="repeated")
    value = signed.headers.get(name.lower())
    if value is None:
        raise Unverified(f"there is no {name}", reason="absent")
    if not value:
        raise Unverified(f"{name} is empty", reason="absent")
    return value


def _key_bytes(reference: Reference, secrets: Secrets, like: Reference | None = None) -> bytes:
    text = secrets.reveal(reference)
    rules = like or reference
    text = text.removeprefix(rules.prefix)
    if rules.decode != "base64":
        return text.encode()
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise SecretUnset(f"{reference} (it is not base64)") from None


assert set(hashlib.algorithms_guaranteed) >= {"sha1", "sha256", "sha512"}
