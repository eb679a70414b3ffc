"""An event in a sink's words: HTTP requests, ready to authorize and send."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from msgspec import Struct

from ..errors import Unrenderable
from ..expr import Body, ExpressionError, Outbound, OutboundDocument
from ..model import Request
from ..values import Duration, Keys, Size

GZIP_LEVEL = 1  # nearly the size of the default level, in a quarter of the time
LONGEST_HEADER = 4096  # characters
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer", "proxy-connection"}
)
_ORIGIN = re.compile(r"\s*(?:\{\{(?:(?!\}\}).)*\}\}|https?://[^/?#]*)", re.DOTALL)
_ATTACKERS = frozenset({"event", "incident", "memory", "items", "by"})


class RequestTemplate(Keys, frozen=True):
    """
    One HTTP request. Give one of json, form and text, or none of them for an empty body.

    method: The HTTP method.
    url: The address. What comes from an event may fill path and query, never the host.
    query: Query parameters to add.
    headers: Headers to add. Host, Content-Length and what concerns the connection are ours.
    json: The body as a JSON document; always valid JSON. A leaf that finds nothing is left out.
    form: The body as a form: a flat mapping.
    text: The body as a template. With a JSON content type, what it prints is escaped as JSON.
    text_file: A file beside this one that holds such a template.
    function: A Python function `package.module:name` that makes the body; only where the settings allow it.
    json_form: `sorted` writes JSON with its keys in order and blanks, as Python's `json.dumps(sort_keys=True)` does.
    compress: `gzip` compresses the body.
    """

    url: Outbound
    method: Literal["POST", "GET", "PUT", "PATCH", "DELETE"] = "POST"
    query: dict[str, Outbound] = {}
    headers: dict[str, Outbound] = {}
    json: OutboundDocument | None = None
    form: OutboundDocument | None = None
    text: Body | None = None
    text_file: str | None = None
    function: str | None = None
    json_form: Literal["compact", "sorted"] = "compact"
    compress: Literal["none", "gzip"] = "none"

    def __post_init__(self) -> None:
        if sum(body is not None for body in (self.json, self.form, self.text, self.text_file, self.function)) > 1:
            raise ValueError("a request has one body: give one of json, form, text, text_file and function")
        if self.text_file or self.function:
            raise ValueError("text_file and function are in the language, and this version cannot use them yet; write `text`")
        for name in self.headers:
            if not _TOKEN.fullmatch(name):
                raise ValueError(f"headers: {name!r} is no header's name")
            if name.lower() in _OURS:
                raise ValueError(f"headers: {name} is set by the gateway itself")
        _check_url(self.url)

    @cached_property
    def content_type(self) -> str:
        """The author's Content-Type, if it is a literal; else what suits the body."""
        given = next((value.text for name, value in self.headers.items() if name.lower() == "content-type"), None)
        if given is not None:
            return given
        if self.json is not None:
            return "application/json"
        return "application/x-www-form-urlencoded" if self.form is not None else "text/plain; charset=utf-8"

    @cached_property
    def is_json(self) -> bool:
        """Whether the body must be JSON."""
        media_type = self.content_type.partition(";")[0].strip().lower()
        return media_type == "application/json" or media_type.endswith("+json")

    @cached_property
    def template(self) -> Body | None:
        """`text`, escaping as its content type needs."""
        return self.text.escaping("json") if self.text is not None and self.is_json else self.text


def _check_url(url: Outbound) -> None:
    if url.text.startswith("$") or not (found := _ORIGIN.match(url.text)):
        raise ValueError(f"url: {url.text!r} does not begin with https://, http:// or a variable such as {{{{ vars.url }}}}")
    names = {name for name in _ATTACKERS if re.search(rf"\b{name}\b", found[0])}
    if names:
        raise ValueError(f"url: the host cannot come from the {min(names)}; keep it in `vars` or write it down")


class Batch(Keys, frozen=True):
    """
    Several events in one request.

    events: At most so many.
    bytes: At most so many bytes, before compression.
    wait: How long to wait for more.
    join: `concat` puts bodies one behind the other, `lines` each on a line, `array` in a JSON list.
    item: What one event contributes: with `lines`, each entry of a list is a line.
    by: Groups the items: what an event must share to be in one group.
    """

    events: int = 100
    bytes: Size = Size(1024 * 1024)
    wait: Duration = Duration(1.0)
    join: Literal["concat", "lines", "array"] = "array"
    item: OutboundDocument | None = None
    by: OutboundDocument | None = None


class Parcel(Struct, frozen=True):
    """One request and the indices of the deliveries it carries."""

    request: Request
    indices: tuple[int, ...]


def render(template: RequestTemplate, scope: Mapping[str, Any]) -> Request:
    """The request for one event. Raises Unrenderable, which names the key at fault."""
    return _request(template, scope, _body(template, scope))


def pack(
    template: RequestTemplate, batch: Batch, scopes: Sequence[Mapping[str, Any]]
) -> Iterator[Parcel | tuple[int, Unrenderable]]:
    """The requests for a batch, cut where it grows too large; and each event that cannot be said, by index, with the reason."""
    pieces: list[tuple[int, Any, bytes]] = []
    for index, scope in enumerate(scopes):
        try:
            pieces.append((index, *_piece(template, batch, scope)))
        except Unrenderable as error:
            yield index, error
    for group in _groups(pieces, batch.bytes):
        first, indices = scopes[group[0][0]], tuple(index for index, _, _ in group)
        if batch.item is None or (batch.by is None and not _mentions_items(template)):
            yield Parcel(_request(template, first, _joined([body for _, _, body in group], batch.join)), indices)
        else:
            common = {name: value for name, value in first.items() if name not in ("event", "incident", "memory")}
            yield Parcel(render(template, common | _items(batch, group, scopes)), indices)


def _piece(template: RequestTemplate, batch: Batch, scope: Mapping[str, Any]) -> tuple[Any, bytes]:
    if batch.item is None:
        return None, _body(template, scope)
    item = _fill("batch.item", batch.item, scope)
    if batch.join == "lines" and isinstance(item, list):
        return item, b"\n".join(_encode("batch.item", line) for line in item)
    return item, _encode("batch.item", item)


def _groups(pieces: list[tuple[int, Any, bytes]], limit: int) -> Iterator[list[tuple[int, Any, bytes]]]:
    group: list[tuple[int, Any, bytes]] = []
    size = 0
    for piece in pieces:
        if group and size + len(piece[2]) > limit:
            yield group
            group, size = [], 0
        group.append(piece)
        size += len(piece[2]) + 1
    if group:
        yield group


def _joined(bodies: list[bytes], join: str) -> bytes:
    if join == "array":
        return b"[" + b",".join(bodies) + b"]"
    return b"".join(bodies) if join == "concat" else b"".join(body.rstrip(b"\n") + b"\n" for body in bodies)


def _mentions_items(template: RequestTemplate) -> bool:
    bodies = [template.json, template.form]
    return any("items" in found.names for body in bodies if body is not None for _, found in body.expressions()) or (
        template.text is not None and "items" in template.text.names
    )


def _items(batch: Batch, group: list[tuple[int, Any, bytes]], scopes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    items = [item for _, item, _ in group]
    if batch.by is None:
        return {"items": items}
    groups: dict[str, dict[str, Any]] = {}
    for index, item, _ in group:
        by = _fill("batch.by", batch.by, scopes[index])
        groups.setdefault(msgspec.json.encode(by).decode(), {"by": by, "items": []})["items"].append(item)
    return {"items": items, "groups": list(groups.values())} | next(iter(groups.values()))


def _request(template: RequestTemplate, scope: Mapping[str, Any], body: bytes) -> Request:
    headers = {name: _header(name, value, scope) for name, value in template.headers.items()}
    if not any(name.lower() == "content-type" for name in headers) and (body or template.method in ("POST", "PUT", "PATCH")):
        headers["Content-Type"] = template.content_type
    if template.compress == "gzip" and body:
        headers["Content-Encoding"], body = "gzip", gzip.compress(body, GZIP_LEVEL, mtime=0)
    return Request(method=template.method, url=_url(template, scope), headers=headers, content=body)


def _body(template: RequestTemplate, scope: Mapping[str, Any]) -> bytes:
    if template.json is not None:
        document = _fill("request.json", template.json, scope)
        return _encode("request.json", document) if template.json_form == "compact" else _encode_sorted(document)
    if template.form is not None:
        fields = _fill("request.form", template.form, scope)
        if not isinstance(fields, dict):
            raise Unrenderable("request.form: a mapping is wanted", reason="form")
        return urlencode(
            {name: value if isinstance(value, str) else _encode("request.form", value).decode() for name, value in fields.items()}
        ).encode()
    if template.template is None:
        return b""
    text = str(_fill("request.text", template.template, scope) or "")
    if template.is_json:
        _require_json(text)
    return text.encode("utf-8", "replace")


def _fill(key: str, expression: Any, scope: Mapping[str, Any]) -> Any:
    try:
        return expression(scope)
    except ExpressionError as error:
        raise Unrenderable(f"{key}: {error}", reason="expression") from None


def _encode(key: str, value: Any) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
        raise Unrenderable(f"{key}: this cannot be written as JSON: {error}", reason="json") from None


def _encode_sorted(value: Any) -> bytes:
    try:
        return json.dumps(value, sort_keys=True, allow_nan=False).encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise Unrenderable(f"request.json: this cannot be written as JSON: {error}", reason="json") from None


def _require_json(text: str) -> None:
    try:
        json.loads(text)
    except ValueError as error:
        raise Unrenderable(f"request.text: what the template prints is not JSON: {error}", reason="json") from None


def _header(name: str, value: Outbound, scope: Mapping[str, Any]) -> str:
    text = _flat(_fill(f"request.headers.{name}", value, scope)).strip()
    if len(text) > LONGEST_HEADER or not re.fullmatch(r"[\x20-\x7e\t]*", text):
        raise Unrenderable(
            f"request.headers.{name}: its value has characters that no header may have, or is longer than {LONGEST_HEADER}",
            reason="bad_header",
        )
    return text


def _flat(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _encoded(value: Any) -> Any:
    match value:
        case str():
            return quote(value, safe="")
        case dict():
            return {key: _encoded(each) for key, each in value.items()}
        case list():
            return [_encoded(each) for each in value]
    return value


def _url(template: RequestTemplate, scope: Mapping[str, Any]) -> str:
    names = template.url.names & _ATTACKERS  # what an event gives to a URL is one segment or one value, never more
    encoded = {**scope, **{name: _encoded(scope.get(name)) for name in names}}
    url = str(_fill("request.url", template.url, encoded) or "")
    query = {name: _flat(_fill(f"request.query.{name}", value, scope)) for name, value in template.query.items()}
    if query:
        url += ("&" if "?" in url else "?") + urlencode(query)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"[\x00-\x20\x7f]", url):
        raise Unrenderable("request.url: this is no http or https address", reason="url")
    return url


def inflate(request: Request) -> bytes:
    """A request's body, decompressed if it is."""
    return gzip.decompress(request.content) if request.headers.get("Content-Encoding") == "gzip" else request.content
