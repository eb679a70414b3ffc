"""
One string of a YAML file, read by how it begins:

    $.labels.severity            a JSONPath (RFC 9535); the value keeps its type
    {{ item.labels.severity }}   one Jinja2 expression; the value keeps its type
    on {{ item.host }}           a Jinja2 template; the result is text
    production                   itself
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, ClassVar, Self

from .allowed import table_names
from .errors import ExpressionError
from .paths import bounded, compile_path, entries, keys_of, normalized, singular
from .quick import Unusual, Writing
from .templates import compile_expression, compile_template, free_names, lone_expression, parse


class Expression:
    """A compiled expression. Subclasses say what `$` is and which names are in scope."""

    root: ClassVar[str]
    scope: ClassVar[frozenset[str]]

    def __init__(self, text: str) -> None:
        self.text = text
        self.names: frozenset[str] = frozenset()  # that it takes from its scope
        self.tables: frozenset[str] = frozenset()  # of the file, that it looks words up in
        self._evaluate = self._compile(text)

    @classmethod
    def read(cls, data: Any) -> Self:
        if not isinstance(data, str):
            raise ValueError(f"an expression is text, and {data!r} is not; put it in quotes")  # noqa: TRY004 - what `read` raises
        found: Self = _read(cls, data)  # type: ignore[arg-type]  # a class can be hashed
        return found

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": "string", "description": f"$ a JSONPath, {{{{ … }}}} an expression, else itself. {cls.said()}"}

    @classmethod
    def said(cls) -> str:
        """Its names, in a sentence."""
        return f"`$` is {cls.root}; names: {', '.join(sorted(cls.scope))}."

    def __call__(self, scope: Mapping[str, Any]) -> Any:
        """The value, or None where it finds nothing. Raises ExpressionError, which says what and in which expression."""
        try:
            return self._evaluate(scope)
        except ExpressionError as error:
            raise type(error)(f"{_short(self.text)}: {error}") from None

    def source(self, writing: Writing, *, bounded: bool = False) -> str:
        """
        Its value as Python, for generated code. What cannot be written so is a call of this. `bounded`: the caller takes an empty
        text for nothing, and looks how long it is.
        """
        keys = keys_of(self.text)
        if keys is not None:
            return writing.path(self.root, keys)
        if not self.text.startswith("$"):
            with suppress(Unusual):
                return self._template_source(writing, bounded=bounded)
        return writing.call(self)

    def _template_source(self, writing: Writing, *, bounded: bool) -> str:
        if not self.names and "{%" not in self.text and "{{" not in self.text:
            return writing.constant(self.text)
        alone = lone_expression(self.text)
        if alone is None:
            return writing.template(parse(self.text))
        return writing.value(alone) if bounded else f"kept({writing.value(alone)})"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.text!r})"

    def _compile(self, text: str) -> Callable[[Mapping[str, Any]], Any]:
        if text.startswith("$"):
            self.names = frozenset({self.root})
            return self._path(text)
        if "{{" not in text and "{%" not in text:
            return lambda scope: text
        self.names, self.tables = free_names(text), frozenset(table_names(parse(text)))
        alone = lone_expression(text)
        return compile_template(parse(text)) if alone is None else compile_expression(alone)

    def _path(self, text: str) -> Callable[[Mapping[str, Any]], Any]:
        root, quick = self.root, singular(text)
        if quick is not None:
            return lambda scope: _found(quick(scope.get(root)))
        step = compile_path(text)
        return lambda scope: _found(next((value for _, value in step(scope.get(root), [])), None))


@lru_cache(maxsize=16_384)
def _read(kind: Callable[[str], Any], text: str) -> Any:
    """The same text means the same wherever it stands."""
    return kind(text)


def _found(value: Any) -> Any:
    return None if value == "" else value


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:79] + "…"


class Inbound(Expression):
    """An expression over one item of a received webhook."""

    root = "item"
    scope = frozenset({"item", "payload", "envelope", "headers", "query", "method", "path", "received_at", "segments"})


class Replying(Expression):
    """An expression that answers a sender."""

    root = "payload"
    scope = frozenset({"payload", "headers", "query", "method", "receipt", "secrets"})


class Outbound(Expression):
    """An expression over one event on its way to a sink."""

    root = "event"
    scope = frozenset({"event", "incident", "vars", "secrets", "memory", "items", "by"})


class Answer(Expression):
    """An expression over a sink's answer. `now` is the time, in seconds since 1970."""

    root = "response"
    scope = frozenset({"response", "item", "now"})


class Remembered(Expression):
    """An expression over the JSON of a sink's answer, whose value is kept."""

    root = "answer"
    scope = frozenset({"answer", "response", "event", "incident", "vars", "memory"})


class Path:
    """A JSONPath that finds all: a list."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._step, self._entries = compile_path(text), entries(text)

    @classmethod
    def read(cls, data: Any) -> Self:
        if not isinstance(data, str) or not data.startswith("$"):
            raise ValueError(f"{data!r} is no JSONPath; it begins with $")
        return cls(data)

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^\$", "description": "A JSONPath (RFC 9535)."}

    def __call__(self, document: Any) -> list[Any]:
        """Every value it finds, in order. Raises ExpressionError where it finds, or a descent visits, too many."""
        return [value for _, value in bounded(self._step(document, []))]

    def entries(self, document: Any) -> list[Any]:
        """Every value it finds, as above, with a short cut for the usual paths."""
        return self(document) if self._entries is None else self._entries(document)

    def is_there(self, document: Any) -> bool:
        """Whether the list exists that a path ending in `[*]` goes through, be it empty or null; True for any other path."""
        whole = self.text.removesuffix("[*]")
        return whole == self.text or any(True for _ in compile_path(whole)(document, []))

    def located(self, document: Any) -> list[tuple[str, Any]]:
        """Every value with its normalized path."""
        return [(normalized(place), value) for place, value in bounded(self._step(document, []))]

    def __repr__(self) -> str:
        return f"Path({self.text!r})"
