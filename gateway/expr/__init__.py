"""The expression language of the YAML files: the only importer of JSONPath and Jinja2."""

from .documents import AnswerDocument, Body, Document, InboundDocument, OutboundDocument, ReplyDocument
from .errors import ExpressionError
from .expressions import Answer, Expression, Inbound, Outbound, Path, Remembered, Replying
from .times import rfc3339, to_epoch, to_time

__all__ = [
    "Answer",
    "AnswerDocument",
    "Body",
    "Document",
    "Expression",
    "ExpressionError",
    "Inbound",
    "InboundDocument",
    "Outbound",
    "OutboundDocument",
    "Path",
    "Remembered",
    "ReplyDocument",
    "Replying",
    "rfc3339",
    "to_epoch",
    "to_time",
]
