"""Structs to read, of every shape that a file may have, in place of the real grammar."""

from __future__ import annotations

from typing import Any, Literal

from gateway.values import Duration, Keys, Rate, Reference


class Hmac(Keys, frozen=True, tag_field="scheme", tag="hmac"):
    """
    A shared secret signs the body.

    scheme: How a sender proves who it is.
    secret: Where the secret is kept.
    hash: The hash function,
      as its standard calls it.
    """

    secret: Reference
    hash: Literal["sha1", "sha256"] = "sha256"


class Open(Keys, frozen=True, tag_field="scheme", tag="none"):
    """
    Anyone may send.

    because: Why that is right.
    """

    because: str


Severity = Literal["critical", "error"]


class Fields(Keys, frozen=True):
    """
    What an event is made from.

    dedup_key: What makes two events the same incident.
    severity: How bad it is.
    from: Where it is from.
    """

    dedup_key: str | None = None
    severity: Severity | Literal["ignore"] | None = None
    from_: str = ""


class Reply(Keys, frozen=True):
    """
    An answer.

    status: The HTTP status.
    text: The body.
    json: The body as data.
    """

    status: int = 200
    text: str | None = None
    json: Any = None

    def __post_init__(self) -> None:
        if not 200 <= self.status <= 299:
            raise ValueError(f"status: {self.status} is not a success; give 200 to 299")
        if self.text is not None and self.json is not None:
            raise ValueError("give either text or json")


class Thing(Keys, frozen=True):
    """
    One file of things.

    title: The product's name.
    auth: How a sender proves who it is.
    like: The thing it is made from.
    map: What the fields are made from.
    reply: The answer.
    methods: The methods it may use.
    networks: Where it may come from.
    tables: Words for words.
    start: Where it begins.
    timeout: How long it waits.
    rate_limit: How much it takes.
    ratio: A share.
    enabled: Whether it is on.
    tests: Tests that travel with the file.
    """

    title: str
    auth: Hmac | Open
    like: str = ""
    map: Fields = Fields()
    reply: Reply | None = None
    methods: list[Literal["GET", "POST"]] = []
    networks: tuple[str, ...] = ()
    tables: dict[str, dict[str, int]] = {}
    start: Literal["now"] | Duration | None = None
    timeout: Duration | None = None
    rate_limit: Rate | None = None
    ratio: float = 1.0
    enabled: bool = True
    tests: list[dict[str, Any]] = []
