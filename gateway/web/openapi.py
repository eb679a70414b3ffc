"""The OpenAPI document at /api/v1/openapi.json: what the handlers say, and what only the hot door knows."""

from __future__ import annotations

from typing import Any

from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import (
    Components,
    OpenAPI,
    OpenAPIMediaType,
    OpenAPIResponse,
    Operation,
    Parameter,
    PathItem,
    Reference,
    RequestBody,
    Schema,
    SecurityScheme,
)
from litestar.openapi.spec.enums import OpenAPIType
from litestar.types.internal_types import PathParameterDefinition

from .. import __version__, model, replay
from ..config.schemas import described as texts
from ..config.schemas import summary
from . import replays, shown

REFUSALS = {
    "400": "The body or a parameter is malformed.",
    "401": "The sender did not prove who it is; nothing was stored.",
    "404": "There is no such provider.",
    "405": "Not with this method; `Allow` says which.",
    "408": "The body came too slowly.",
    "413": "The body is larger than the provider's limit.",
    "415": "A body of this type or encoding is not understood.",
    "429": "Faster than the provider's rate; `Retry-After` says when.",
    "431": "Too many or too large headers.",
    "503": "A secret is missing, the store cannot be written, or the gateway is going down: send it again.",
}
TOKEN = SecurityScheme(type="http", scheme="bearer", description="GATEWAY_ADMIN_TOKEN")


def description() -> OpenAPIConfig:
    """Where the document is, and what it says of the whole."""
    return OpenAPIConfig(
        title="Webhook gateway",
        version=__version__,
        description="Webhooks in, deliveries out. Lists are pages: `next` of one is the `cursor` of the following.",
        path="/api/v1/openapi.json",  # as a folder of its own: below it the framework answers what is not there with a page
        operation_id_creator=_named,
        components=Components(security_schemes={"admin token": TOKEN}),
        render_plugins=[JsonRenderPlugin(path="/")],
    )


def _named(handler: Any, method: Any, path: list[str | PathParameterDefinition]) -> str:
    """A short name for an operation: `get_events_id`."""
    words = [each if isinstance(each, str) else each.name for each in path]
    return "_".join([method.lower(), *(word.replace("-", "_") for word in words if word not in ("api", "v1"))])


def described(document: OpenAPI) -> None:
    """Add what the framework does not know: the hot door, that an order may be left out, and what the structs' docstrings say."""
    assert document.paths is not None
    schemas = document.components.schemas or {}
    for struct in [
        each for module in (shown, model, replay, replays) for each in vars(module).values() if isinstance(each, type)
    ]:
        if isinstance(schema := schemas.get(struct.__name__), Schema):
            _explain(schema, struct)
    for item in document.paths.values():
        if item.post and isinstance(item.post.request_body, RequestBody):
            item.post.request_body.required = False
    document.paths["/webhooks/{provider}"] = PathItem(post=_door())


def _explain(schema: Schema, struct: type) -> None:
    schema.description = summary(struct)
    known = texts(struct)
    for name, part in (schema.properties or {}).items():
        if isinstance(part, Schema) and not part.description:
            part.description = known.get(name)


def _door() -> Operation:
    name = Parameter(
        name="provider",
        param_in="path",
        required=True,
        schema=Schema(type=OpenAPIType.STRING),
        description="A file in providers.d, without .yaml.",
    )
    return Operation(
        summary="Take a webhook in; answered once it is on disk",
        description="The sender proves who it is as the provider's file says: by a signature, or a token in a header.",
        operation_id="post_webhook",
        parameters=[name],
        request_body=RequestBody(content={"*/*": OpenAPIMediaType(schema=Schema())}, description="What the provider sends."),
        responses={"202": _answer("What was made of it.", "Receipt")}
        | {status: _answer(text, "Refused") for status, text in REFUSALS.items()},
        security=[],
    )


def _answer(text: str, shape: str) -> OpenAPIResponse | Reference:
    content: dict[str, Any] = {"application/json": OpenAPIMediaType(schema=Reference(ref=f"#/components/schemas/{shape}"))}
    return OpenAPIResponse(description=text, content=content)
