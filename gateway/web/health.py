"""Is it alive, is it ready, what has it done: /healthz, /health, /readyz, /metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from litestar import HttpMethod, MediaType, Response, route
from litestar.openapi.datastructures import ResponseSpec
from msgspec import Struct

from .. import telemetry
from ..errors import StoreError

if TYPE_CHECKING:
    from . import House


class Alive(Struct):
    """The process answers."""

    status: str = "ok"


class CheckShown(Struct):
    """One thing that must be well, and what is wrong with it."""

    ok: bool
    detail: str


class Readiness(Struct):
    """`ready`, or `not ready` with a check that is not ok."""

    status: str
    checks: dict[str, CheckShown]


NOT_READY = {503: ResponseSpec(Readiness, description="It cannot; a check says why.", generate_examples=False)}
LOOK = [HttpMethod.GET, HttpMethod.HEAD]  # load balancers ask with either


def health_handlers(house: House) -> list[Any]:
    """The handlers. They need no token: they say nothing but counts."""

    @route(["/healthz", "/health"], http_method=LOOK, summary="The process lives", sync_to_thread=False, status_code=200)
    def healthz() -> Alive:
        return Alive()

    @route("/readyz", http_method=LOOK, summary="The gateway can take and deliver", status_code=200, responses=NOT_READY)
    async def readyz() -> Response[Readiness]:
        checks = await house.state.ready()
        ok = all(check.ok for check in checks.values())
        content = Readiness("ready" if ok else "not ready", msgspec.convert(checks, dict[str, CheckShown], from_attributes=True))
        return Response(content, status_code=200 if ok else 503)

    @route("/metrics", http_method=LOOK, summary="What it has done, for Prometheus", media_type=MediaType.TEXT, status_code=200)
    async def metrics() -> Response[bytes]:
        try:
            counts = await house.store.conservation()
        except StoreError:
            counts = {}
        body, media_type = telemetry.metrics(counts)
        return Response(body, media_type=media_type.partition("; charset")[0])  # the framework adds it

    return [healthz, readyz, metrics]
