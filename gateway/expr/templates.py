"""
Jinja2, hardened: keys instead of attributes, no calls, our own filters, bounded output and time. Names are checked at load.

A payload is written by an attacker, and a template by a colleague in a hurry: neither may stop the gateway.
"""

from __future__ import annotations

import difflib
import time
import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import jinja2
from jinja2 import meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from .errors import ExpressionError
from .functions import FUNCTIONS

LARGEST_SOURCE = 64 * 1024  # characters of a template
LARGEST_OUTPUT = 1024 * 1024  # characters a template may print
LONGEST_RENDER = 0.5  # seconds
DEEPEST_LOOP = 2

TESTS = (
    "defined",
    "undefined",
    "none",
    "in",
    "string",
    "number",
    "mapping",
    "sequence",
    "boolean",
    "eq",
    "ne",
    "gt",
    "ge",
    "lt",
    "le",
)
FORBIDDEN: dict[type[nodes.Node], str] = {
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
}

Render = Callable[[Mapping[str, Any]], Any]


class Missing(jinja2.ChainableUndefined):
    """A value that is not there: one may ask about it, and fall through it, and not print it."""

    __slots__ = ()

    def __str__(self) -> str:
        raise ExpressionError(f"{self._undefined_name or 'a value'} finds nothing")

    def __html__(self) -> str:
        return self.__str__()

    def __iter__(self) -> Any:
        return iter(())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Missing)

    def __ne__(self, other: object) -> bool:
        return not isinstance(other, Missing)

    def __hash__(self) -> int:
        return hash(Missing)

    def _incomparable(self, other: object) -> bool:
        return False

    __lt__ = __le__ = __gt__ = __ge__ = _incomparable  # type: ignore[assignment]  # jinja2's own raise; ours compare as false


class Environment(ImmutableSandboxedEnvironment):
    """Keys only, no globals, our filters only."""

    intercepted_binops = frozenset(["*", "**", "%", "+", "-", "/", "//"])

    def __init__(self) -> None:
        super().__init__(undefined=Missing, autoescape=False, keep_trailing_newline=True, finalize=_printable)
        self.filters = dict(FUNCTIONS)
        self.tests = {name: self.tests[name] for name in TESTS}
        self.globals = {}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`a.b` is the key `b`."""
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """`a['b']` is the key, `a[0]` the index."""
        value: Any = None
        if isinstance(obj, dict):
            value = obj.get(argument)
        elif isinstance(obj, list | tuple) and isinstance(argument, int) and -len(obj) <= argument < len(obj):
            value = obj[argument]
        if value is None or value == "":
            parent = getattr(obj, "_undefined_name", None) or ""
            return Missing(name=f"{parent}.{argument}".lstrip("."))
        return value

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic is for numbers; `+` joins lists of the payload as well."""
        for side in (left, right):
            if isinstance(side, bool) or not isinstance(side, int | float):
                raise ExpressionError(f"`{operator}` works on numbers; to join texts write `~`")
        if operator == "**" or max(abs(left), abs(right)) > 10**30:
            raise ExpressionError(f"`{operator}` on numbers this large is not allowed")
        return super().call_binop(context, operator, left, right)


def _printable(value: Any) -> Any:
    if value is None:
        raise ExpressionError("an expression finds nothing")
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


ENVIRONMENT = Environment()


@lru_cache(maxsize=8192)
def parse(text: str) -> nodes.Template:
    """The template's tree, held to what is allowed. ValueError says what is not, and what to write."""
    if len(text) > LARGEST_SOURCE:
        raise ValueError(f"a template of {len(text)} characters is too long; {LARGEST_SOURCE} are allowed")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of "\[" in a string, which means what it says
            tree = ENVIRONMENT.parse(text)
    except jinja2.TemplateSyntaxError as error:
        raise ValueError(f"{(error.message or 'syntax error').rstrip('.')} (line {error.lineno} of the template)") from None
    except RecursionError:
        raise ValueError("the template is nested too deeply") from None
    _check(tree, 0)
    return tree


def _check(node: nodes.Node, loops: int) -> None:
    if type(node) in FORBIDDEN:
        raise ValueError(FORBIDDEN[type(node)])
    if isinstance(node, nodes.For):
        loops += 1
        if node.recursive or loops > DEEPEST_LOOP:
            raise ValueError(f"loops may be nested {DEEPEST_LOOP} deep and not recur")
    if isinstance(node, nodes.Filter) and node.name not in FUNCTIONS:
        raise ValueError(f"there is no function {node.name!r}{_suggest(node.name, FUNCTIONS)}")
    if isinstance(node, nodes.Test) and node.name not in TESTS:
        raise ValueError(f"there is no test {node.name!r}{_suggest(node.name, TESTS)}")
    for child in node.iter_child_nodes():
        _check(child, loops)


def _suggest(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def free_names(text: str) -> frozenset[str]:
    """The names that the template takes from its scope."""
    return frozenset(meta.find_undeclared_variables(parse(text)))


def lone_expression(text: str) -> nodes.Expr | None:
    """The one expression that the whole text is, if it is one."""
    body = parse(text.strip()).body
    if len(body) == 1 and isinstance(body[0], nodes.Output) and len(body[0].nodes) == 1:
        inner = body[0].nodes[0]
        return None if isinstance(inner, nodes.TemplateData) else inner
    return None


def compile_expression(text: str) -> Render:
    """A lone `{{ … }}` as a callable that keeps the value's type."""
    text = text.strip()
    parse(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluate = ENVIRONMENT.compile_expression(text[2:-2].strip("-+ \t\r\n"), undefined_to_none=False)

    def call(scope: Mapping[str, Any]) -> Any:
        value = _guarded(lambda: evaluate(**scope))
        return None if isinstance(value, Missing) or value == "" else value

    return call


def compile_template(tree: nodes.Template) -> Render:
    """A template as a callable that gives text, within bounds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        template = jinja2.Template.from_code(ENVIRONMENT, ENVIRONMENT.compile(tree), {}, None)
    return lambda scope: _guarded(lambda: _bounded(template, scope))


def _bounded(template: jinja2.Template, scope: Mapping[str, Any]) -> str:
    parts: list[str] = []
    size, end = 0, time.perf_counter() + LONGEST_RENDER
    for part in template.generate(scope):
        parts.append(part)
        size += len(part)
        if size > LARGEST_OUTPUT:
            raise ExpressionError(f"the template prints more than {LARGEST_OUTPUT} characters")
        if time.perf_counter() > end:
            raise ExpressionError(f"the template takes longer than {LONGEST_RENDER:g} s")
    return "".join(parts)


def _guarded(evaluate: Callable[[], Any]) -> Any:
    try:
        return evaluate()
    except ExpressionError:
        raise
    except jinja2.UndefinedError as error:
        raise ExpressionError(f"{error.message}") from None
    except (ValueError, TypeError, KeyError, ArithmeticError, jinja2.TemplateError, RecursionError) as error:
        raise ExpressionError(str(error).splitlines()[0][:200] if str(error) else type(error).__name__) from None
