"""
What can go wrong, as one tree.

* GatewayError
  + ConfigError          the YAML is wrong; carries every Problem found
  + SecretUnset          a secret that is needed now has no value                   503
  + StageError           a webhook or a delivery failed in one stage; each class fixes stage and http_status
    - Unverified         verify   401  nothing is stored but a counter
    - Unverifiable       verify   503  the keys to verify it by cannot be had now
    - Undecodable        decode   400  nothing is stored (413 and 415 where size or type is at fault)
    - Unmappable         map      202  the webhook is kept as a dead letter
    - Unrenderable       render   ---  the delivery is dead at once
    - Undelivered        deliver  ---  `retryable` and `retry_after` say whether and when to try again
  + StoreError           the database refused; `retryable`                          503

A normal outcome ("no news", "ignored", "no sink wants it") is a value, never an exception.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from .config.problems import Problem


class GatewayError(Exception):
    """Base of everything this package raises on purpose."""


class ConfigError(GatewayError):
    """The configuration does not load."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = list(problems)


class SecretUnset(GatewayError):
    """A secret has no value. `reference` names the variable or file: for logs, doctor and API only, never for a sender."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"{reference} is not set")
        self.reference = reference


class StageError(GatewayError):
    """A webhook or a delivery failed in one stage. `reason` is one bounded word for metrics; the message is for people."""

    stage: ClassVar[str]
    http_status: int = 500
    reason: str

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason or type(self).__name__.lower()


class Unverified(StageError):
    """The sender did not prove who it is."""

    stage, http_status = "verify", 401


class Unverifiable(StageError):
    """What the sender is verified by cannot be had now; it may send again."""

    stage, http_status = "verify", 503


class Undecodable(StageError):
    """The sender's bytes are not what the provider file says they are."""

    stage = "decode"

    def __init__(self, message: str, *, reason: str = "", http_status: int = 400) -> None:
        super().__init__(message, reason=reason)
        self.http_status = http_status


class Unmappable(StageError):
    """A verified webhook that our YAML does not understand: our fault, so it is kept."""

    stage, http_status = "map", 202


class Unrenderable(StageError):
    """An event that a sink's YAML cannot say."""

    stage = "render"


class Undelivered(StageError):
    """A sink did not take it."""

    stage = "deliver"

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        retryable: bool = True,
        retry_after: float | None = None,
        unknown: bool = False,
    ) -> None:
        super().__init__(message, reason=reason)
        self.retryable, self.retry_after = retryable, retry_after
        self.unknown = unknown  # it may have arrived all the same


class StoreError(GatewayError):
    """The database refused. `retryable`: it may take the same again later."""

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message)
        self.retryable = retryable
