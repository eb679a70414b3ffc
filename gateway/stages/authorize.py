"""
How we prove to a sink who we are: `auth` adds a header, `sign` signs the exact bytes.

To add a scheme: write one class here and name it in `Auth` below.
"""

from __future__ import annotations

import base64
from typing import Any

from msgspec.structs import replace

from ..model import Request
from ..signature import Signature, Signed
from ..values import Keys, Reference, Secrets


class _Auth(Keys, frozen=True, tag_field="scheme"):
    def headers(self, secrets: Secrets) -> dict[str, str]:
        """The headers to add. Raises SecretUnset."""
        raise NotImplementedError

    def references(self) -> list[Reference]:
        """The secrets it needs."""
        return []


class ApiKey(_Auth, frozen=True, tag="api_key"):
    """
    A key in a header.

    key: The key.
    header: The header it stands in.
    prefix: What stands before it.
    """

    key: Reference
    header: str = "X-API-Key"
    prefix: str = ""

    def headers(self, secrets: Secrets) -> dict[str, str]:
        return {self.header: self.prefix + secrets.reveal(self.key)}

    def references(self) -> list[Reference]:
        return [self.key]


class BearerAuth(_Auth, frozen=True, tag="bearer"):
    """
    A token behind `Authorization: Bearer` (RFC 6750).

    token: The token.
    """

    token: Reference

    def headers(self, secrets: Secrets) -> dict[str, str]:
        return {"Authorization": f"Bearer {secrets.reveal(self.token)}"}

    def references(self) -> list[Reference]:
        return [self.token]


class BasicAuth(_Auth, frozen=True, tag="basic"):
    """
    A user name and a password (RFC 7617).

    username: The user's name.
    password: The password.
    """

    username: str
    password: Reference

    def headers(self, secrets: Secrets) -> dict[str, str]:
        pair = f"{self.username}:{secrets.reveal(self.password)}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}

    def references(self) -> list[Reference]:
        return [self.password]


class OAuth2(_Auth, frozen=True, tag="oauth2"):
    """
    A token from an OAuth 2.0 token endpoint (RFC 6749, client credentials).

    token_url: Where tokens are given out.
    client_id: Our id there.
    client_secret: Our secret there.
    scope: What the token is for.
    """

    token_url: str
    client_id: str
    client_secret: Reference
    scope: str = ""

    def __post_init__(self) -> None:
        raise ValueError("the scheme 'oauth2' is in the language, and this version cannot get tokens yet; use bearer meanwhile")


Auth = ApiKey | BearerAuth | BasicAuth | OAuth2


def authorize(auth: Auth | None, request: Request, secrets: Secrets) -> Request:
    """The request with what proves who we are. Raises SecretUnset."""
    return request if auth is None else replace(request, headers=request.headers | auth.headers(secrets))


def sign(signature: Signature | None, request: Request, secrets: Secrets, now: float) -> Request:
    """The request signed, over its bytes as they are sent (compressed, if they are), at this time in epoch seconds."""
    if signature is None:
        return request
    lower: dict[str, Any] = {name.lower(): value for name, value in request.headers.items()}
    return replace(request, headers=request.headers | signature.sign(Signed(request.content, request.url, lower), secrets, now))
