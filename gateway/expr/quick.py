"""
The usual expressions as Python source: keys, `or`, conditionals, comparisons and our functions. Many times faster than the
template engine, which does whatever is not written here.

What is generated is made of names and operators alone: every key, text and number of a file is passed in as a constant. It is
only for what goes well: where it raises anything at all, the engine does the expression once more, and what that says counts. A
property test holds both to the same results. Nothing is None in here; where that makes a difference, it becomes Missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from jinja2 import nodes

from .environment import ENVIRONMENT, HARDENED, LARGEST_OUTPUT, TOO_LONG, Missing, printed
from .errors import ExpressionError
from .functions import FUNCTIONS, prepared
from .hardened import keys_of

Quick = Callable[[Mapping[str, Any]], Any]

_OPERATORS = {"eq": "==", "ne": "!=", "gt": ">", "gteq": ">=", "lt": "<", "lteq": "<=", "in": "in", "notin": "not in"}


class Unusual(Exception):
    """This one is for the template engine."""


class Writing:
    """
    Python source on its way: an expression or, with `statements`, the body of a function. `names` are the constants and functions
    that it uses; `variables` says which names of the scope stand in a variable.
    """

    def __init__(self, statements: list[str] | None = None) -> None:
        self.variables: dict[str, str] = {}
        self.asks = False  # whether anybody is given the scope
        self._statements = statements
        self._mappings: dict[tuple[str, tuple[str, ...]], str] = {}  # the variables with the mappings under these keys
        self.names: dict[str, Any] = {
            "__builtins__": {},
            "isinstance": isinstance,
            "str": str,
            "dict": dict,
            "at": _at,
            "blank": _blank,
            "joined": _joined,
            "kept": kept,
            "listed": _listed,
            "mapped": _mapped,
            "nothing": {},
            "printed": printed,
            "seen": _seen,
        }

    def compiled(self, source: str) -> Quick:
        """An expression as a callable."""
        made: Quick = eval(f"lambda scope: {source}", self.names)  # noqa: S307 - see above: nothing of a file stands in the source
        return made

    def constant(self, value: Any) -> str:
        """The name of a constant."""
        name = f"c{len(self.names)}"
        self.names[name] = value
        return name

    def call(self, expression: Callable[[Mapping[str, Any]], Any]) -> str:
        """What an expression says, when it is asked."""
        self.asks = True
        return f"{self.constant(expression)}(scope)"

    @property
    def statements(self) -> list[str]:
        """The body of a function so far."""
        assert self._statements is not None
        return self._statements

    def let(self, source: str) -> str:
        """A variable of the function with this value."""
        name = self.variable()
        self.statements.append(f"{name} = {source}")
        return name

    def variable(self) -> str:
        """A name that nothing else has."""
        return self.constant(None).replace("c", "v")

    def path(self, root: str, keys: Sequence[Any]) -> str:
        """What lies under these keys, one after the other; None where there is nothing or an empty text."""
        if self._statements is not None and root in self.variables and keys and all(isinstance(key, str) for key in keys):
            return self._found(f"{self._mapping(root, tuple(keys[:-1]))}.get({self.constant(keys[-1])})")
        source = self.variables.get(root) or f"scope.get({self.constant(root)})"
        for key in keys:
            if isinstance(key, str):
                found = self.variable()
                source = f"({found}.get({self.constant(key)}) if isinstance({found} := {source}, dict) else None)"
            else:
                source = f"at({source}, {self.constant(key)})"
        return self._found(source)

    def _found(self, source: str) -> str:
        found = self.variable()
        return f"(({found} := {source}) or blank({found}))"

    def _mapping(self, root: str, keys: tuple[str, ...]) -> str:
        """The variable of a function that holds the mapping under these keys; an empty one if there is none."""
        if (root, keys) not in self._mappings:
            source = f"{self._mapping(root, keys[:-1])}.get({self.constant(keys[-1])})" if keys else self.variables[root]
            variable = self._mappings[root, keys] = self.let(source)
            self.statements.append(f"if not isinstance({variable}, dict): {variable} = nothing")
        return self._mappings[root, keys]

    def mapping(self, pairs: Iterable[tuple[Any, str]]) -> str:
        """A mapping from constant keys to values given as source; those that find nothing are left out."""
        return f"mapped({{{''.join(f'{self.constant(key)}: {source}, ' for key, source in pairs)}}})"

    def sequence(self, sources: Iterable[str]) -> str:
        """A list of values given as source; those that find nothing are left out."""
        return f"listed([{', '.join(sources)}])"

    def template(self, tree: nodes.Template) -> str:
        """The text of a template that only prints. Raises Unusual."""
        pieces: list[nodes.Node] = [piece for output in tree.body for piece in getattr(output, "nodes", [output])]
        return f"joined(({''.join(f'{self._text(piece)}, ' for piece in pieces)}))"

    def value(self, node: nodes.Node) -> str:
        """The value of an expression. Raises Unusual."""
        writer = _WRITERS.get(type(node))
        if writer is None:
            raise Unusual
        return writer(self, node)

    def _text(self, node: nodes.Node) -> str:
        if isinstance(node, nodes.TemplateData):
            return self.constant(node.data)
        return f"printed({self.value(node)})"

    def _seen(self, node: nodes.Node) -> str:
        """A value where it makes a difference that what a path does not find is Missing, and not null."""
        match node:
            case nodes.Name() | nodes.Getattr() | nodes.Getitem():
                return f"seen({self.value(node)})"
            case nodes.Or():
                return f"({self.value(node.left)} or {self._seen(node.right)})"
            case nodes.And():
                return f"({self._seen(node.left)} and {self._seen(node.right)})"
            case nodes.CondExpr():
                otherwise = "seen(None)" if node.expr2 is None else self._seen(node.expr2)
                return f"({self._seen(node.expr1)} if {self.value(node.test)} else {otherwise})"
        return self.value(node)

    def _values(self, several: Sequence[nodes.Node]) -> str:
        return ", ".join(map(self._seen, several))

    def _looked_up(self, node: nodes.Expr) -> str:
        root, keys, _ = keys_of(node)
        if not isinstance(root, nodes.Name) or not all(isinstance(key, nodes.Const) for key in keys):
            raise Unusual
        return self.path(root.name, [key.value for key in keys if isinstance(key, nodes.Const)])

    def _called(self, node: nodes.Filter) -> str:
        if node.node is None or node.dyn_args is not None or node.dyn_kwargs is not None:
            raise Unusual
        if node.name in HARDENED and not node.args and node.name != "each":
            return f"{self.constant(HARDENED[node.name])}({self._seen(node.node)})"
        args, named = list(map(_constant, node.args)), {str(pair.key): _constant(pair.value) for pair in node.kwargs}
        if node.name not in FUNCTIONS:
            raise Unusual
        self.asks = True
        return f"{self.constant(prepared(node.name, args, named))}(scope, {self._seen(node.node)})"

    def _tested(self, node: nodes.Test) -> str:
        if node.args or node.kwargs:
            raise Unusual
        return f"{self.constant(ENVIRONMENT.tests[node.name])}({self._seen(node.node)})"

    def _chosen(self, node: nodes.CondExpr) -> str:
        otherwise = "None" if node.expr2 is None else self.value(node.expr2)
        return f"({self.value(node.expr1)} if {self.value(node.test)} else {otherwise})"

    def _compared(self, node: nodes.Compare) -> str:
        # To be equal to a text that is not empty, a value need not be Missing where there is nothing: that is the usual case.
        texts = [operand.expr for operand in node.ops if operand.op in ("eq", "ne") and _is_text(operand.expr)]
        write = self.value if len(texts) == len(node.ops) else self._seen
        return f"({write(node.expr)}{''.join(f' {_OPERATORS[each.op]} {write(each.expr)}' for each in node.ops)})"

    def _mapped(self, node: nodes.Dict) -> str:
        pairs = "".join(f"{self._seen(pair.key)}: {self.value(pair.value)}, " for pair in node.items)
        return f"{self.constant(HARDENED['mapping'])}({{{pairs}}})"

    def _written(self, node: nodes.List | nodes.Tuple) -> str:
        return f"{self.constant(HARDENED['entries'])}([{', '.join(map(self.value, node.items))}])"


def quick_expression(expression: nodes.Expr) -> Callable[[], Quick] | None:
    """How to make the value of a lone expression, which may be None; None where it is for the template engine."""
    return _made(lambda writing: writing.value(expression))


def quick_template(tree: nodes.Template) -> Callable[[], Quick] | None:
    """How to make the text of a template that only prints; None where it is for the template engine."""
    return _made(lambda writing: writing.template(tree))


def _made(write: Callable[[Writing], str]) -> Callable[[], Quick] | None:
    writing = Writing()
    try:
        source = write(writing)
    except Unusual:
        return None
    return lambda: writing.compiled(source)


def kept(value: Any) -> Any:
    """What a lone expression finds: None for what is missing or empty. Raises ExpressionError for a text that is too long."""
    if isinstance(value, str):
        if len(value) > LARGEST_OUTPUT:
            raise ExpressionError(TOO_LONG)
        return value or None
    return None if isinstance(value, Missing) else value


def _at(value: Any, index: Any) -> Any:
    """An entry of a list. `True` is an index of Python's, and is none here or there."""
    if isinstance(value, list | tuple) and isinstance(index, int) and -len(value) <= index < len(value):
        return value[index]
    return None


def _blank(value: Any) -> Any:
    """What is falsy, and None for an empty text."""
    return None if isinstance(value, str | Missing) else value


def _seen(value: Any) -> Any:
    return Missing() if value is None else value


def _mapped(values: dict[Any, Any]) -> dict[Any, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _listed(values: list[Any]) -> list[Any]:
    return [value for value in values if value is not None]


def _joined(parts: tuple[str, ...]) -> str:
    """The parts as one text. Its size is known before it is made: a short template can print a long text many times."""
    if sum(map(len, parts)) > LARGEST_OUTPUT:
        raise ExpressionError(TOO_LONG)
    return "".join(parts)


def _constant(node: nodes.Expr) -> Any:
    if not isinstance(node, nodes.Const):
        raise Unusual
    return node.value


def _is_text(node: nodes.Expr) -> bool:
    return isinstance(node, nodes.Const) and isinstance(node.value, str) and node.value != ""


_WRITERS: dict[type[nodes.Node], Callable[[Writing, Any], str]] = {
    nodes.Name: Writing._looked_up,  # noqa: SLF001 - its own table
    nodes.Getattr: Writing._looked_up,  # noqa: SLF001
    nodes.Getitem: Writing._looked_up,  # noqa: SLF001
    nodes.Const: lambda writing, node: writing.constant(node.value),
    nodes.Or: lambda writing, node: f"({writing.value(node.left)} or {writing.value(node.right)})",
    nodes.And: lambda writing, node: f"({writing.value(node.left)} and {writing.value(node.right)})",
    nodes.Not: lambda writing, node: f"(not {writing.value(node.node)})",
    nodes.CondExpr: Writing._chosen,  # noqa: SLF001
    nodes.Compare: Writing._compared,  # noqa: SLF001
    nodes.Filter: Writing._called,  # noqa: SLF001
    nodes.Test: Writing._tested,  # noqa: SLF001
    nodes.List: Writing._written,  # noqa: SLF001
    nodes.Tuple: Writing._written,  # noqa: SLF001
    nodes.Dict: Writing._mapped,  # noqa: SLF001
    nodes.Concat: lambda writing, node: f"{writing.constant(HARDENED['joined'])}([{writing._values(node.nodes)}])",  # noqa: SLF001
}
