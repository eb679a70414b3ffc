"""One request from its template."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from msgspec.structs import replace

from ...errors import Unrenderable
from ...expr import Outbound
from ...model import Request
from .address import checked
from .function import call
from .template import RequestTemplate
from .writing import encode, fill, flat, require_json

GZIP_LEVEL = 1  # nearly the size of the default level, in a quarter of the time
LONGEST_HEADER = 4096  # characters


def render(template: RequestTemplate, scope: Mapping[str, Any]) -> Request:
    """The request for one event. Raises Unrenderable, which names the key at fault."""
    return with_body(template, head_of(template, scope), body_of(template, scope))


def head_of(template: RequestTemplate, scope: Mapping[str, Any]) -> Request:
    """The request without its body."""
    found = {name: _header(name, value, scope) for name, value in template.headers.items()}
    headers = {name: text for name, text in found.items() if text}
    return Request(method=template.method, url=_url(template, scope), headers=headers)


def _header(name: str, value: Outbound, scope: Mapping[str, Any]) -> str:
    key = f"request.headers.{name}"
    text = flat(key, fill(key, value, scope)).strip()
    if wrong := re.search(r"[^\x20-\x7e\t]", text):
        raise Unrenderable(f"{key}: a header cannot hold {wrong[0]!a}, only printable ASCII", reason="bad_header")
    if len(text) > LONGEST_HEADER:
        raise Unrenderable(f"{key}: {len(text)} characters are too many; {LONGEST_HEADER} are allowed", reason="bad_header")
    return text


def _url(template: RequestTemplate, scope: Mapping[str, Any]) -> str:
    url = str(fill("request.url", template.address, scope) or "").strip()
    found = {name: fill(f"request.query.{name}", value, scope) for name, value in template.query.items()}
    query = {name: flat(f"request.query.{name}", value) for name, value in found.items() if value is not None}
    if query:
        url += ("&" if "?" in url else "?") + urlencode(query, errors="replace")
    return checked(url)


def with_body(template: RequestTemplate, head: Request, body: bytes, kind: str | None = None) -> Request:
    """The request with a body. `kind`: its content type, where neither the file says one nor the template knows it."""
    headers = dict(head.headers)
    if not any(name.lower() == "content-type" for name in headers) and (body or template.method in ("POST", "PUT", "PATCH")):
        headers["Content-Type"] = kind or template.content_type
    if template.compress == "gzip" and body:
        headers["Content-Encoding"], body = "gzip", gzip.compress(body, GZIP_LEVEL, mtime=0)
    return replace(head, headers=headers, content=body)


def body_of(template: RequestTemplate, scope: Mapping[str, Any]) -> bytes:
    if template.json is not None:
        return encode("request.json", fill("request.json", template.json, scope), template.json_form)
    if template.form is not None:
        fields = fill("request.form", template.form, scope)
        if not isinstance(fields, dict):
            raise Unrenderable("request.form: a mapping is wanted", reason="form")
        return urlencode({name: flat("request.form", value) for name, value in fields.items()}, errors="replace").encode()
    if template.function is not None:
        made = call(template.function, scope)
        if not isinstance(made, str):
            return encode("request.function", made, template.json_form)
        return _text(template, made, "request.function: what it returns")
    if template.template is None:
        return b""
    printed = str(fill("request.text", template.template, scope) or "")
    return _text(template, printed, "request.text: what the template prints")


def _text(template: RequestTemplate, text: str, what: str) -> bytes:
    if template.is_json:
        require_json(text, what)
    return text.encode("utf-8", "replace")


def inflate(request: Request) -> bytes:
    """A request's body, decompressed if it is."""
    return gzip.decompress(request.content) if request.headers.get("Content-Encoding") == "gzip" else request.content
