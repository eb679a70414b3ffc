"""What a template may consist of. All else is refused when its file loads, with what to write instead."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator
from typing import Any

from jinja2 import nodes

from .environment import TESTS
from .functions import FUNCTIONS, LATER, check_call

DEEPEST = 40  # nodes inside one another
DEEPEST_LOOP = 2

_ALLOWED = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Name, nodes.Const, nodes.List, nodes.Tuple),
    *(nodes.Dict, nodes.Pair, nodes.Keyword, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Filter, nodes.Test, nodes.CondExpr),
    *(nodes.Not, nodes.And, nodes.Or, nodes.Compare, nodes.Operand, nodes.Concat, nodes.Neg, nodes.Pos),
    *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod),
)
_REFUSED: dict[type[nodes.Node], str] = {
    nodes.Call: "nothing can be called; use a filter: `{{ item.tags | split(',') }}`",
    nodes.Assign: "`set` is not allowed; a provider names its steps in `let`",
    nodes.AssignBlock: "`set` is not allowed; a provider names its steps in `let`",
    nodes.Macro: "macros are not allowed",
    nodes.CallBlock: "macros are not allowed",
    nodes.Include: "a template cannot include another",
    nodes.Import: "a template cannot import another",
    nodes.FromImport: "a template cannot import another",
    nodes.Extends: "a template cannot extend another",
    nodes.Block: "blocks are not allowed",
    nodes.FilterBlock: "filter blocks are not allowed",
    nodes.With: "`with` is not allowed",
    nodes.Pow: "`**` is not allowed",
    nodes.Scope: "`autoescape` is not allowed; use `escape_html`",
}
_JINJA_NAMES = ("self", "super", "caller", "varargs", "kwargs")


def check(tree: nodes.Template) -> None:
    """Raises ValueError for what is not allowed."""
    _check(tree, 0, 0)


def _check(node: nodes.Node, depth: int, loops: int) -> None:
    if depth > DEEPEST:
        raise ValueError("the template is nested too deeply")
    if not isinstance(node, _ALLOWED):
        word = _REFUSED.get(type(node), f"`{type(node).__name__.lower()}` is not allowed")
        raise ValueError(word)  # noqa: TRY004 - a template is a value to its reader
    match node:
        case nodes.For():
            loops += 1
            if node.recursive or loops > DEEPEST_LOOP:
                raise ValueError(f"loops may be nested {DEEPEST_LOOP} deep and not recur")
        case nodes.Filter():
            _known("function", node.name, FUNCTIONS)
            check_call(node.name, *arguments(node))
        case nodes.Test():
            _known("test", node.name, (*TESTS, "none"))
        case nodes.Name() | nodes.Tuple() | nodes.Const():
            _check_value(node)
    for child in node.iter_child_nodes():
        _check(child, depth + 1, loops)


def _check_value(node: nodes.Name | nodes.Tuple | nodes.Const) -> None:
    match node:
        case nodes.Name() if node.name in _JINJA_NAMES:
            raise ValueError(f"there is no `{node.name}` here")
        case nodes.Tuple() if any(isinstance(each, nodes.Slice) for each in node.items):
            raise ValueError("one key, or one `[from:to]`, stands in brackets")
        case nodes.Const() if isinstance(node.value, float) and not math.isfinite(node.value):
            raise ValueError("a number is too large")


def arguments(node: nodes.Filter) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a call, by place and by name; LATER for what is no constant."""
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        raise ValueError(f"{node.name}: its arguments are written out, without `*`")
    return [_constant(arg) for arg in node.args], {str(pair.key): _constant(pair.value) for pair in node.kwargs}


def _constant(node: nodes.Expr) -> Any:
    if any(isinstance(each, nodes.Filter) for each in (node, *node.find_all(nodes.Filter))):
        return LATER  # a function is called when it is asked, not while a file loads
    try:
        return -node.node.as_const() if isinstance(node, nodes.Neg) else node.as_const()
    except (nodes.Impossible, TypeError):
        return LATER


def _known(what: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, list(known), 1)
        hint = f"did you mean {near[0]!r}?" if near else "`gateway reference` lists them"
        raise ValueError(f"there is no {what} {name!r}; {hint}")


def table_names(tree: nodes.Template) -> Iterator[str]:
    """The tables that a template looks words up in."""
    for node in tree.find_all(nodes.Filter):
        if node.name == "table":
            args, named = arguments(node)
            yield args[0] if args else named["name"]
