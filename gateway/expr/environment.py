"""What a template does while it runs: how a key is looked up, what missing means, what is printed, and what stops it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import jinja2
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from .errors import ExpressionError, FindsNothing
from .functions import FUNCTIONS, LARGEST
from .written import as_json, as_text, is_missing

LONGEST_RENDER = 0.25  # seconds of this thread's own time: a busy machine is no reason to bury a delivery
LARGEST_NUMBER = 10**30
LARGEST_OUTPUT = 1024 * 1024  # characters that a template prints
TOO_LONG = f"it makes more than {LARGEST_OUTPUT} characters"
LOOP_WORDS = frozenset({"first", "last", "index", "index0", "revindex", "revindex0", "length"})
DEADLINE = " deadline"  # its place in a template's scope; no template can write a name with a blank

TESTS = ("defined", "undefined", "in", "string", "number", "mapping", "sequence", "boolean", "eq", "ne", "gt", "ge", "lt", "le")


class Missing(jinja2.ChainableUndefined):
    """A value that is not there: one may ask about it and fall through it, but not print it. It equals null and empty text."""

    __slots__ = ()

    def __str__(self) -> str:
        raise FindsNothing(f"{self._undefined_name or 'a value'} finds nothing")

    def __html__(self) -> str:
        return self.__str__()

    def __iter__(self) -> Any:
        return iter(())

    def __eq__(self, other: object) -> bool:
        return other is None or other == "" or isinstance(other, Missing)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash("")

    def _incomparable(self, other: object) -> bool:
        return False

    __lt__ = __le__ = __gt__ = __ge__ = _incomparable  # type: ignore[assignment]  # jinja2's own raise; ours compare as false


class Environment(ImmutableSandboxedEnvironment):
    """Keys only, no globals, our functions only."""

    intercepted_binops = frozenset(["*", "**", "%", "+", "-", "/", "//"])
    intercepted_unops = frozenset(["+", "-"])

    def __init__(self) -> None:
        super().__init__(undefined=Missing, autoescape=False, keep_trailing_newline=True, finalize=_printable)
        self.filters = dict(FUNCTIONS) | HARDENED
        self.tests = {name: self.tests[name] for name in TESTS} | {"none": is_missing}
        self.globals = {}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`a.b` is the key `b`."""
        return look_up(obj, (attribute,), attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """`a['b']` is the key, `a[0]` the index."""
        return look_up(obj, (argument,), str(argument))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic is for numbers."""
        for side in (left, right):
            _want_number(operator, side)
        return super().call_binop(context, operator, left, right)

    def call_unop(self, context: Any, operator: str, arg: Any) -> Any:
        """So is a sign."""
        _want_number(operator, arg)
        return super().call_unop(context, operator, arg)


def _want_number(operator: str, value: Any) -> None:
    if isinstance(value, Missing):
        str(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        instead = "to join texts write `~`" if operator == "+" else "to make one of a text write `| number`"
        raise ExpressionError(f"`{operator}` works on numbers; {instead}")
    if abs(value) > LARGEST_NUMBER:
        raise ExpressionError(f"`{operator}` on numbers this large is not allowed")


def look_up(value: Any, keys: Sequence[Any], shown: str) -> Any:
    """What lies under these keys, one after the other; Missing, called `shown`, where there is nothing, null or an empty text."""
    for key in keys:
        if isinstance(value, dict):
            value = value.get(key) if isinstance(key, str) else None
        elif isinstance(value, list | tuple):
            fits = isinstance(key, int) and -len(value) <= key < len(value)
            value = value[key] if fits else None
        elif isinstance(value, LoopContext) and key in LOOP_WORDS:
            value = getattr(value, key)
        else:
            value = None
    return Missing(name=shown) if value is None or value == "" or isinstance(value, Missing) else value


def _part(value: Any, start: Any, stop: Any, step: Any) -> Any:
    if is_missing(value):
        return value
    if not isinstance(value, str | list | tuple):
        raise ExpressionError("`[:]` takes a part of a text or of a list")
    return value[start:stop:step]


def _joined(values: Iterable[Any]) -> str:
    texts = [str(_printable(value)) for value in values]
    if sum(map(len, texts)) > LARGEST:
        raise ExpressionError(f"`~` makes more than {LARGEST} characters")
    return "".join(texts)


@jinja2.pass_context
def _each(context: Mapping[str, Any], values: Any) -> Iterator[Any]:
    deadline = context.get(DEADLINE, 0.0)
    if not isinstance(values, list | tuple | dict) and not is_missing(values):
        raise ExpressionError("`for` goes through a list or the keys of a mapping")
    for value in values or ():
        if time.thread_time() > deadline:
            raise ExpressionError(f"the template takes longer than {LONGEST_RENDER:g} s")
        yield value


def _printable(value: Any) -> Any:
    if value is None:
        raise FindsNothing("an expression finds nothing")
    return value if isinstance(value, str | Missing) else as_text(value)


def printed(value: Any) -> str:
    """What a template prints of a value; ExpressionError for one that is missing."""
    return str(_printable(value))


class WrittenAsJson(str):
    """A text that is JSON already, made by `json` inside a JSON body."""

    __slots__ = ()


def _json(value: Any) -> Any:
    return value if is_missing(value) else WrittenAsJson(as_json(value))


def _json_value(value: Any) -> Any:
    return value if is_missing(value) or isinstance(value, WrittenAsJson) else as_json(value)


def _json_text(value: Any) -> Any:
    return value if is_missing(value) else as_json(as_text(value))[1:-1]


def _mapping(values: dict[Any, Any]) -> dict[Any, Any]:
    return {key: value for key, value in values.items() if not is_missing(value)}


def _entries(values: list[Any]) -> list[Any]:
    """Those of a list that is written out: each keeps its place, and what is missing is null."""
    return [None if is_missing(value) else value for value in values]


# What the hardened tree calls; a template cannot, as these are none of FUNCTIONS.
HARDENED = {
    "look up": look_up,
    "part": _part,
    "joined": _joined,
    "each": _each,
    "entries": _entries,
    "mapping": _mapping,
    "write json": _json,
    "json value": _json_value,
    "json inside quotes": _json_text,
}

ENVIRONMENT = Environment()
