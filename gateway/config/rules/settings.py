"""Rules of gateway.yaml."""

from __future__ import annotations

from collections.abc import Iterator

from ..problems import legible
from ..schema import Settings
from .findings import Finding

LAST_PORT = 65_535
OURS = frozenset({"", "/healthz", "/health", "/readyz", "/metrics", "/webhooks", "/api/v1"})
API = frozenset(
    "events incidents deliveries dead-letters sinks providers configuration reload openapi.json docs docs.css".split()  # noqa: SIM905
)
STORES = ("sqlite:///",)  # as in gateway/store, which this layer does not know


def shadowing_aliases(settings: Settings) -> Iterator[Finding]:
    """
    An alias takes a path that the gateway needs for itself, or is no path.

    Aliases are looked at first, so one at `/healthz` or below `/api/v1` would hide what stands there.

        aliases: { /ingest/alerts: prometheus }
    """
    for path in settings.aliases:
        if not path.startswith("/"):
            yield Finding(("aliases", path), "this is no path", f"begin with a slash: `/{legible(path)}`", key=True)
        elif path.rstrip("/") in OURS or path.startswith("/webhooks/"):
            yield Finding(("aliases", path), "this path is the gateway's own", "choose another", key=True)
        elif path.startswith("/api/v1/") and path.split("/")[3] in API:
            yield Finding(("aliases", path), "this path belongs to the API", "choose another", key=True)


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
