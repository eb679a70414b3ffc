"""What `quick` makes of an expression gives just what the template engine gives: the value and its type, or the same complaint."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, assume, given, reject, settings
from hypothesis import strategies as st
from jinja2 import nodes

from gateway.expr.errors import ExpressionError
from gateway.expr.quick import kept, quick_expression, quick_template
from gateway.expr.templates import (
    _guarded,
    compile_expression,
    compile_template,
    lone_expression,
    parse,
    slow_expression,
    slow_template,
)
from gateway.expr.written import is_missing

KEYS = ("a", "b", "items", "c-d", "__class__")
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "on", "2026-03-12T08:24:38Z", "a:1,b:2", '{"a": 1}', "\ud800", "Ünï"]),
    st.text(max_size=5),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3), max_leaves=8
)
SCOPES = st.fixed_dictionaries({"item": VALUES}, optional={"payload": VALUES, "tables": st.just({"t": {"on": "off"}})})

PATHS = st.builds(
    lambda root, steps: root + "".join(steps),
    st.sampled_from(["item", "payload"]),
    st.lists(st.sampled_from([".a", ".b", ".items", "['c-d']", ".__class__", "[0]", "[-1]"]), max_size=3),
)
LITERALS = st.sampled_from(["1", "-2.5", "'on'", "''", "true", "none", "[1, 'a']", "{}", "{'a': 1}", "('x', item.a)"])
CALLS = st.sampled_from(
    [
        "split(',')",
        "pairs(':')",
        "first",
        "lower",
        "upper",
        "trim",
        "join('/')",
        "hash",
        "json",
        "text",
        "length",
        "default('x')",
        "default(1)",
        "keys",
        "values",
        "number",
        "truncate(3)",
        "replace('a','bb')",
        "capture('([a-z]+)')",
        "matches('^o')",
        "urlencode",
        "base64",
        "from_json",
        "from_json(otherwise='n')",
        "time",
        "epoch_ms",
        "table('t')",
        "table('t','z')",
        "table('t',default='q')",
        "prefixed('a')",
        "without('a','b')",
        "where('a','on')",
        "merge({'b':2})",
    ]
)
TESTS = st.sampled_from(["defined", "undefined", "none", "string", "number", "mapping", "sequence", "boolean", "not defined"])


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({} | {})".format, inner, CALLS),
        st.builds(
            "({} {} {})".format, inner, st.sampled_from(["or", "and", "==", "!=", "in", "not in", "<", ">=", "~", "+"]), inner
        ),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("({} if {})".format, inner, inner),
        st.builds("(not {})".format, inner),
        st.builds("({} is {})".format, inner, TESTS),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("({})[:2]".format, inner),
    )


EXPRESSIONS = st.recursive(PATHS | LITERALS, larger, max_leaves=6)
SETTINGS = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])


def outcome(evaluate: Any, scope: dict[str, Any]) -> tuple[Any, ...]:
    """What came of it. An empty text at a path is nothing, and whether nothing is None or Missing is all the same."""
    try:
        value = _guarded(evaluate, scope)
    except ExpressionError as error:
        return "refused", str(error)
    return ("missing",) if is_missing(value) else ("found", type(value), repr(value))


def tree(text: str) -> nodes.Template | None:
    try:
        return parse(text)
    except ValueError:
        return None


@SETTINGS
@given(EXPRESSIONS, SCOPES)
def test_a_quick_expression_gives_what_the_template_engine_gives(text, scope):
    assume(tree("{{ " + text + " }}") is not None)
    expression = lone_expression("{{ " + text + " }}")
    assert expression is not None
    make = quick_expression(expression)
    assume(make is not None)
    assert make is not None
    quick = make()
    try:
        quick(scope)
    except Exception:  # noqa: BLE001 - then the engine does it, and nothing is left to compare
        reject()
    assert outcome(quick, scope) == outcome(slow_expression(expression), scope)


@SETTINGS
@given(EXPRESSIONS, SCOPES)
def test_a_compiled_expression_says_what_the_template_engine_says(text, scope):
    assume(tree("{{ " + text + " }}") is not None)
    expression = lone_expression("{{ " + text + " }}")
    assert expression is not None
    assert outcome(compile_expression(expression), scope) == outcome(
        lambda scope: kept(slow_expression(expression)(scope)), scope
    )


@SETTINGS
@given(
    st.lists(st.one_of(st.sampled_from(["on ", " %}", "\n", "'"]), st.builds("{{{{ {} }}}}".format, EXPRESSIONS)), max_size=4),
    SCOPES,
)
def test_a_quick_template_prints_what_the_template_engine_prints(pieces, scope):
    parsed = tree("".join(pieces))
    assume(parsed is not None)
    assert parsed is not None
    assume(quick_template(parsed) is not None)
    assert outcome(compile_template(parsed), scope) == outcome(slow_template(parsed), scope)


def test_the_usual_expressions_are_quick():
    for text in (
        "item.fingerprint or item.labels | hash",
        "item.endsAt if item.status == 'resolved' else item.startsAt",
        "item.tags | split(',') | pairs(':')",
        "headers['x-kind'] in ['a', 'b']",
        "item.action ~ '/' ~ item.state",
    ):
        expression = lone_expression("{{ " + text + " }}")
        assert expression is not None
        assert quick_expression(expression) is not None, text
    assert quick_template(parse("{{ item.host }}/{{ item.check }}: {{ item.a | lower }}")) is not None
    assert quick_template(parse("{% if item.a %}a{% endif %}")) is None


def test_nothing_of_a_file_stands_in_what_is_generated():
    hostile = "item['\\'); import os #'] or '\"+exit()' | replace('\\n', ')')"
    expression = lone_expression("{{ " + hostile + " }}")
    assert expression is not None
    make = quick_expression(expression)
    assert make is not None
    quick = make()
    known = {"scope", "get", "isinstance", "dict", "blank", "seen"}
    assert set(quick.__code__.co_names) <= known | {name for name in quick.__globals__ if name.startswith("c")}
    assert not [each for each in quick.__code__.co_consts if isinstance(each, str)]
