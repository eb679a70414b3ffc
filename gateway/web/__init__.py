"""The door for webhooks, the API behind its token, health and metrics. `build` joins them into one ASGI app."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from litestar import Litestar
from litestar.exceptions import HTTPException, SerializationException
from litestar.response import Response
from msgspec import Struct

from .. import telemetry
from ..errors import SecretUnset, StoreError
from .api import api_router
from .errors import Refusal, error_document
from .guard import is_foreign, refuse_foreign
from .health import health_handlers
from .ingest import Door
from .openapi import described, description
from .pages import page_handlers

if TYPE_CHECKING:
    from ..pipeline import Pipeline
    from ..replay import Replays
    from ..store import Store


class House(Struct, frozen=True):
    """What the handlers need."""

    pipeline: Any
    store: Any
    replays: Any
    reloads: Any
    state: Any

    def admin_tokens(self) -> list[str]:
        """The tokens that open the API: the one that is set, and the one before it while `previous` names it."""
        config, reference, found = self.pipeline.config, self.pipeline.config.settings.admin_token, []
        while reference is not None:
            with suppress(SecretUnset):
                found.append(str(config.secrets.reveal(reference)))
            reference = reference.previous
        return [token for token in found if token]


def build(pipeline: Pipeline, store: Store, replays: Replays, reloads: Any, state: Any) -> Entrance:
    """The ASGI app. `reloads` has `loaded` and `reload()`, `state` has `draining` and `ready()`."""
    house = House(pipeline, store, replays, reloads, state)
    door = Door(pipeline, lambda: bool(state.draining))

    app = Litestar(
        route_handlers=[api_router(house), *page_handlers(), *health_handlers(house)],
        exception_handlers={HTTPException: _refuse_http, Refusal: _refuse, StoreError: _refuse_store, Exception: _refuse_fault},
        openapi_config=description(),
        after_request=_protect,
        request_max_body_size=1024 * 1024,
        logging_config=None,
        debug=False,
    )
    described(app.openapi_schema)
    return Entrance(app, door, pipeline)


class Entrance:
    """Webhooks go straight to the door, under its own path or another that the settings name; the rest to the framework."""

    def __init__(self, app: Any, door: Door, pipeline: Pipeline) -> None:
        self._app, self.door, self._pipeline = app, door, pipeline

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One call."""
        if scope["type"] == "http":
            if self._pipeline.config.dev and is_foreign(scope, self._pipeline.config.settings.host):
                await refuse_foreign(send)
                return
            aliases, path = self._pipeline.config.settings.aliases, scope["path"]
            if name := _behind(aliases.get(path) or aliases.get(path.rstrip("/")), scope):
                await self.door(name, "", scope, receive, send)
                return
            root, _, rest = path.removeprefix("/").partition("/")
            if root == "webhooks":
                name, _, rest = rest.strip("/").partition("/")
                await self.door(name, rest, scope, receive, send)
                return
        await self._app(scope, receive, send)


def _behind(alias: str | Mapping[str, str] | None, scope: Any) -> str | None:
    """The provider whose door a path is, where that is one for several: the first whose header is there."""
    if not isinstance(alias, Mapping):
        return alias
    there = {name for name, _ in scope["headers"]}
    return next((name for header, name in alias.items() if header == "*" or header.lower().encode("latin-1") in there), None)


PROTECTED = {"x-content-type-options": "nosniff", "cache-control": "no-store"}


def _protect(response: Response[Any]) -> Response[Any]:
    """No answer is kept by anybody on the way, or taken for something else than it says."""
    for name, value in PROTECTED.items():
        response.headers.setdefault(name, value)
    return response


def _answer(status: int, document: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response[Any]:
    return Response(dict(document), status_code=status, headers={**PROTECTED, **(headers or {})}, media_type="application/json")


def _refuse(request: Any, error: Refusal) -> Response[Any]:
    return _answer(error.status, error_document(error.stage, error.reason, error.message), error.headers)


REASONS = {400: "parameter", 404: "not_found", 405: "method", 413: "too_large"}
BODY = "data"  # the framework's word
MESSAGES = {404: "there is nothing at this path", 405: "this path does not take this method"}


def _refuse_http(request: Any, error: HTTPException) -> Response[Any]:
    status = error.status_code
    headers = {name.lower(): ", ".join(sorted(value.split(", "))) for name, value in (error.headers or {}).items()}
    return _answer(status, error_document("api", REASONS.get(status, "request"), MESSAGES.get(status) or _said(error)), headers)


def _said(error: HTTPException) -> str:
    """What is wrong with a call, in the words of whoever read it."""
    if isinstance(error.__cause__, SerializationException):
        return f"the body is not JSON: {error.detail}"
    found = error.extra if isinstance(error.extra, list) else []
    said = [f"{each.get('key', BODY)}: {each['message']}".removeprefix(f"{BODY}: ") for each in found if "message" in each]
    return "; ".join(said) or error.detail


def _refuse_store(request: Any, error: StoreError) -> Response[Any]:
    return _answer(503, error_document("store", "store", str(error)), {"retry-after": "5"})


def _refuse_fault(request: Any, error: Exception) -> Response[Any]:
    telemetry.failed_unexpectedly("api", error)
    return _answer(500, error_document("api", "fault", "the gateway failed; its log says where"))


__all__ = ["House", "build"]
