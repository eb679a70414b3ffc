"""Schemes that are in the language and not in this version: refused when the file loads."""

from __future__ import annotations

from ...signature import ByteTemplate, Clock, Place
from ...values import Reference
from .scheme import AnyScheme


class _NotYet(AnyScheme, frozen=True):
    def __post_init__(self) -> None:
        tag = self.__struct_config__.tag
        raise ValueError(
            f"the scheme {tag!r} is in the language, and this version cannot verify it yet; use basic or token meanwhile"
        )


class Ed25519(_NotYet, frozen=True, tag="ed25519"):
    """
    An Ed25519 signature (RFC 8032). Not in this version: refused when the file loads.

    public_key: The sender's public key.
    signed: What is signed, as a byte template.
    signature: Where the signature stands.
    timestamp: Where the sender's clock stands.
    """

    public_key: Reference
    signature: Place
    signed: ByteTemplate = ByteTemplate("{{ timestamp }}{{ body }}")
    timestamp: Clock | None = None


class Jwt(_NotYet, frozen=True, tag="jwt"):
    """
    A JSON Web Token in `Authorization: Bearer` (RFC 7519). Not in this version: refused when the file loads.

    issuer: Who must have issued it.
    audience: Whom it must be for.
    keys: Where the issuer's keys are.
    claims: Claims it must have.
    """

    issuer: str
    audience: str
    keys: str
    claims: dict[str, str] = {}


class Sns(_NotYet, frozen=True, tag="sns"):
    """
    Amazon SNS's X.509 signature. Not in this version: refused when the file loads.

    topics: The topics that are allowed, as ARNs.
    versions: The signature versions that are allowed.
    """

    topics: list[str]
    versions: tuple[int, ...] = (2,)
