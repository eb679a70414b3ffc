"""Where a signature stands, how it is written, and what it is made with."""

from __future__ import annotations

import base64
import hmac
import math
import re
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Literal

from ..errors import Unverified
from ..values import Duration, Keys, Reference, Secrets, check_secrets
from .template import NAMES, ByteTemplate, Signed, check_header, raw


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
        check_header(self.header, self.prefix)
        if self.split and self.split in self.prefix:
            raise ValueError(f"prefix: {self.split!r} splits the header, so that no value can begin with {self.prefix!r}")

    def find(self, value: str) -> list[str]:
        """The values behind the prefix."""
        parts = [part.strip(" \t") for part in value.split(self.split)] if self.split else [value]
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


class AnySignature(Keys, frozen=True):
    """
    A signature over bytes of the message, whatever it is made with.

    signed: What is signed, as a byte template. Default: the body.
    timestamp: Where the sender's clock stands.
    signature: Where the signature stands.
    encoding: How it is written: `hex` or `base64`.
    aliases: Other names for headers; the name that is there counts.
    """

    signature: Place
    encoding: Literal["hex", "base64"] = "hex"
    signed: ByteTemplate = ByteTemplate("{{ body }}")
    timestamp: Clock | None = None
    aliases: dict[str, str] = {}

    def __post_init__(self) -> None:
        for name in (*self.aliases, *self.aliases.values()):
            check_header(name, key="aliases")
        for complaint in filter(None, (self._unsafe(), self._unclear())):
            raise ValueError(complaint)

    def templates(self) -> tuple[ByteTemplate, ...]:
        """What says which bytes count."""
        return (self.signed,)

    def _unsafe(self) -> str:
        """What would let a stranger through."""
        uses = {name for name in NAMES for template in self.templates() if template.uses(name)}
        if not uses & {"body", "url", "form | sorted_pairs"}:
            return "signed: the body is not in it, so anybody could change it"
        if self.timestamp is None and "timestamp" in uses:
            return "`{{ timestamp }}` is signed, so say where it stands: `timestamp: { header: … }`"
        if self.timestamp is not None and not ("timestamp" in uses or self.timestamp.header.lower() in self.covers):
            return (
                "timestamp: it is not signed, so anybody could change it; put `{{ timestamp }}` into `signed`, or take this away"
            )
        return ""

    def _unclear(self) -> str:
        """What would keep everybody out."""
        place, clock = self.signature, self.timestamp
        letters = r"[0-9a-f]+" if self.encoding == "hex" else r"[0-9A-Za-z+/=]+"
        if re.fullmatch(letters, place.split):
            return f"signature: {place.split!r} may stand in a signature, so it cannot split the header"
        if clock is None or clock.header.lower() != place.header.lower():
            return ""
        if not clock.split or clock.split != place.split or not clock.prefix:
            return "timestamp: it shares its header with the signature; give both the same `split`, and it a `prefix`"
        return ""

    @cached_property
    def covers(self) -> tuple[str, ...]:
        """The headers that are signed, or that the key is made of, in lower case."""
        return tuple(sorted({header for template in self.templates() for header in template.headers}))

    def is_carried_by(self, headers: Mapping[str, str]) -> bool:
        """Whether there is a signature among these headers (names in lower case)."""
        name = self.signature.header.lower()
        return name in headers or self._aliases.get(name) in headers

    @cached_property
    def covers_url(self) -> bool:
        """Whether the address is signed."""
        return any(template.uses("url") for template in self.templates())

    def given(self, signed: Signed, now: float) -> tuple[Signed, list[str], str]:
        """What was signed, the signatures that came with it, and their timestamp. Raises Unverified."""
        signed = self._with_aliases(signed) if self.aliases else signed
        given = self.signature.find(_header(signed, self.signature.header))
        timestamp = self._fresh(signed, now) if self.timestamp is not None else ""
        for name in self.covers:
            _header(signed, name)
        if not given:
            raise Unverified(f"{self.signature.header} has no value that begins with {self.signature.prefix}", reason="mismatch")
        return signed, given, timestamp

    def _fresh(self, signed: Signed, now: float) -> str:
        assert self.timestamp is not None
        found = self.timestamp.find(_header(signed, self.timestamp.header))
        if len(found) != 1 or not re.fullmatch(r"[0-9]{1,12}", found[0]):
            raise Unverified(f"{self.timestamp.header} has no timestamp in whole seconds", reason="timestamp")
        difference = now - int(found[0])
        if abs(difference) > self.timestamp.tolerance:
            seconds, where = math.ceil(abs(difference)), "old" if difference > 0 else "in the future"
            message = f"{self.timestamp.header} is {seconds} s {where}; {self.timestamp.tolerance:g} s are tolerated"
            raise Unverified(message, reason="stale")
        return found[0]

    @cached_property
    def _aliases(self) -> dict[str, str]:
        return {name.lower(): other.lower() for name, other in self.aliases.items()}

    def _with_aliases(self, signed: Signed) -> Signed:
        headers, repeated = dict(signed.headers), set(signed.repeated)
        for name, other in self._aliases.items():
            if name not in headers and other in headers:
                headers[name] = headers[other]
                repeated |= {name} if other in repeated else set()
        return Signed(signed.body, signed.url, headers, frozenset(repeated))


class Signature(AnySignature, frozen=True, kw_only=True):
    """
    An HMAC over bytes of the message.

    secret: The shared secret. `previous` beside it is accepted too, until it is removed.
    algorithm: The hash: `sha1`, `sha256` or `sha512`.
    key: What the key is made of, as a byte template. Default: the secret.
    """

    secret: Reference
    algorithm: Literal["sha1", "sha256", "sha512"] = "sha256"
    key: ByteTemplate = ByteTemplate("{{ secret }}")

    def __post_init__(self) -> None:
        check_secrets(self, "secret", decoded=True)
        super().__post_init__()

    def templates(self) -> tuple[ByteTemplate, ...]:
        return self.signed, self.key

    def _unsafe(self) -> str:
        if not any(template.uses("secret") for template in self.templates()):
            return "key: the secret is not in it, so anybody could sign"
        return super()._unsafe()

    def verify(self, signed: Signed, secrets: Secrets, now: float) -> None:
        """Return, or raise Unverified (SecretUnset where no secret has a value). No other error, whatever the sender wrote."""
        signed, given, timestamp = self.given(signed, now)
        found = False
        for secret in secrets.keys(self.secret):
            expected = self._digest(signed, timestamp, secret)
            for candidate in given:
                found |= hmac.compare_digest(raw(candidate.lower() if self.encoding == "hex" else candidate), expected)
        if not found:
            raise Unverified(f"{self.signature.header} does not fit what was sent and the secret", reason="mismatch")

    def sign(self, signed: Signed, secrets: Secrets, now: float) -> dict[str, str]:
        """The headers that sign this: the signature and, where the spec has one, the timestamp."""
        timestamp = str(int(now)) if self.timestamp is not None else ""
        written = [self.signature.prefix + self._digest(signed, timestamp, key).decode() for key in secrets.keys(self.secret)]
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
        keyed = _keyed(key, self.algorithm).copy()
        keyed.update(self.signed(signed, timestamp, secret))
        return base64.b64encode(keyed.digest()) if self.encoding == "base64" else keyed.hexdigest().encode()


@lru_cache(maxsize=256)
def _keyed(key: bytes, algorithm: str) -> hmac.HMAC:
    """An HMAC that has taken in its key, to be copied: half of what a short body costs."""
    return hmac.new(key, digestmod=algorithm)


def _header(signed: Signed, name: str) -> str:
    if name.lower() in signed.repeated:
        raise Unverified(f"{name} came more than once", reason="repeated")
    value = signed.headers.get(name.lower())
    if value is None:
        raise Unverified(f"there is no {name}", reason="absent")
    if not value:
        raise Unverified(f"{name} is empty", reason="absent")
    return value
