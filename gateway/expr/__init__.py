"""The expression language of the YAML files: the only importer of JSONPath and Jinja2."""

from .documents import AnswerDocument, Body, Document, InboundDocument, OutboundDocument, ReplyDocument
from .errors import ExpressionError, FindsNothing
from .expressions import Answer, Expression, Inbound, Outbound, Path, Remembered, Replying
from .times import rfc3339, to_epoch, to_time
from .written import Sealed, as_json

__all__ = [
    "Answer",
    "AnswerDocument",
    "Body",
    "Document",
    "Expression",
    "ExpressionError",
    "FindsNothing",
    "Inbound",
    "InboundDocument",
    "Outbound",
    "OutboundDocument",
    "Path",
    "Remembered",
    "ReplyDocument",
    "Replying",
    "Sealed",
    "as_json",
    "rfc3339",
    "to_epoch",
    "to_time",
]
