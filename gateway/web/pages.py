"""The page at /api/v1/docs: the API's operations, made from its OpenAPI document, with nothing from another host."""

from __future__ import annotations

import re
from html import escape
from typing import Any

from litestar import MediaType, Request, Response, get

from .openapi import REFUSALS

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Webhook gateway: API</title>
<link rel="stylesheet" href="/api/v1/docs.css"></head><body>
<h1>Webhook gateway</h1>
<p>Webhooks come in at <code>POST /webhooks/NAME</code>; the answer is 202 with what was made of it. Everything under
<code>/api/v1</code> wants <code>Authorization: Bearer $GATEWAY_ADMIN_TOKEN</code>. Lists take <code>limit</code> and
<code>cursor</code>, which is the <code>next</code> of the page before. The whole description is at
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
code{font-family:ui-monospace,monospace}td:first-child,td:nth-child(2){white-space:nowrap}
"""

_CSP = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def page_handlers() -> list[Any]:
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

    return [docs, style]


def _rows(schema: dict[str, Any]) -> list[str]:
    return [
        _row(f"<code>{escape(method.upper())}</code>", f"<code>{escape(path)}</code>", _coded(_what(operation)))
        for path, item in sorted(schema["paths"].items(), key=lambda each: not each[0].startswith("/webhooks"))
        for method, operation in item.items()
        if method != "head"
    ]


def _what(operation: dict[str, Any]) -> str:
    summary: str = operation["summary"]
    names = [each["name"] for each in operation.get("parameters", []) if each["in"] == "query"]
    filters = ", ".join(f"`{name}`" for name in names if name not in ("cursor", "limit"))
    return summary + (f"; filters: {filters}" if filters else "")


def _status_rows() -> list[str]:
    return [_row(status, _coded(meaning)) for status, meaning in REFUSALS.items()]


def _coded(text: str) -> str:
    """Text as HTML, with what stands in backticks as code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))


def _row(*cells: str) -> str:
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
