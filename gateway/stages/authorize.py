"""
How we prove to a sink who we are: `auth` adds a header, `sign` signs the exact bytes.

To add a scheme: write one class here and name it in `Auth` below.
"""

from __future__ import annotations

import base64
import re
from typing import Literal

from msgspec.structs import replace

from ..errors import SecretUnset, Undelivered, Unverified
from ..model import Request
from ..signature import Signature, Signed, check_header
from ..values import Keys, Reference, Secrets, Setting, check_secrets, references_of


class _Auth(Keys, frozen=True, tag_field="scheme"):
    def headers(self, secrets: Secrets) -> dict[str, str]:
        """The headers to add. Raises SecretUnset."""
        raise NotImplementedError

    def references(self) -> list[Reference]:
        """What it needs to have a value."""
        return references_of(self)


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

    def __post_init__(self) -> None:
        check_secrets(self, "key")
        check_header(self.header, self.prefix)

    def headers(self, secrets: Secrets) -> dict[str, str]:
        return {self.header: self.prefix + _sendable(self.key, secrets)}


class BearerAuth(_Auth, frozen=True, tag="bearer"):
    """
    A token behind `Authorization: Bearer` (RFC 6750).

    token: The token.
    """

    token: Reference

    def __post_init__(self) -> None:
        check_secrets(self, "token")

    def headers(self, secrets: Secrets) -> dict[str, str]:
        return {"Authorization": f"Bearer {_sendable(self.token, secrets)}"}


class BasicAuth(_Auth, frozen=True, tag="basic"):
    """
    A user name and a password (RFC 7617).

    username: Where the user's name is kept: an account or e-mail address of yours, as for Jira, ServiceNow and Twilio.
    password: The password.
    """

    username: Reference
    password: Reference

    def __post_init__(self) -> None:
        check_secrets(self, "password")

    def headers(self, secrets: Secrets) -> dict[str, str]:
        username = secrets.look_up(self.username)
        if ":" in username:
            raise SecretUnset(f"{self.username} (a user name has no colon: the password would begin behind it)")
        encoded = base64.b64encode(f"{username}:{secrets.reveal(self.password)}".encode()).decode()
        secrets.conceal(encoded)
        return {"Authorization": f"Basic {encoded}"}


class OAuth2(_Auth, frozen=True, tag="oauth2"):
    """
    A token from an OAuth 2.0 token endpoint (RFC 6749, client credentials): kept until a minute before it ends, and got anew
    once where a sink answers 401.

    token_url: Where tokens are given out; https only.
    client_id: Our id there.
    client_secret: Our secret there.
    scope: What the token is for.
    parameters: What else the endpoint wants to be told, such as `audience`.
    client_in: Where the endpoint wants our id and secret: `header` (basic, as the RFC has it) or `body`.
    """

    token_url: Setting
    client_id: Setting
    client_secret: Reference
    scope: Setting = ""
    parameters: dict[str, Setting] = {}
    client_in: Literal["header", "body"] = "header"

    def __post_init__(self) -> None:
        check_secrets(self, "client_secret")
        if isinstance(self.token_url, str):
            _check_https(self.token_url)
        if taken := sorted({"grant_type", "client_id", "client_secret", "scope"} & set(self.parameters)):
            raise ValueError(f"parameters: {taken[0]} is sent already; take it away")

    def headers(self, secrets: Secrets) -> dict[str, str]:
        """None of its own: the token comes when it is asked for."""
        return {}

    def asked(self, secrets: Secrets) -> tuple[str, ...]:
        """What a token is asked for with: address, id, secret, scope, and the parameters. Raises SecretUnset."""
        url = secrets.setting(self.token_url)
        try:
            _check_https(url)
        except ValueError as error:
            raise SecretUnset(f"{self.token_url} ({error})") from None
        more = [text for name, setting in self.parameters.items() for text in (name, secrets.setting(setting))]
        identity = secrets.setting(self.client_id), secrets.reveal(self.client_secret), secrets.setting(self.scope)
        return url, *identity, *more


def _check_https(address: str) -> None:
    if not re.fullmatch(r"https://[!-~]+", address):
        raise ValueError("token_url: a secret is sent there, so it begins with https://")


Auth = ApiKey | BearerAuth | BasicAuth | OAuth2


def authorize(auth: Auth | None, request: Request, secrets: Secrets, token: str = "") -> Request:
    """The request with what proves who we are; `token` is the one of `oauth2`. Raises SecretUnset."""
    if auth is None:
        return request
    return _with(request, {"Authorization": f"Bearer {token}"} if token else auth.headers(secrets))


def sign(signature: Signature | None, request: Request, secrets: Secrets, now: float) -> Request:
    """
    The request signed, over its bytes as they are sent (compressed, if they are), at this time in epoch seconds.

    Raises SecretUnset, and Undelivered where what is to be signed is not there: another try would end the same.
    """
    if signature is None:
        return request
    headers = {name.lower(): value for name, value in request.headers.items()}
    if absent := sorted(set(signature.covers) - set(headers)):
        message = f"sign: the request has no header {absent[0]}, which is signed; give it one under `request.headers`"
        raise Undelivered(message, reason="unsendable", retryable=False)
    try:
        return _with(request, signature.sign(Signed(request.content, request.url, headers), secrets, now))
    except Unverified as error:
        raise Undelivered(f"sign: {error}", reason="unsendable", retryable=False) from None


def _with(request: Request, headers: dict[str, str]) -> Request:
    """The request with these headers in place of its own of the same names, however those are spelled."""
    ours = {name.lower() for name in headers}
    return replace(
        request, headers={name: value for name, value in request.headers.items() if name.lower() not in ours} | headers
    )


def _sendable(reference: Reference, secrets: Secrets) -> str:
    """A secret that may stand at the end of a header; nothing in it begins another one."""
    secret = secrets.reveal(reference)
    if not re.fullmatch(r"[!-~]([ -~]*[!-~])?", secret):
        raise SecretUnset(f"{reference} (no header can carry it: a line break, a space around it, or a letter outside ASCII)")
    return secret
