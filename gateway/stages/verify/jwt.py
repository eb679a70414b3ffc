"""A token that its issuer signs with a key it publishes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import SecretUnset, Unverified
from ...model import Webhook
from ...values import Secrets, Setting
from .scheme import NOTHING, AnyScheme, Names, sent_in

if TYPE_CHECKING:
    import jwt

LEEWAY = 60.0  # seconds that a sender's clock may be from ours
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]  # none with a shared key
_JWT = re.compile(r"(?i:bearer) +([\w-]+\.[\w-]+\.[\w-]+)", re.ASCII)


class Jwt(AnyScheme, frozen=True, tag="jwt"):
    """
    A JSON Web Token in `Authorization: Bearer` (RFC 7519), signed by an issuer with a key that it publishes (RFC 7517).

    issuer: Who must have issued it (`iss`), to the letter.
    audience: Whom it must be for (`aud`).
    keys: The https address of the issuer's key set.
    claims: Other claims it must have. Of a claim with several values, one must be this.
    """

    issuer: Setting
    audience: Setting
    keys: Setting
    claims: dict[str, Setting] = {}

    def __post_init__(self) -> None:
        if isinstance(self.keys, str):
            _check_https(self.keys)

    def verify(self, webhook: Webhook, secrets: Secrets, now: float, published: Mapping[str, str] = NOTHING) -> None:
        found = _JWT.fullmatch(sent_in(webhook, "Authorization"))
        if found is None:
            raise Unverified("Authorization does not carry a JSON Web Token", reason="mismatch")
        claims = _claims(found[1], published.get(secrets.setting(self.keys), ""))
        wanted = {"iss": self.issuer, "aud": self.audience, **self.claims}
        for name, setting in wanted.items():
            if secrets.setting(setting) not in _texts(claims.get(name)):
                raise Unverified(f"the token's claim {name!r} is not what the file asks for", reason="claim")
        _check_times(claims, now)

    def asks(self, webhook: Webhook, secrets: Secrets) -> str:
        address = secrets.setting(self.keys)
        try:
            _check_https(address)
        except ValueError as error:
            raise SecretUnset(f"{self.keys} ({error})") from None
        return address if self.speaks(webhook, secrets) else ""

    def where(self) -> str:
        return "Authorization: Bearer (a JSON Web Token)"

    def speaks(self, webhook: Webhook, secrets: Secrets) -> bool:
        return _JWT.fullmatch(webhook.headers.get("authorization", "")) is not None

    def conceal(self, secrets: Secrets) -> None:
        """What it must say is no secret."""

    def conceals(self) -> Names:
        return frozenset({"authorization"}), frozenset()


def _check_https(address: str) -> None:
    if not re.fullmatch(r"https://[!-~]+", address):
        raise ValueError("keys: only an https address says whose keys they are")


def _claims(token: str, keys: str) -> dict[str, Any]:
    """What a token says that one of these keys has signed. Raises Unverified."""
    import jwt  # noqa: PLC0415 - it takes a tenth of a second, and few doors need it

    try:
        named = jwt.get_unverified_header(token).get("kid")
        fitting = [key for key in _key_set(keys).keys if named is None or key.key_id == named]
        for key in fitting:
            try:
                found = jwt.decode_complete(token, key, algorithms=ALGORITHMS, options=_SIGNATURE_ALONE)
            except jwt.InvalidSignatureError:
                continue
            return dict(found["payload"])
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, RecursionError):
        raise Unverified("the token cannot be read, or is not signed as its key asks for", reason="token") from None
    if not fitting:
        raise Unverified("the token is signed with a key that its issuer does not publish", reason="key")
    raise Unverified("the token's signature does not fit", reason="mismatch")


_SIGNATURE_ALONE: Any = {
    "verify_signature": True,
    **dict.fromkeys(("verify_exp", "verify_nbf", "verify_iat", "verify_aud", "verify_iss", "verify_sub", "verify_jti"), False),
}


@lru_cache(maxsize=16)
def _key_set(text: str) -> jwt.PyJWKSet:
    import jwt  # noqa: PLC0415 - as above

    return jwt.PyJWKSet.from_json(text)


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [each if isinstance(each, str) else msgspec.json.encode(each).decode() for each in values if each is not None]


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    """It has an end, which is not past; it has begun (RFC 7519, 4.1.4 and 4.1.5)."""
    end, begin = claims.get("exp"), claims.get("nbf", 0)
    if not isinstance(end, int | float) or not isinstance(begin, int | float):
        raise Unverified("the token does not say until when it holds", reason="claim")
    if not begin - LEEWAY <= now < end + LEEWAY:
        raise Unverified("the token is no longer valid, or not yet", reason="stale")
