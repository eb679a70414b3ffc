"""Documents: any YAML value with expressions at its leaves, or one expression for the whole. And text bodies."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar, Self

import msgspec

from .errors import FindsNothing
from .escaping import escape_json
from .expressions import Answer, Expression, Inbound, Outbound, Replying
from .quick import Writing
from .templates import compile_template, parse

Where = tuple[str | int, ...]
Fill = Callable[[Mapping[str, Any]], Any]


class Document:
    """Any YAML value with expressions at its leaves, or one expression for the whole. A leaf that finds nothing is left out."""

    leaf: ClassVar[type[Expression]]

    def __init__(self, data: Any) -> None:
        self.data = data
        self._expressions: list[tuple[Where, Expression]] = []
        self._fill = self._compile(data, ())

    @classmethod
    def read(cls, data: Any) -> Self:
        return cls(data)

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"description": f"Any value, with expressions at its leaves, or one expression for the whole. {cls.leaf.said()}"}

    def __call__(self, scope: Mapping[str, Any]) -> Any:
        """The document, filled in; None where all of it finds nothing. Raises ExpressionError."""
        try:
            return self._quickly(scope)
        except Exception:  # noqa: BLE001 - leaf by leaf once more, which says what is wrong
            return self._fill(scope)

    @cached_property
    def _quickly(self) -> Fill:
        """All of it as one generated expression, several times faster; made when it is first needed."""
        writing = Writing()
        try:
            return writing.compiled(self.source(writing))
        except Exception:  # noqa: BLE001 - it is nested deeper than the compiler goes
            return self._fill

    @property
    def text(self) -> str:
        """The one expression, or the document as JSON."""
        return self.data if isinstance(self.data, str) else msgspec.json.encode(self.data).decode()

    def expressions(self) -> Iterator[tuple[Where, Expression]]:
        """Every expression inside, with its path."""
        return iter(self._expressions)

    def source(self, writing: Writing) -> str:
        """Its value as Python, for generated code."""
        return _source(self.data, (), dict(self._expressions), writing)

    def _asked(self, expression: Expression) -> Fill:
        """What fills a leaf."""
        return expression

    def _compile(self, data: Any, where: Where) -> Fill:
        match data:
            case str():
                expression = self.leaf.read(data)
                self._expressions.append((where, expression))
                return self._asked(expression)
            case dict():
                return _mapping({key: self._compile(value, (*where, key)) for key, value in data.items()})
            case list():
                return _list([self._compile(value, (*where, index)) for index, value in enumerate(data)])
        return lambda scope: data


def _source(data: Any, where: Where, expressions: Mapping[Where, Expression], writing: Writing) -> str:
    match data:
        case str():
            return expressions[where].source(writing)
        case dict():
            pairs = ((key, _source(value, (*where, key), expressions, writing)) for key, value in data.items())
            return writing.mapping(pairs)
        case list():
            return writing.sequence(_source(value, (*where, index), expressions, writing) for index, value in enumerate(data))
    return writing.constant(data)


def _mapping(parts: dict[str, Fill]) -> Fill:
    return lambda scope: {key: value for key, fill in parts.items() if (value := fill(scope)) is not None}


def _list(parts: list[Fill]) -> Fill:
    return lambda scope: [value for fill in parts if (value := fill(scope)) is not None]


class InboundDocument(Document):
    """A document over one item of a received webhook. A leaf that prints what is missing is left out as well."""

    leaf = Inbound

    def _asked(self, expression: Expression) -> Fill:
        def fill(scope: Mapping[str, Any]) -> Any:
            try:
                return expression(scope)
            except FindsNothing:
                return None

        return fill


class ReplyDocument(Document):
    """A document that answers a sender."""

    leaf = Replying


class OutboundDocument(Document):
    """A document over one event on its way to a sink."""

    leaf = Outbound


class AnswerDocument(Document):
    """A document over a sink's answer."""

    leaf = Answer


class Body(Outbound):
    """A text body: a Jinja2 template over one event. `escaping("json")` keeps it valid JSON whatever the event holds."""

    def escaping(self, how: str) -> Body:
        """A copy that escapes what it prints: as JSON inside quotes, as a JSON value outside of them."""
        if how != "json":
            raise ValueError(f"there is no escaping {how!r}")
        other = copy.copy(self)
        other._evaluate = compile_template(escape_json(parse(self.text)))  # noqa: SLF001 - it is one of us
        return other
