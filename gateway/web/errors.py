"""One JSON shape for every refusal: `{"error": {"stage", "reason", "message", "docs"}}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

DOCS = "/api/v1/docs"


class Refusal(Exception):
    """An answer that is no success. `message` speaks to the sender and holds nothing of the payload or of our secrets."""

    def __init__(
        self, status: int, stage: str, reason: str, message: str, *, headers: Mapping[str, str] | None = None, detail: str = ""
    ) -> None:
        super().__init__(message)
        self.status, self.stage, self.reason, self.message = status, stage, reason, message
        self.headers = dict(headers or {})
        self.detail = detail or message  # for our log

    def body(self) -> bytes:
        """The JSON document."""
        return msgspec.json.encode(error_document(self.stage, self.reason, self.message))


def error_document(stage: str, reason: str, message: str) -> dict[str, Any]:
    """The one shape."""
    return {"error": {"stage": stage, "reason": reason, "message": message, "docs": DOCS}}
