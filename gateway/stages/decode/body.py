"""What a body is: what the file says of it, and what its sender does."""

from __future__ import annotations

from typing import Literal

from ...errors import Undecodable
from ...expr import Inbound
from ...model import Webhook
from ...values import Keys, Size

FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"


class Decoding(Keys, frozen=True):
    """
    How a body becomes a payload.

    format: `json`, `form`, `multipart`, `text`, or `auto`, which goes by the Content-Type; without a body it takes the query.
      `any` is the same, and takes as text what is neither.
    many: The body holds several payloads: JSON objects glued together, one on each line, or a list at the root.
    lenient: Takes JSON that has raw line breaks and tabs inside its texts, and values left empty (`"days":,`), which are null.
    unwrap: The payload inside the payload, such as a text that is itself JSON. Finding nothing leaves the payload as it is.
    limit: The most bytes a body may have, before and after it is decompressed.
    """

    format: Literal["json", "form", "multipart", "text", "auto", "any"] = "json"
    many: bool = False
    lenient: bool = False
    unwrap: Inbound | None = None
    limit: Size = Size(1024 * 1024)

    def __post_init__(self) -> None:
        if self.lenient and self.format in ("form", "multipart", "text"):
            raise ValueError(f"lenient: it is for JSON, and this is {self.format}; take it away")


def is_in_query(how: Decoding, webhook: Webhook) -> bool:
    """Whether all that is said stands in the query: by GET and OPTIONS, and by an empty body where the file takes what comes."""
    return webhook.method in ("GET", "OPTIONS") or (how.format in ("auto", "any") and not webhook.body)


def media_type(webhook: Webhook) -> str:
    """The Content-Type without its parameters, in small letters; empty where there is none."""
    return webhook.headers.get("content-type", "").partition(";")[0].strip().lower()


def may_be_json(webhook: Webhook) -> bool:
    """Whether its Content-Type does not say that it is something else than JSON."""
    return media_type(webhook) in ("", "application/json", "text/plain") or media_type(webhook).endswith("+json")


def format_of(how: Decoding, webhook: Webhook) -> str:
    """
    The format that the file says or, with `auto` and `any`, the sender. JSON under a form's name is JSON: a library posts a text
    under that name where nobody told it better. Raises Undecodable.
    """
    if how.format not in ("auto", "any"):
        return how.format
    if media_type(webhook) in (FORM, MULTIPART) and not webhook.body.lstrip().startswith((b"{", b"[")):
        return "form" if media_type(webhook) == FORM else "multipart"
    if may_be_json(webhook) or media_type(webhook) == FORM:
        return "json"
    if how.format == "any":
        return "text"
    raise wrong_type("JSON or a form", webhook)


def wrong_type(wanted: str, webhook: Webhook) -> Undecodable:
    came = f"a body of the type {media_type(webhook)[:80]!r} came" if media_type(webhook) else "the Content-Type is missing"
    return Undecodable(f"{wanted} is expected here, and {came}", reason="media_type", http_status=415)


def too_large(message: str) -> Undecodable:
    return Undecodable(message, reason="too_large", http_status=413)
