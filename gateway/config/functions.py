"""`request.function`: Python of the operator's, called only where the settings allow it, and only if it is there."""

from __future__ import annotations

from collections.abc import Iterator

from ..stages.render import RequestTemplate, find
from .problems import Place
from .schema import Sink
from .yaml import Document


def check_functions(document: Document, sink: Sink, *, allowed: bool) -> None:
    """Report each function of a sink that may not be called, or cannot be."""
    for place, name in _functions(sink):
        if not allowed:
            message, hint = f"`{name}` is Python, and may not be called", "set `functions: true` in gateway.yaml if you trust it"
            document.report(place, "function", message, hint)
            continue
        try:
            find(name)
        except ValueError as error:
            document.report(place, "function", str(error), "its module must lie on PYTHONPATH; see what it imports itself")


def _functions(sink: Sink) -> Iterator[tuple[Place, str]]:
    requests: list[tuple[Place, RequestTemplate | None]] = [(("request",), sink.request)]
    requests += [(("steps", index, "request"), step.request) for index, step in enumerate(sink.steps)]
    for place, request in requests:
        if request is not None and request.function is not None:
            yield (*place, "function"), request.function
