"""An event in a sink's words: HTTP requests, ready to authorize and send."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal
from urllib.parse import unquote, urlencode, urlsplit

import msgspec
from msgspec import Struct
from msgspec.structs import replace

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
_ORIGIN = re.compile(  # up to the first slash that is no part of an expression
    r"\s*(?:https?://|(?=\{\{))(?:\{\{(?:(?!\}\}).)*\}\}|\{%(?:(?!%\}).)*%\}|[^/?#{]|\{(?![{%]))*", re.DOTALL
)
_PRINTED = re.compile(r"""\{\{-?((?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|(?!-?\}\}).)*)-?\}\}""", re.DOTALL)
_ENCODED = re.compile(r"\|\s*urlencode\s*$")
_OURS_IN_SCOPE = frozenset({"vars", "secrets"})
_ATTACKERS = frozenset({"event", "incident", "memory", "items", "by"})


class RequestTemplate(Keys, frozen=True):
    """
    One HTTP request. Give one of json, form and text, or none of them for an empty body.

    method: The HTTP method.
    url: The address. What comes from an event may fill path and query, never the host.
    query: Query parameters to add; one that finds nothing is left out.
    headers: Headers to add; one that finds nothing is left out. Host, Content-Length and what concerns the connection are ours.
    json: The body as a JSON document; always valid JSON. A leaf that finds nothing is left out.
    form: The body as a form: a flat mapping.
    text: The body as a template. With a JSON content type, what it prints is escaped as JSON.
    text_file: A file beside this one that holds such a template.
    function: A Python function `package.module:name` that makes the body. Not in this version: refused when the file loads.
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
        if self.function:
            raise ValueError("function: this version calls no Python of yours; say the body with `json` or `text`")
        _check_headers(self)
        _check_url(self.url)
        _ = self.address, self.template  # compiled now, so that what is wrong with them is found when the file loads

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
    def address(self) -> Outbound:
        """`url`, with what it prints percent-encoded unless it is all ours: an event gives one segment or one value, no more."""
        quoted = Outbound(_PRINTED.sub(_percent_encoded, self.url.text))
        quoted.text = self.url.text
        return quoted

    @cached_property
    def template(self) -> Body | None:
        """`text`, escaping as its content type needs."""
        return self.text.escaping("json") if self.text is not None and self.is_json else self.text


def _check_headers(template: RequestTemplate) -> None:
    known: set[str] = set()
    for name, value in template.headers.items():
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"headers: {name!r} is no header's name")
        if name.lower() in _OURS:
            raise ValueError(f"headers: {name} is set by the gateway itself")
        if name.lower() in known:
            raise ValueError(f"headers: {name} is given twice; capitals make no difference in a header's name")
        if name.lower() == "content-encoding" and template.compress != "none":
            raise ValueError(f"headers: {name} is set by `compress`; take it away")
        if name.lower() == "content-type" and template.text is not None and (value.names or "{{" in value.text):
            raise ValueError(f"headers: write {name} out; how `text` is escaped depends on it")
        known.add(name.lower())


def _percent_encoded(printed: re.Match[str]) -> str:
    expression = printed[1]
    ours = Outbound(printed[0]).names <= _OURS_IN_SCOPE
    return printed[0] if ours or _ENCODED.search(expression) else f"{{{{ ({expression}) | urlencode }}}}"


def _check_url(url: Outbound) -> None:
    if url.text.startswith("$") or not (found := _ORIGIN.match(url.text)):
        raise ValueError(f"url: {url.text!r} does not begin with https://, http:// or a variable such as {{{{ vars.url }}}}")
    names = {name for name in _ATTACKERS if re.search(rf"\b{name}\b", found[0])}
    if names:
        raise ValueError(
            f"url: the host cannot come from `{min(names)}`; keep it in `vars`, and put a slash before what comes from an event"
        )


class Batch(Keys, frozen=True):
    """
    Several events in one request.

    events: At most so many.
    bytes: At most so many bytes, before compression.
    wait: How long to wait for more.
    join: `concat` puts bodies one behind the other, `lines` each on a line, `array` in a JSON list.
    item: What one event contributes; with `lines`, each entry of a list is a line. Where the body mentions `items`, it is
      rendered once, with those of all events in it.
    by: What events must share to go in one request; `by` in its templates.
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
    return _with_body(template, _head(template, scope), _body(template, scope))


class _Piece(Struct, frozen=True):
    """What one event brings to a batch, and the request it wants to go in, without a body."""

    index: int
    item: Any
    body: bytes
    by: Any
    head: Request | None
    group: bytes  # the same for those that may go together


def pack(
    template: RequestTemplate, batch: Batch, scopes: Sequence[Mapping[str, Any]]
) -> Iterator[Parcel | tuple[int, Unrenderable]]:
    """
    The requests for a batch, cut where one grows too large; and each event that cannot be said, by index, with the reason.
    Events go together only where address, headers and `by` are the same for them.
    """
    whole = is_rendered_whole(template, batch)
    groups: dict[bytes, list[_Piece]] = {}
    for index, scope in enumerate(scopes):
        try:
            piece = _piece(template, batch, index, scope, whole=whole)
        except Unrenderable as error:
            yield index, error
        else:
            groups.setdefault(piece.group, []).append(piece)
    for group in groups.values():
        for pieces in _cut(group, batch):
            if whole:
                common = {name: value for name, value in scopes[0].items() if name not in ("event", "incident", "memory")}
                yield from _whole(template, batch, common, pieces)
            else:
                body = _joined([piece.body for piece in pieces], batch.join)
                yield Parcel(_with_body(template, pieces[0].head, body), tuple(piece.index for piece in pieces))


def is_rendered_whole(template: RequestTemplate, batch: Batch) -> bool:
    """Whether a batch's body is written once around its items, rather than joined from one piece for each event."""
    bodies = [template.json, template.form]
    names = {name for body in bodies if body is not None for _, found in body.expressions() for name in found.names}
    names |= template.text.names if template.text is not None else frozenset()
    return "items" in names or (batch.item is not None and "by" in names)


def _piece(template: RequestTemplate, batch: Batch, index: int, scope: Mapping[str, Any], *, whole: bool) -> _Piece:
    by = None if batch.by is None else _fill("batch.by", batch.by, scope)
    scope = scope if batch.by is None else {**scope, "by": by}
    item = scope["event"] if batch.item is None else _fill("batch.item", batch.item, scope)
    if batch.item is None and not whole:
        body = _body(template, scope)
    elif batch.join == "lines" and isinstance(item, list):
        body = b"\n".join(_encode("batch.item", line) for line in item)
    else:
        body = _encode("batch.item", item)
    head = None if whole else _head(template, scope)
    return _Piece(index, item, body, by, head, _encode("batch.by", (by, head)))


def _cut(group: Sequence[_Piece], batch: Batch) -> Iterator[list[_Piece]]:
    """As many as the limits allow: the two bytes of a list's brackets, and one between two, are counted in."""
    pieces: list[_Piece] = []
    size = 2
    for piece in group:
        if pieces and (size + len(piece.body) > batch.bytes or len(pieces) >= batch.events):
            yield pieces
            pieces, size = [], 2
        pieces.append(piece)
        size += len(piece.body) + 1
    yield pieces


def _whole(
    template: RequestTemplate, batch: Batch, common: Mapping[str, Any], pieces: Sequence[_Piece]
) -> Iterator[Parcel | tuple[int, Unrenderable]]:
    """One request rendered with `items`; halved while it is too large or one of them spoils it."""
    scope = {**common, "items": [piece.item for piece in pieces], "by": pieces[0].by}
    try:
        body = _body(template, scope)
        if len(body) <= batch.bytes or len(pieces) == 1:
            yield Parcel(_with_body(template, _head(template, scope), body), tuple(piece.index for piece in pieces))
            return
    except Unrenderable as error:
        if len(pieces) == 1:
            yield pieces[0].index, error
            return
    middle = len(pieces) // 2
    yield from _whole(template, batch, common, pieces[:middle])
    yield from _whole(template, batch, common, pieces[middle:])


def _joined(bodies: list[bytes], join: str) -> bytes:
    if join == "array":
        return b"[" + b",".join(bodies) + b"]"
    return b"".join(bodies) if join == "concat" else b"".join(body.rstrip(b"\n") + b"\n" for body in bodies)


def _head(template: RequestTemplate, scope: Mapping[str, Any]) -> Request:
    """The request without its body."""
    found = {name: _header(name, value, scope) for name, value in template.headers.items()}
    headers = {name: text for name, text in found.items() if text}
    return Request(method=template.method, url=_url(template, scope), headers=headers)


def _with_body(template: RequestTemplate, head: Request | None, body: bytes) -> Request:
    assert head is not None
    headers = dict(head.headers)
    if not any(name.lower() == "content-type" for name in headers) and (body or template.method in ("POST", "PUT", "PATCH")):
        headers["Content-Type"] = template.content_type
    if template.compress == "gzip" and body:
        headers["Content-Encoding"], body = "gzip", gzip.compress(body, GZIP_LEVEL, mtime=0)
    return replace(head, headers=headers, content=body)


def _body(template: RequestTemplate, scope: Mapping[str, Any]) -> bytes:
    if template.json is not None:
        document = _fill("request.json", template.json, scope)
        return _encode("request.json", document) if template.json_form == "compact" else _encode_sorted(document)
    if template.form is not None:
        fields = _fill("request.form", template.form, scope)
        if not isinstance(fields, dict):
            raise Unrenderable("request.form: a mapping is wanted", reason="form")
        return urlencode({name: _flat("request.form", value) for name, value in fields.items()}, errors="replace").encode()
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
        json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Unrenderable(f"request.text: what the template prints is not JSON: {error}", reason="json") from None


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is no number there")


def _header(name: str, value: Outbound, scope: Mapping[str, Any]) -> str:
    key = f"request.headers.{name}"
    text = _flat(key, _fill(key, value, scope)).strip()
    if wrong := re.search(r"[^\x20-\x7e\t]", text):
        raise Unrenderable(f"{key}: a header cannot hold {wrong[0]!a}, only printable ASCII", reason="bad_header")
    if len(text) > LONGEST_HEADER:
        raise Unrenderable(f"{key}: {len(text)} characters are too many; {LONGEST_HEADER} are allowed", reason="bad_header")
    return text


def _flat(key: str, value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else _encode(key, value).decode()


def _url(template: RequestTemplate, scope: Mapping[str, Any]) -> str:
    url = str(_fill("request.url", template.address, scope) or "").strip()
    found = {name: _fill(f"request.query.{name}", value, scope) for name, value in template.query.items()}
    query = {name: _flat(f"request.query.{name}", value) for name, value in found.items() if value is not None}
    if query:
        url += ("&" if "?" in url else "?") + urlencode(query, errors="replace")
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"[\x00-\x20\x7f]", url):
        raise Unrenderable("request.url: this is no http or https address", reason="url")
    if not {".", ".."}.isdisjoint(unquote(segment) for segment in parts.path.split("/")):
        raise Unrenderable("request.url: a segment of its path is `.` or `..`, which leads elsewhere", reason="url")
    return url


def inflate(request: Request) -> bytes:
    """A request's body, decompressed if it is."""
    return gzip.decompress(request.content) if request.headers.get("Content-Encoding") == "gzip" else request.content
