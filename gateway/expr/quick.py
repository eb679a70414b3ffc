"""
The usual expressions as one Python expression each: keys, `or`, conditionals, comparisons and our functions. Several times faster
than the template engine, which does whatever is not written here; a property test holds both to the same results.

What is generated is made of names and operators alone: every key, text and number of a file is passed in as a constant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jinja2 import nodes

from .environment import ENVIRONMENT, HARDENED, LARGEST_OUTPUT, TOO_LONG, Missing, look_up, printed
from .errors import ExpressionError
from .functions import FUNCTIONS, prepared
from .hardened import keys_of

Quick = Callable[[Mapping[str, Any]], Any]

_OPERATORS = {"eq": "==", "ne": "!=", "gt": ">", "gteq": ">=", "lt": "<", "lteq": "<=", "in": "in", "notin": "not in"}


class _Unusual(Exception):
    """This one is for the template engine."""


def quick_expression(expression: nodes.Expr) -> Quick | None:
    """The value of a lone expression; None where it is for the template engine."""
    return _compiled(lambda writing: writing.value(expression))


def quick_template(tree: nodes.Template) -> Quick | None:
    """The text of a template that only prints; None where it is for the template engine."""
    pieces: list[nodes.Node] = [piece for output in tree.body for piece in getattr(output, "nodes", [output])]
    return _compiled(lambda writing: f"joined(({''.join(f'{writing.text(piece)}, ' for piece in pieces)}))")


def _compiled(write: Callable[[_Writing], str]) -> Quick | None:
    writing = _Writing()
    try:
        source = write(writing)
    except _Unusual:
        return None
    compiled: Quick = eval(f"lambda scope: {source}", writing.names)  # noqa: S307 - see above: nothing of a file stands in the source
    return compiled


class _Writing:
    """One expression on its way to Python. `names` are the constants and functions that it uses."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {
            "__builtins__": {},
            "look_up": look_up,
            "printed": printed,
            "Missing": Missing,
            "joined": _joined,
        }

    def constant(self, value: Any) -> str:
        name = f"c{len(self.names)}"
        self.names[name] = value
        return name

    def text(self, node: nodes.Node) -> str:
        """What a piece of a template prints."""
        if isinstance(node, nodes.TemplateData):
            return self.constant(node.data)
        return f"printed({self.value(node)})"

    def value(self, node: nodes.Node) -> str:
        """The Python expression for a node."""
        writer = _WRITERS.get(type(node))
        if writer is None:
            raise _Unusual
        return writer(self, node)

    def values(self, several: Sequence[nodes.Node]) -> str:
        return ", ".join(self.value(each) for each in several)

    def looked_up(self, node: nodes.Expr) -> str:
        root, keys, shown = keys_of(node)
        if not isinstance(root, nodes.Name) or not all(isinstance(key, nodes.Const) for key in keys):
            raise _Unusual
        path = tuple(key.value for key in keys if isinstance(key, nodes.Const))
        return f"look_up(scope.get({self.constant(root.name)}), {self.constant(path)}, {self.constant(shown)})"

    def called(self, node: nodes.Filter) -> str:
        if node.node is None or node.dyn_args is not None or node.dyn_kwargs is not None:
            raise _Unusual
        if node.name in HARDENED and not node.args and node.name != "each":
            return f"{self.constant(HARDENED[node.name])}({self.value(node.node)})"
        args, named = list(map(_constant, node.args)), {str(pair.key): _constant(pair.value) for pair in node.kwargs}
        if node.name not in FUNCTIONS:
            raise _Unusual
        return f"{self.constant(prepared(node.name, args, named))}(scope, {self.value(node.node)})"

    def tested(self, node: nodes.Test) -> str:
        if node.args or node.kwargs:
            raise _Unusual
        return f"{self.constant(ENVIRONMENT.tests[node.name])}({self.value(node.node)})"

    def chosen(self, node: nodes.CondExpr) -> str:
        otherwise = "Missing()" if node.expr2 is None else self.value(node.expr2)
        return f"({self.value(node.expr1)} if {self.value(node.test)} else {otherwise})"

    def compared(self, node: nodes.Compare) -> str:
        rest = "".join(f" {_OPERATORS[operand.op]} {self.value(operand.expr)}" for operand in node.ops)
        return f"({self.value(node.expr)}{rest})"

    def mapped(self, node: nodes.Dict) -> str:
        return "{" + "".join(f"{self.value(pair.key)}: {self.value(pair.value)}, " for pair in node.items) + "}"


def _joined(parts: tuple[str, ...]) -> str:
    """The parts as one text. Its size is known before it is made: a short template can print a long text many times."""
    if sum(map(len, parts)) > LARGEST_OUTPUT:
        raise ExpressionError(TOO_LONG)
    return "".join(parts)


def _constant(node: nodes.Expr) -> Any:
    if not isinstance(node, nodes.Const):
        raise _Unusual
    return node.value


_WRITERS: dict[type[nodes.Node], Callable[[_Writing, Any], str]] = {
    nodes.Name: _Writing.looked_up,
    nodes.Getattr: _Writing.looked_up,
    nodes.Getitem: _Writing.looked_up,
    nodes.Const: lambda writing, node: writing.constant(node.value),
    nodes.Or: lambda writing, node: f"({writing.value(node.left)} or {writing.value(node.right)})",
    nodes.And: lambda writing, node: f"({writing.value(node.left)} and {writing.value(node.right)})",
    nodes.Not: lambda writing, node: f"(not {writing.value(node.node)})",
    nodes.CondExpr: _Writing.chosen,
    nodes.Compare: _Writing.compared,
    nodes.Filter: _Writing.called,
    nodes.Test: _Writing.tested,
    nodes.List: lambda writing, node: f"[{writing.values(node.items)}]",
    nodes.Tuple: lambda writing, node: f"[{writing.values(node.items)}]",
    nodes.Dict: _Writing.mapped,
    nodes.Concat: lambda writing, node: f"{writing.constant(HARDENED['joined'])}([{writing.values(node.nodes)}])",
}
