"""Is it alive, is it ready, what has it done: /healthz, /health, /readyz, /metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from litestar import MediaType, Response, get

from .. import telemetry
from ..errors import StoreError

if TYPE_CHECKING:
    from . import House


def health_handlers(house: House) -> list[Any]:
    """The handlers. They need no token: they say nothing but counts."""

    @get(["/healthz", "/health"], media_type=MediaType.JSON, summary="The process lives", sync_to_thread=False)
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @get("/readyz", summary="The gateway can take and deliver")
    async def readyz() -> Response[dict[str, Any]]:
        checks = await house.state.ready()
        ok = all(check.ok for check in checks.values())
        content = {
            "status": "ready" if ok else "not ready",
            "checks": {name: msgspec.to_builtins(check) for name, check in checks.items()},
        }
        return Response(content, status_code=200 if ok else 503)

    @get("/metrics", summary="What it has done, for Prometheus")
    async def metrics() -> Response[bytes]:
        try:
            counts = await house.store.conservation()
        except StoreError:
            counts = {}
        body, media_type = telemetry.metrics(counts)
        return Response(body, media_type=media_type)

    return [healthz, readyz, metrics]
