"""Several events in one request: grouped, cut to size, joined or rendered whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal

from msgspec import Struct

from ...errors import Unrenderable
from ...expr import OutboundDocument
from ...model import Request
from ...values import Duration, Keys, Size
from .request import body_of, head_of, with_body
from .template import RequestTemplate
from .writing import encode, fill


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

    @property
    def has_lines(self) -> bool:
        """Whether an event contributes several lines, so that a receiver that counts lines counts no events."""
        return self.join == "lines" and self.item is not None and isinstance(self.item.data, list)


_JOINED = {"array": "application/json", "lines": "application/x-ndjson"}


class Parcel(Struct, frozen=True):
    """One request and the indices of the deliveries it carries."""

    request: Request
    indices: tuple[int, ...]


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
    head = None if whole else _one_head(template, scopes)
    groups: dict[bytes, list[_Piece]] = {}
    for index, scope in enumerate(scopes):
        try:
            piece = _piece(template, batch, index, scope, head, whole=whole)
        except Unrenderable as error:
            yield index, error
        else:
            groups.setdefault(piece.group, []).append(piece)
    for group in groups.values():
        for pieces in _cut(group, batch):
            yield from _whole(template, batch, scopes[0], pieces) if whole else [_joined(template, batch, pieces)]


def has_idle_body(template: RequestTemplate, batch: Batch) -> bool:
    """Whether the template has a body that would never be sent, as the items of the batch are the body."""
    said = any(body is not None for body in (template.json, template.form, template.text, template.function))
    return said and batch.item is not None and not is_rendered_whole(template, batch)


def is_rendered_whole(template: RequestTemplate, batch: Batch) -> bool:
    """Whether a batch's body is written once around its items, rather than joined from one piece for each event."""
    return "items" in template.body_names or (batch.item is not None and "by" in template.body_names)


def _one_head(template: RequestTemplate, scopes: Sequence[Mapping[str, Any]]) -> Request | None:
    """The head that all have, made once; None where each has its own, or is to say itself what is wrong with it."""
    if template.has_one_head and scopes:
        with suppress(Unrenderable):
            return head_of(template, scopes[0])
    return None


def _piece(
    template: RequestTemplate, batch: Batch, index: int, scope: Mapping[str, Any], one_head: Request | None, *, whole: bool
) -> _Piece:
    by = None if batch.by is None else fill("batch.by", batch.by, scope)
    scope = scope if batch.by is None else {**scope, "by": by}
    item = scope["event"] if batch.item is None else fill("batch.item", batch.item, scope)
    if batch.item is None and not whole:
        body = body_of(template, scope)
    elif batch.join == "lines" and isinstance(item, list):
        body = b"\n".join(encode("batch.item", line) for line in item)
    else:
        body = encode("batch.item", item)
    own = None if whole or one_head else head_of(template, scope)
    return _Piece(index, item, body, by, one_head or own, encode("batch.by", (by, own)))


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
    template: RequestTemplate, batch: Batch, scope: Mapping[str, Any], pieces: Sequence[_Piece]
) -> Iterator[Parcel | tuple[int, Unrenderable]]:
    """One request rendered with `items`; halved while it is too large or one of them spoils it."""
    common = {name: value for name, value in scope.items() if name not in ("event", "incident", "memory")}
    scope = common | {"items": [piece.item for piece in pieces], "by": pieces[0].by}
    try:
        body = body_of(template, scope)
        if len(body) <= batch.bytes or len(pieces) == 1:
            yield _parcel(with_body(template, head_of(template, scope), body), pieces)
            return
    except Unrenderable as error:
        if len(pieces) == 1:
            yield pieces[0].index, error
            return
    middle = len(pieces) // 2
    yield from _whole(template, batch, scope, pieces[:middle])
    yield from _whole(template, batch, scope, pieces[middle:])


def _joined(template: RequestTemplate, batch: Batch, pieces: Sequence[_Piece]) -> Parcel:
    """One request with the bodies of all."""
    head, bodies = pieces[0].head, [piece.body for piece in pieces]
    assert head is not None
    if batch.join == "array":
        body = b"[" + b",".join(bodies) + b"]"
    else:
        body = b"".join(bodies if batch.join == "concat" else (each.rstrip(b"\n") + b"\n" for each in bodies))
    kind = _JOINED.get(batch.join) if batch.item is not None else None
    return _parcel(with_body(template, head, body, kind), pieces)


def _parcel(request: Request, pieces: Sequence[_Piece]) -> Parcel:
    return Parcel(request, tuple(piece.index for piece in pieces))
