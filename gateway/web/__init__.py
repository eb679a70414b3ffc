"""The door: the hot mount for webhooks, the API behind its token, health and metrics. `build` joins them into one ASGI app."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from litestar import Litestar, asgi
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.response import Response
from msgspec import Struct

from .. import __version__, telemetry
from ..errors import SecretUnset, StoreError
from .api import api_router
from .errors import Refusal, error_document
from .health import health_handlers
from .ingest import Door
from .pages import docs_page

if TYPE_CHECKING:
    from ..pipeline import Pipeline
    from ..replay import Replays
    from ..store import Store


class House(Struct, frozen=True):
    """What the handlers need."""

    pipeline: Any
    store: Any
    replays: Any
    state: Any

    def admin_token(self) -> str | None:
        """The token that opens the API; None where none is set."""
        config = self.pipeline.config
        try:
            return str(config.secrets.reveal(config.settings.admin_token))
        except SecretUnset:
            return None


def build(pipeline: Pipeline, store: Store, replays: Replays, state: Any) -> Any:
    """The ASGI app. `state` has `draining` and `ready()`."""
    house = House(pipeline, store, replays, state)
    door = Door(pipeline, lambda: bool(state.draining))

    @asgi("/webhooks", is_mount=True, copy_scope=False)
    async def webhooks(scope: Any, receive: Any, send: Any) -> None:
        await door(scope, receive, send)

    app = Litestar(
        route_handlers=[webhooks, api_router(house), docs_page(house), *health_handlers(house)],
        exception_handlers={HTTPException: _refuse_http, Refusal: _refuse, StoreError: _refuse_store, Exception: _refuse_fault},
        openapi_config=OpenAPIConfig(
            title="Webhook gateway",
            version=__version__,
            path="/api/v1",
            render_plugins=[JsonRenderPlugin(path="/openapi.json")],
        ),
        request_max_body_size=1024 * 1024,
        logging_config=None,
        debug=False,
    )
    return Aliases(app, pipeline)


class Aliases:
    """Other paths for a provider's door: looked up before anything else."""

    def __init__(self, app: Any, pipeline: Pipeline) -> None:
        self._app, self._pipeline = app, pipeline

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send an alias on to its door."""
        if scope["type"] == "http":
            name = self._pipeline.config.settings.aliases.get(scope["path"])
            if name is not None:
                path = f"/webhooks/{name}"
                scope = {**scope, "called_path": scope["path"], "path": path, "raw_path": path.encode()}
        await self._app(scope, receive, send)


def _answer(status: int, document: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response[Any]:
    sent = {"x-content-type-options": "nosniff", "cache-control": "no-store", **(headers or {})}
    return Response(dict(document), status_code=status, headers=sent, media_type="application/json")


def _refuse(request: Any, error: Refusal) -> Response[Any]:
    return _answer(error.status, error_document(error.stage, error.reason, error.message), error.headers)


def _refuse_http(request: Any, error: HTTPException) -> Response[Any]:
    reasons = {404: "not_found", 405: "method", 400: "parameter", 413: "too_large"}
    message = {404: "there is nothing at this path", 405: "this path does not take this method"}.get(
        error.status_code, error.detail
    )
    return _answer(error.status_code, error_document("api", reasons.get(error.status_code, "request"), message), error.headers)


def _refuse_store(request: Any, error: StoreError) -> Response[Any]:
    return _answer(503, error_document("store", "store", str(error)), {"retry-after": "5"})


def _refuse_fault(request: Any, error: Exception) -> Response[Any]:
    telemetry.failed_unexpectedly("api", error)
    return _answer(500, error_document("api", "fault", "the gateway failed; its log says where"))


__all__ = ["House", "build"]
