"""A door's `auth`, read from YAML: for the tests of the schemes."""

from __future__ import annotations

from typing import Any

from gateway.config.decode import decode
from gateway.config.yaml import Document
from gateway.stages.verify import Scheme
from gateway.values import Keys


class Door(Keys, frozen=True):
    """
    A door.

    auth: How a sender proves who it is.
    """

    auth: Scheme


def read(text: str) -> Any:
    document = Document("a.yaml", f"auth: {text}")
    door = decode(document, Door)
    assert door, document.problems
    return door.auth
