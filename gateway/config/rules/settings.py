"""Rules of gateway.yaml."""

from __future__ import annotations

from collections.abc import Iterator

from ..schema import Settings
from .findings import Finding

LAST_PORT = 65_535
STORES = ("sqlite:///",)  # as in gateway/store, which this layer does not know


def wrong_settings(settings: Settings) -> Iterator[Finding]:
    """
    A setting is of the right kind, and cannot be.

    A port is between 0 and 65535; 0 lets the system choose one. The scheme of `store` says which store it is.

        store: sqlite:///gateway.db
    """
    if not 0 <= settings.port <= LAST_PORT:
        yield Finding(("port",), f"there is no port {settings.port}", f"give one from 1 to {LAST_PORT}")
    if not settings.store.startswith(STORES):
        hint = "write `sqlite:///gateway.db`, or `sqlite:////var/lib/gateway/gateway.db` for an absolute path"
        yield Finding(("store",), "there is no such store", hint)
