"""
JSONPath, held to RFC 9535: parsed by jsonpath-ng, its tree walked once, compiled to plain callables.

jsonpath-ng takes more than the RFC (arithmetic, bare words, functions in back-ticks, `=~`) and reads escapes in quoted names
wrongly, so a text must first have the RFC's own shape. What we accept gives exactly the RFC's answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from jsonpath_ng import Child, Descendants, Fields, Index, Root, Slice, This
from jsonpath_ng.exceptions import JsonPathLexerError, JsonPathParserError
from jsonpath_ng.ext.filter import Expression as _Comparison
from jsonpath_ng.ext.filter import Filter as _Filter
from jsonpath_ng.ext.parser import parse as _parse

from .errors import ExpressionError

LONGEST_PATH = 512  # characters
MOST_NODES = 10_000  # that one path may visit by a descent

Key = str | int
Node = tuple[tuple[Key, ...], Any]  # where a value is, and the value
Step = Callable[[Any, list[Node]], Iterator[Node]]  # (root, nodes) -> nodes


_NAME = r"[A-Za-z_\u0080-\U0010FFFF][A-Za-z0-9_\u0080-\U0010FFFF]*"
_INT = r"(?:0|-?[1-9][0-9]{0,15})"
_QUOTED = r"""(?:'[^'\\\x00-\x1f]*'|"[^"\\\x00-\x1f]*")"""
_SLICE = rf"(?:{_INT})?\s*:\s*(?:{_INT})?(?:\s*:\s*(?:{_INT})?)?"
_PLAIN = rf"\s*(?:\*|{_SLICE}|{_INT}(?:\s*,\s*{_INT})*|{_QUOTED}(?:\s*,\s*{_QUOTED})*)\s*"
_INNER = rf"(?:\.{_NAME}|\[\s*(?:{_INT}|{_QUOTED})\s*\])*"
_LITERAL = rf"(?:{_QUOTED}|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null)"
_TEST = rf"(?:@{_INNER}\s*(?:==|!=|<=|>=|<|>)\s*{_LITERAL}|!?\s*@{_INNER})"
_FILTER = rf"\s*\?\s*(?:{_TEST}|\(\s*{_TEST}(?:\s*(?:&&|\|\|)\s*{_TEST})*\s*\))(?:\s*(?:&&|\|\|)\s*{_TEST})*\s*"
_SHAPE = re.compile(rf"\$(?:\.\.?{_NAME}|\.\.?\*|(?:\.\.)?\[(?:{_PLAIN}|{_FILTER})\])*")


@lru_cache(maxsize=4096)
def compile_path(text: str) -> Step:
    """The path as a callable. Raises ValueError with a sentence that says which part is wrong and what to write."""
    if len(text) > LONGEST_PATH:
        raise ValueError(f"a path of {len(text)} characters is too long; {LONGEST_PATH} are allowed")
    _check_shape(text)
    try:
        tree = _parse(text)
    except (JsonPathLexerError, JsonPathParserError) as error:
        raise ValueError(f"{text} is not a JSONPath: {str(error).splitlines()[0]}") from None
    return _step(tree, text)


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
    if re.match(r"\.?[A-Za-z_@$][^.\[]*", rest) and re.match(r"\.[^.\[]*[^\w.\[\]]", rest):
        raise ValueError(f"{text}: a name with such a character stands in brackets and quotes: ['{rest[1:].split('.')[0]}']")
    raise ValueError(f"{text} is not a JSONPath of RFC 9535: it goes wrong at {rest[:20]!r} (character {end + 1})")


def _step(node: Any, text: str) -> Step:
    match node:
        case Root():
            return lambda root, nodes: iter([((), root)])
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
            return _indices(node.indices)
        case Slice():
            return _slice(node)
        case _Filter():
            return _filter(node, text)
    if type(node).__name__ == "Wildcard":
        return lambda root, nodes: (child for parent in nodes for child in _children(parent))
    raise ValueError(f"{text}: {type(node).__name__} is not in RFC 9535")


def _chain(first: Step, second: Step) -> Step:
    return lambda root, nodes: second(root, list(first(root, nodes)))


def _children(node: Node) -> Iterator[Node]:
    path, value = node
    if isinstance(value, dict):
        return (((*path, key), child) for key, child in value.items())
    if isinstance(value, list):
        return (((*path, index), child) for index, child in enumerate(value))
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
        for path, value in nodes:
            if isinstance(value, dict):
                for name in names:
                    if name in value:
                        yield (*path, name), value[name]

    return step


def _indices(indices: tuple[int, ...]) -> Step:
    def step(root: Any, nodes: list[Node]) -> Iterator[Node]:
        for path, value in nodes:
            if isinstance(value, list):
                for index in indices:
                    if -len(value) <= index < len(value):
                        yield (*path, index % len(value)), value[index]

    return step


def _slice(node: Any) -> Step:
    start, end, by = node.start, node.end, node.step

    def step(root: Any, nodes: list[Node]) -> Iterator[Node]:
        for path, value in nodes:
            if isinstance(value, list) and by != 0:
                for index in range(*slice(start, end, by).indices(len(value))):
                    yield (*path, index), value[index]

    return step


Test = Callable[[Any, Node], bool]


def _filter(node: Any, text: str) -> Step:
    tests = [_test(each, text) for each in node.expressions]

    def step(root: Any, nodes: list[Node]) -> Iterator[Node]:
        for parent in nodes:
            for child in _children(parent):
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


def singular(text: str) -> Callable[[Any], Any] | None:
    """A faster callable for a path of names and single indices only; it gives None where there is nothing."""
    if not re.fullmatch(rf"\$(?:\.{_NAME}|\[(?:{_INT}|{_QUOTED})\])*", text):
        return None
    keys: list[Key] = []
    for name, quoted, index in re.findall(rf"\.({_NAME})|\[({_QUOTED})\]|\[({_INT})\]", text):
        keys.append(name or (quoted[1:-1] if quoted else int(index)))

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


def normalized(path: tuple[Key, ...]) -> str:
    """A place as RFC 9535's normalized path: `$['alerts'][0]`."""
    return "$" + "".join(f"[{key}]" if isinstance(key, int) else f"['{_escaped(key)}']" for key in path)


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace("'", "\\'")
