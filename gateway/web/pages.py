"""The page at /api/v1/docs: the API's operations, made from its OpenAPI document, with nothing from another host."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from litestar import MediaType, Request, Response, get

if TYPE_CHECKING:
    from . import House

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Webhook gateway: API</title>
<link rel="stylesheet" href="/api/v1/docs.css"></head><body>
<h1>Webhook gateway</h1>
<p>Webhooks come in at <code>POST /webhooks/NAME</code>; the answer is 202 with what was made of it. Everything below wants
<code>Authorization: Bearer $GATEWAY_ADMIN_TOKEN</code>. Lists take <code>limit</code>, <code>cursor</code> and filters such as
<code>sink=elastic</code>; an unknown filter is refused with the names of the known ones. The whole description is at
<a href="/api/v1/openapi.json">/api/v1/openapi.json</a>.</p>
<table><thead><tr><th>method</th><th>path</th><th>what</th></tr></thead><tbody>
{rows}
</tbody></table>
<h2>When something is refused</h2>
<p>Every refusal has one shape: <code>{{"error": {{"stage", "reason", "message", "docs"}}}}</code>.</p>
<table><thead><tr><th>status</th><th>what it means</th></tr></thead><tbody>
{statuses}
</tbody></table></body></html>
"""

_STYLE = """:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #8884}
code{font-family:ui-monospace,monospace}td:first-child{white-space:nowrap}
"""

_STATUSES = {
    400: "the body or a parameter is malformed",
    401: "the sender did not prove who it is; nothing was stored",
    404: "there is no such provider or thing",
    405: "not with this method; Allow says which",
    408: "the body came too slowly",
    413: "the body is larger than the provider's limit",
    415: "a body of this type or encoding is not understood",
    429: "faster than the provider's rate; Retry-After says when",
    431: "too many or too large headers",
    503: "a secret is missing, the store cannot be written, or the gateway is going down: send it again",
}

_CSP = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def docs_page(house: House) -> Any:
    """The page and its style sheet, which need no token: they say nothing of what happened here."""

    @get("/api/v1/docs", media_type=MediaType.HTML, include_in_schema=False, sync_to_thread=False)
    def docs(request: Request[Any, Any, Any]) -> Response[str]:
        page = _PAGE.format(rows="\n".join(_rows(request.app.openapi_schema.to_schema())), statuses="\n".join(_status_rows()))
        return Response(
            page, media_type=MediaType.HTML, headers={"content-security-policy": _CSP, "x-content-type-options": "nosniff"}
        )

    @get("/api/v1/docs.css", media_type=MediaType.CSS, include_in_schema=False, sync_to_thread=False)
    def style() -> str:
        return _STYLE

    from litestar import Router  # noqa: PLC0415

    return Router("/", route_handlers=[docs, style])


def _rows(schema: dict[str, Any]) -> list[str]:
    return [
        _row(f"<code>{escape(method.upper())}</code>", f"<code>{escape(path)}</code>", escape(operation.get("summary", "")))
        for path, item in sorted(schema["paths"].items())
        for method, operation in item.items()
        if isinstance(operation, dict)
    ]


def _status_rows() -> list[str]:
    return [_row(str(status), escape(meaning)) for status, meaning in _STATUSES.items()]


def _row(*cells: str) -> str:
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
