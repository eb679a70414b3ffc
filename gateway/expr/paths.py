"""
JSONPath, held to RFC 9535: parsed by jsonpath-ng, its tree walked once, compiled to plain callables.

jsonpath-ng takes more than the RFC (arithmetic, bare words, functions in back-ticks, `=~`) and reads escapes in quoted names
wrongly, so a text must first have the RFC's own shape. What we accept gives exactly the RFC's answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from threading import Lock
from typing import Any

from jsonpath_ng import Child, Descendants, Fields, Index, Root, Slice, This
from jsonpath_ng.exceptions import JsonPathLexerError, JsonPathParserError
from jsonpath_ng.ext.filter import Expression as _Comparison
from jsonpath_ng.ext.filter import Filter as _Filter
from jsonpath_ng.ext.parser import ExtendedJsonPathParser

from .errors import ExpressionError

LONGEST_PATH = 512  # characters
MOST_NODES = 10_000  # that one path may visit by a descent
MOST_FOUND = 100_000  # that one path may find, and on its way
MOST_TESTS = 50_000  # that one filter may do

_PARSER, _PARSING = ExtendedJsonPathParser(), Lock()  # to make one takes longer than to parse; it keeps its place in itself

Key = str | int
Place = tuple[Any, Key] | None  # the place of what it lies in, and its key there; None is the root
Node = tuple[Place, Any]  # where a value is, and the value
Step = Callable[[Any, list[Node]], Iterator[Node]]  # (root, nodes) -> nodes


_NAME = r"[A-Za-z_][A-Za-z0-9_]*"  # the RFC has letters beyond ASCII too; jsonpath-ng takes those in quotes only
_INT = r"(?:0|-?[1-9][0-9]{0,15})"
_QUOTED = r"""(?:'[^'\\\x00-\x1f]*'|"[^"\\\x00-\x1f]*")"""
_SLICE = rf"(?:{_INT})?\s*:\s*(?:{_INT})?(?:\s*:\s*(?:{_INT})?)?"
_PLAIN = rf"\s*(?:\*|{_SLICE}|{_INT}(?:\s*,\s*{_INT})*|{_QUOTED}(?:\s*,\s*{_QUOTED})*)\s*"
_INNER = rf"(?:\.{_NAME}|\[\s*(?:{_INT}|{_QUOTED})\s*\])*"
_LITERAL = rf"(?:{_QUOTED}|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?|true|false|null)"
_TEST = rf"(?:@{_INNER}\s*(?:==|!=|<=|>=|<|>)\s*{_LITERAL}|!?\s*@{_INNER})"
_FILTER = rf"\s*\?\s*(?:{_TEST}|\(\s*{_TEST}(?:\s*(?:&&|\|\|)\s*{_TEST})*\s*\))(?:\s*(?:&&|\|\|)\s*{_TEST})*\s*"
_ODD = re.compile(r"\.where(?:not)?\b|[0-9]{16}")  # what the parser has a word to say to
_SHAPE = re.compile(rf"\$(?:\.\.?{_NAME}|\.\.?\*|(?:\.\.)?\[(?:{_PLAIN}|{_FILTER})\])*")


@lru_cache(maxsize=4096)
def compile_path(text: str) -> Step:
    """The path as a callable. Raises ValueError with a sentence that says which part is wrong and what to write."""
    if len(text) > LONGEST_PATH:
        raise ValueError(f"a path of {len(text)} characters is too long; {LONGEST_PATH} are allowed")
    _check_shape(text)
    try:
        with _PARSING:
            tree = _PARSER.parse(text)
    except (JsonPathLexerError, JsonPathParserError) as error:
        raise ValueError(f"{text}: {str(error).splitlines()[0]}; such a name stands in brackets and quotes: ['where']") from None
    return _step(tree, text)


def bounded(nodes: Iterator[Node], where: str = "") -> list[Node]:
    """The nodes, of which there may be MOST_FOUND. Raises ExpressionError where there are more."""
    found = list(islice(nodes, MOST_FOUND + 1))
    if len(found) > MOST_FOUND:
        raise ExpressionError(f"the path finds more than {MOST_FOUND} values{where}")
    return found


def _check_shape(text: str) -> None:
    found = _SHAPE.match(text)
    end = found.end() if found else 0
    if end == len(text):
        return
    rest = text[end:]
    if "\\" in rest:
        raise ValueError(f"{text}: an escape in a quoted name is not supported; use the other kind of quote")
    if "=~" in rest:
        raise ValueError(f"{text}: `=~` is not in RFC 9535; use the `capture` or `matches` function")
    if rest.startswith((".'", '."')):
        raise ValueError(f"{text}: a quoted name stands in brackets: ['name']")
    if name := _strange_name(text, end):
        raise ValueError(f"{text}: the name {name} stands in brackets and quotes: ['{name}']")
    raise ValueError(f"{text} is no JSONPath of RFC 9535 that the gateway understands: it goes wrong at {rest[:20]!r}")


def _strange_name(text: str, end: int) -> str | None:
    """The name with a strange character that the path breaks off in, if it does: `a-b`, `@type`, `1`, `é`."""
    start = text.rfind(".", 0, end + 1)
    found = re.match(r"[^\s.\[\]()'\"`=<>|+*/]+", text[start + 1 :]) if start > 0 else None
    return found[0] if found and found.end() + start + 1 > end else None


def _step(node: Any, text: str) -> Step:
    match node:
        case Root():
            return lambda root, nodes: iter([(None, root)])
        case This():
            return lambda root, nodes: iter(nodes)
        case Child():
            return _chain(_step(node.left, text), _step(node.right, text))
        case Descendants():
            left, right = _step(node.left, text), _step(node.right, text)
            return lambda root, nodes: right(root, list(_descend(left(root, nodes))))
        case Fields():
            return _names(node.fields)
        case Index():
            return _indices(_exact(text, *node.indices))
        case Slice():
            return _slice(*_exact(text, node.start, node.end, node.step))
        case _Filter():
            return _filter(node, text)
    if type(node).__name__ == "Wildcard":
        return lambda root, nodes: (child for parent in nodes for child in _children(parent))
    raise ValueError(f"{text}: {type(node).__name__} is not in RFC 9535")


def _exact(text: str, *numbers: Any) -> tuple[Any, ...]:
    if any(number is not None and abs(number) >= 2**53 for number in numbers):
        raise ValueError(f"{text}: a number is larger than RFC 9535 allows, which is {2**53 - 1}")
    return numbers


def _chain(first: Step, second: Step) -> Step:
    def step(root: Any, nodes: list[Node]) -> Iterator[Node]:
        return second(root, bounded(first(root, nodes), " on its way"))

    return step


def _children(node: Node) -> Iterator[Node]:
    place, value = node
    if isinstance(value, dict):
        return (((place, key), child) for key, child in value.items())
    if isinstance(value, list):
        return (((place, index), child) for index, child in enumerate(value))
    return iter(())


def _descend(nodes: Iterator[Node]) -> Iterator[Node]:
    stack, seen = list(nodes)[::-1], 0
    while stack:
        node = stack.pop()
        seen += 1
        if seen > MOST_NODES:
            raise ExpressionError(f"a descent (`..`) visits more than {MOST_NODES} values; name the way instead")
        yield node
        stack.extend(list(_children(node))[::-1])


def _names(names: tuple[str, ...]) -> Step:
    def step(root: Any, nodes: list[Node]) -> Iterator[Node]:
        for place, value in nodes:
            if isinstance(value, dict):
                for name in names:
                    if name in value:
                        yield (place, name), value[name]

    return step


def _indices(indices: tuple[int, ...]) -> Step:
    def step(root: Any, nodes: list[Node]) -> Iterator[Node]:
        for place, value in nodes:
            if isinstance(value, list):
                for index in indices:
                    if -len(value) <= index < len(value):
                        yield (place, index % len(value)), value[index]

    return step


def _slice(start: int | None, end: int | None, by: int | None) -> Step:
    def step(root: Any, nodes: list[Node]) -> Iterator[Node]:
        for place, value in nodes:
            if isinstance(value, list) and by != 0:
                for index in range(*slice(start, end, by).indices(len(value))):
                    yield (place, index), value[index]

    return step


Test = Callable[[Any, Node], bool]


def _tests_of(node: Any) -> int:
    return sum(map(_tests_of, node.operands)) if type(node).__name__ in ("Or", "And") else 1


def _filter(node: Any, text: str) -> Step:
    tests = [_test(each, text) for each in node.expressions]
    tried = sum(map(_tests_of, node.expressions))

    def step(root: Any, nodes: list[Node]) -> Iterator[Node]:
        done = 0
        for parent in nodes:
            for child in _children(parent):
                done += tried
                if done > MOST_TESTS:
                    raise ExpressionError(f"a filter (`[?…]`) does more than {MOST_TESTS} comparisons; name the way instead")
                if all(test(root, child) for test in tests):
                    yield child

    return step


def _test(node: Any, text: str) -> Test:
    if type(node).__name__ in ("Or", "And"):
        parts = [_test(each, text) for each in node.operands]
        whole = any if type(node).__name__ == "Or" else all
        return lambda root, child: whole(test(root, child) for test in parts)
    if not isinstance(node, _Comparison):
        raise ValueError(f"{text}: {type(node).__name__} is not in RFC 9535")  # noqa: TRY004 - a path is a value to its reader
    query = _step(node.target, text)
    if node.op is None:
        return lambda root, child: any(True for _ in query(root, [child]))
    if node.op == "!":
        return lambda root, child: not any(True for _ in query(root, [child]))
    compare, literal = _COMPARISONS[node.op], node.value
    return lambda root, child: compare(next((value for _, value in query(root, [child])), _NOTHING), literal)


_NOTHING = object()


def _kind(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value)
    return "number" if isinstance(value, int | float) else type(value).__name__


def _equal(one: Any, other: Any) -> bool:
    return _kind(one) == _kind(other) and bool(one == other)


def _less(one: Any, other: Any) -> bool:
    return _kind(one) == _kind(other) and _kind(one) in ("number", "str") and bool(one < other)


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": _equal,
    "!=": lambda one, other: not _equal(one, other),
    "<": _less,
    ">": lambda one, other: _less(other, one),
    "<=": lambda one, other: _less(one, other) or _equal(one, other),
    ">=": lambda one, other: _less(other, one) or _equal(one, other),
}


def keys_of(text: str) -> list[Key] | None:
    """The keys of a path of names and single indices only, which needs no parser; None for any other."""
    if len(text) > LONGEST_PATH or _ODD.search(text) or not re.fullmatch(rf"\$(?:\.{_NAME}|\[(?:{_INT}|{_QUOTED})\])*", text):
        return None
    found = re.findall(rf"\.({_NAME})|\[({_QUOTED})\]|\[({_INT})\]", text)
    return [name or (quoted[1:-1] if quoted else int(index)) for name, quoted, index in found]


def singular(text: str) -> Callable[[Any], Any] | None:
    """A faster callable for a path of names and single indices only; it gives None where there is nothing."""
    keys = keys_of(text)
    if keys is None:
        return None

    def walk(value: Any) -> Any:
        for key in keys:
            if isinstance(value, dict) and isinstance(key, str):
                value = value.get(key)
            elif isinstance(value, list) and isinstance(key, int) and -len(value) <= key < len(value):
                value = value[key]
            else:
                return None
        return value

    return walk


def entries(text: str) -> Callable[[Any], list[Any]] | None:
    """A faster callable for `$` and for a path of names that ends in `[*]`: what it finds, without where. None for any other."""
    if text == "$":
        return lambda document: [document]
    step = singular(text.removesuffix("[*]")) if text.endswith("[*]") else None
    return None if step is None else lambda document: _entries(step(document))


def _entries(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list) else []


def normalized(place: Place) -> str:
    """A place as RFC 9535's normalized path: `$['alerts'][0]`."""
    keys: list[str] = []
    while place is not None:
        place, key = place
        keys.append(f"[{key}]" if isinstance(key, int) else f"['{key.translate(_ESCAPES)}']")
    return "$" + "".join(reversed(keys))


_ESCAPES = {code: f"\\u{code:04x}" for code in range(32)} | str.maketrans(
    {"\b": r"\b", "\t": r"\t", "\n": r"\n", "\f": r"\f", "\r": r"\r", "'": r"\'", "\\": r"\\"}
)
