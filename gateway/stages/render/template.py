"""What a sink file says of a request."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Literal

from ...expr import Body, Outbound, OutboundDocument
from ...values import Keys
from .address import OURS, check_url, quoted
from .function import check_name

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a header's (RFC 9110)
_SET_BY_US = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer", "proxy-connection"}
)


class RequestTemplate(Keys, frozen=True):
    """
    One HTTP request. Give one of json, form, text and function, or none of them for an empty body.

    method: The HTTP method.
    url: The address. What comes from an event may fill path and query, never the host.
    query: Query parameters to add; one that finds nothing is left out.
    headers: Headers to add; one that finds nothing is left out. Host, Content-Length and what concerns the connection are ours.
    json: The body as a JSON document; always valid JSON. A leaf that finds nothing is left out.
    form: The body as a form: a flat mapping.
    text: The body as a template. With a JSON content type, what it prints is escaped as JSON.
    text_file: A file beside this one that holds such a template.
    function: A Python function `package.module:name` that makes the body: it is given a mapping with `event`, `incident`,
      `memory`, `vars` and `secrets`, and returns text or what JSON can hold. Called only where `functions: true` stands in
      gateway.yaml; the module lies on PYTHONPATH and is read once, at the start. It must be quick: all else waits for it.
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
            check_name(self.function)
        _check_headers(self)
        check_url(self.url)
        _ = self.address, self.template  # compiled now, so that what is wrong with them is found when the file loads

    @cached_property
    def content_type(self) -> str:
        """The author's Content-Type, if it is a literal; else what suits the body."""
        given = next((value.text for name, value in self.headers.items() if name.lower() == "content-type"), None)
        if given is not None:
            return given
        if self.json is not None or self.function is not None:
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
        return quoted(self.url)

    @cached_property
    def has_one_head(self) -> bool:
        """Whether address and headers are the same for every event: nothing of one stands in them."""
        return all(value.names <= OURS for value in (self.url, *self.query.values(), *self.headers.values()))

    @cached_property
    def body_names(self) -> frozenset[str]:
        """The names that its body stands on."""
        documents = [body for body in (self.json, self.form) if body is not None]
        names = {name for document in documents for _, found in document.expressions() for name in found.names}
        return frozenset(names) | (self.text.names if self.text is not None else frozenset())

    @cached_property
    def template(self) -> Body | None:
        """`text`, escaping as its content type needs."""
        return self.text.escaping("json") if self.text is not None and self.is_json else self.text


def _check_headers(template: RequestTemplate) -> None:
    known: set[str] = set()
    for name, value in template.headers.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"headers: {name!r} is no header's name")
        if name.lower() in _SET_BY_US:
            raise ValueError(f"headers: {name} is set by the gateway itself")
        if name.lower() in known:
            raise ValueError(f"headers: {name} is given twice; capitals make no difference in a header's name")
        if name.lower() == "content-encoding" and template.compress != "none":
            raise ValueError(f"headers: {name} is set by `compress`; take it away")
        if name.lower() == "content-type" and template.text is not None and (value.names or "{{" in value.text):
            raise ValueError(f"headers: write {name} out; how `text` is escaped depends on it")
        known.add(name.lower())
