"""
Jinja2, hardened: keys instead of attributes, no calls, our own functions, bounded output and time. All is checked at load.

A payload is written by an attacker, and a template by a colleague in a hurry: neither may stop the gateway.
"""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import jinja2
from jinja2 import meta, nodes

from .allowed import check
from .environment import DEADLINE, ENVIRONMENT, LARGEST_OUTPUT, LONGEST_RENDER, TOO_LONG
from .errors import ExpressionError
from .hardened import harden
from .quick import kept, quick_expression, quick_template

LARGEST_SOURCE = 32 * 1024  # characters of a template

Render = Callable[[Mapping[str, Any]], Any]


@lru_cache(maxsize=8192)
def parse(text: str) -> nodes.Template:
    """The template's tree, held to what is allowed; leave it as it is. ValueError says what is not allowed, and what to write."""
    if len(text) > LARGEST_SOURCE:
        raise ValueError(f"a template of {len(text)} characters is too long; {LARGEST_SOURCE} are allowed")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of "\[" in a string, which means what it says
            tree = ENVIRONMENT.parse(text)
    except jinja2.TemplateSyntaxError as error:
        raise ValueError(f"{_parsers_words(error)} (line {error.lineno} of the template)") from None
    except RecursionError:
        raise ValueError("the template is nested too deeply") from None
    except ValueError:
        raise ValueError("a number is too large") from None  # Python reads no more than 4300 digits
    check(tree)
    for output in tree.find_all(nodes.Output):
        output.nodes = [_complete(part) for part in output.nodes]
    return tree


def _complete(part: nodes.Expr) -> nodes.Expr:
    """What is printed only if something holds prints nothing otherwise, whether or not its author wrote `else ''`."""
    if isinstance(part, nodes.CondExpr) and part.expr2 is None:
        return nodes.CondExpr(part.test, part.expr1, nodes.Const(""), lineno=part.lineno)
    return part


def free_names(text: str) -> frozenset[str]:
    """The names that the template takes from its scope."""
    tree = parse(text)
    if tree.find(nodes.For) is None:  # nothing else that is allowed makes names, and to ask the compiler takes long
        return frozenset(name.name for name in tree.find_all(nodes.Name))
    return frozenset(meta.find_undeclared_variables(tree))


def lone_expression(text: str) -> nodes.Expr | None:
    """The one expression that the whole text is, if it is one."""
    body = parse(text.strip()).body
    if len(body) == 1 and isinstance(body[0], nodes.Output) and len(body[0].nodes) == 1:
        inner = body[0].nodes[0]
        return None if isinstance(inner, nodes.TemplateData) else inner
    return None


def compile_expression(expression: nodes.Expr) -> Render:
    """A lone `{{ … }}` as a callable that keeps the value's type; None where it finds nothing."""
    evaluate = _either(quick_expression(expression), lambda: slow_expression(expression))
    return lambda scope: kept(evaluate(scope))


def _either(quick: Callable[[], Render] | None, slow: Callable[[], Render]) -> Render:
    """The quick way, and where that is none or does not go well the slow one. Each is made when it is first needed."""
    if quick is None:
        engine = slow()
        return lambda scope: _guarded(engine, scope)
    quickly, slowly = lru_cache(maxsize=1)(quick), lru_cache(maxsize=1)(slow)

    def call(scope: Mapping[str, Any]) -> Any:
        try:
            return quickly()(scope)
        except Exception:  # noqa: BLE001 - the engine does it once more, and says what is wrong
            return _guarded(slowly(), scope)

    return call


def slow_expression(expression: nodes.Expr) -> Render:
    """The same by the template engine, which can do all that is allowed; with no bounds and no care for what it raises."""
    tree = nodes.Template([nodes.Assign(nodes.Name("value", "store"), expression, lineno=1)], lineno=1)
    template = _compiled(tree)

    def evaluate(scope: Mapping[str, Any]) -> Any:
        context = template.new_context(dict(scope))
        for _ in template.root_render_func(context):
            pass
        return context.vars["value"]

    return evaluate


def compile_template(tree: nodes.Template) -> Render:
    """A template as a callable that gives text, within bounds."""
    return _either(quick_template(tree), lambda: slow_template(tree))


def slow_template(tree: nodes.Template) -> Render:
    """The same by the template engine."""
    template, loops = _compiled(tree), tree.find(nodes.For) is not None

    def render(scope: Mapping[str, Any]) -> str:
        return _bounded(template, {**scope, DEADLINE: time.thread_time() + LONGEST_RENDER} if loops else scope)

    return render


def _compiled(tree: nodes.Template) -> jinja2.Template:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return jinja2.Template.from_code(ENVIRONMENT, ENVIRONMENT.compile(harden(tree)), {}, None)


def _bounded(template: jinja2.Template, scope: Mapping[str, Any]) -> str:
    parts: list[str] = []
    size = 0
    for part in template.root_render_func(template.new_context(dict(scope))):
        parts.append(part)
        size += len(part)
        if size > LARGEST_OUTPUT:
            raise ExpressionError(TOO_LONG)
    return "".join(parts)


def _guarded(evaluate: Render, scope: Mapping[str, Any]) -> Any:
    try:
        return evaluate(scope)
    except ExpressionError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a payload makes of an expression is one dead letter, never a crash
        raise ExpressionError(_plainly(error)) from None


def _plainly(error: Exception) -> str:
    """What went wrong, in the words of somebody who writes YAML."""
    if isinstance(error, ZeroDivisionError):
        return "a division by zero"
    if isinstance(error, RecursionError):
        return "a value is nested too deeply"
    if "not supported between" in str(error):
        return f"a text and a number cannot be compared; write `| number` ({error})"
    if "values to unpack" in str(error):
        return "`for a, b in` goes through a list of pairs; for a mapping write `for key in it` and `it[key]`"
    if "is not iterable" in str(error):
        return f"`in` looks into a text, a list or a mapping ({error})"
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


# The template engine's words for what stands in a template, and its author's.
_PLAIN = {
    "'end of print statement'": "`}}`",
    "'end of statement block'": "`%}`",
    "'begin of print statement'": "`{{`",
    "end of print statement": "`}}`",
    "end of statement block": "`%}`",
}


def _parsers_words(error: jinja2.TemplateSyntaxError) -> str:
    said = (error.message or "syntax error").rstrip(".")
    if found := re.search(r"innermost block that needs to be closed is '(\w+)'", said):
        return f"`{{% {found[1]} %}}` is never closed; end it with `{{% end{found[1]} %}}`"
    for theirs, ours in _PLAIN.items():
        said = said.replace(theirs, ours)
    return said
