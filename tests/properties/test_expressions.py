"""Expressions against whatever a payload holds: a path answers as RFC 9535 does, a JSON body stays JSON, and nothing but text goes wrong."""

import json
import time

import jsonpath_rfc9535
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.expr import Body, ExpressionError, Inbound, Outbound, Path, to_time
from gateway.expr.functions import FUNCTIONS

KEYS = st.sampled_from(
    ["a", "b", "c", "values", "where", "", "é", "x y", "a.b", "it's", 'q"', "\\", "\n", "*", "$", "0"]
) | st.text(max_size=3)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0, 1, "x", "", "1"])
    | st.text(max_size=5)
)
DOCUMENTS = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=15
)

INDICES = st.integers(-3, 3).map(str)
QUOTED = st.sampled_from(["a", "b", "c", "values", "", "x y", "é", "a.b", "*", "where", "$", "@", "`len`", "=~"]).map(
    "'{}'".format
) | st.just('"it\'s"')
NAMES = st.sampled_from(["a", "b", "c", "values", "len", "in", "sort", "_x"])
ENDS = st.just("") | INDICES
SLICES = st.tuples(ENDS, ENDS, st.just("") | INDICES.map(":{}".format)).map(lambda parts: f"{parts[0]}:{parts[1]}{parts[2]}")
INNER = st.lists(NAMES.map(".{}".format) | (INDICES | QUOTED).map("[{}]".format), max_size=2).map("".join)
LITERALS = st.sampled_from(["0", "1", "-1", "1.0", "1.5", "-0", "true", "false", "null", "'x'", '"x"', "''", "'1'"])
COMPARED = st.tuples(INNER, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), LITERALS).map(
    lambda parts: "@{}{}{}".format(*parts)
)
EXISTING = INNER.filter(
    bool
)  # of a lone `@` the referee asks for more than existence, which is all that RFC 9535 (2.3.5.2.1) asks for
TESTS = EXISTING.map("@{}".format) | EXISTING.map("!@{}".format) | COMPARED
FILTERS = st.lists(TESTS, min_size=1, max_size=3).flatmap(
    lambda tests: (
        st.sampled_from([" && ", "||"]).map(lambda word: "?" + word.join(tests)) | st.just(f"?({'&&'.join(tests)})||@.a")
    )
)
INSIDE = (
    st.lists(INDICES, min_size=1, max_size=2).map(",".join)
    | st.lists(QUOTED, min_size=1, max_size=2).map(",".join)
    | SLICES
    | FILTERS
    | st.just("*")
)
SEGMENTS = st.tuples(st.sampled_from([".", ".", ".", ".."]), NAMES | st.just("*")).map("".join) | st.tuples(
    st.sampled_from(["", "", ".."]), INSIDE.map("[{}]".format)
).map("".join)
PATHS = st.lists(SEGMENTS, max_size=4).map("".join).map("${}".format)


@given(PATHS, DOCUMENTS)
@settings(max_examples=400, deadline=None)
def test_every_path_of_our_grammar_is_accepted_and_answers_as_rfc_9535_does(path, document):
    wanted = [(node.path(), node.value) for node in jsonpath_rfc9535.find(path, document)]
    assert repr(Path.read(path).located(document)) == repr(wanted)


@given(
    PATHS,
    st.integers(0, 60),
    st.sampled_from([*"`.[]'\"?@$!()&|<>=~*:,-+0159 \t\nae\\/{}é#", "", "..", "1e1", "where ", "=~"]),
)
@settings(max_examples=800, deadline=None)
def test_a_path_with_a_slip_of_the_pen_is_refused_or_read_as_rfc_9535_reads_it(path, place, slip):
    path = "$" + path[1:][:place] + slip + path[1:][place:]
    document = {"a": [{"a": 1, "b": [0, 1, 2]}, {"b": {"c": "x"}}, 1], "b": {"a": None, "values": [1]}, "c": "x"}
    try:
        found = Path.read(path).located(document)
    except ValueError:
        return
    assert repr(found) == repr([(node.path(), node.value) for node in jsonpath_rfc9535.find(path, document)])


BODIES = {
    '{"title": "{{ event.summary }}"}': lambda summary: {"title": summary},
    '{"title": {{ event.summary }}}': lambda summary: {"title": summary},
    '{"a": {{ event | json }}, "{{ event.summary }}": 1}': lambda summary: {"a": {"summary": summary}, summary: 1},
    '{"a": [{% for x in [event.summary, "\\""] %}"{{ x }}"{% if not loop.last %},{% endif %}{% endfor %}]}': lambda summary: {
        "a": [summary, '"']
    },
    '{"a": {% if event.summary == "x" %}"x{{ event.summary }}"{% else %}"\\"{{ event.summary }}"{% endif %}}': lambda summary: {
        "a": ("x" if summary == "x" else '"') + summary
    },
}


@pytest.mark.parametrize("template", BODIES)
@given(
    summary=st.text(min_size=1)
    | st.sampled_from(["x", '"', "\\", "\n\r\t\x00", "\u2028\u2029", "😀", '","b":"', "\\u0022", "{{ event }}", "</script>"])
)
@settings(max_examples=60, deadline=None)
def test_a_json_body_is_what_it_says_whatever_the_event_holds(template, summary):
    text = Body.read(template).escaping("json")({"event": {"summary": summary}})
    assert json.loads(text) == BODIES[template](summary)


@given(st.sampled_from(sorted(set(FUNCTIONS) - {"capture", "matches"})), DOCUMENTS, st.lists(DOCUMENTS, max_size=2))
@settings(max_examples=800, deadline=None)
def test_a_function_gives_a_value_or_an_expression_error_whatever_it_is_given(name, value, arguments):
    names = ["x", "y"][: len(arguments)]
    text = f"{{{{ item.value | {name}({', '.join(f'item.{each}' for each in names)}) }}}}"
    try:
        expression = Inbound.read(text)
    except ValueError:  # it takes other arguments
        return
    said = _said(expression, {"item": {"value": value, **dict(zip(names, arguments, strict=True))}})
    assert said is None or (said.startswith(text) and len(said) < 400)


def _said(expression, scope):
    try:
        expression(scope)
    except ExpressionError as error:
        return str(error)
    return None


PIECES = [
    "event.a",
    "event.b.c",
    "event['x']",
    "1",
    "'t'",
    "[1, event.a]",
    "{'k': event.b}",
    "event.a | first",
    "event.a | json",
    "event.a[1:]",
    "x",
]
OPERATORS = [" ~ ", " + ", " * ", " % ", " - ", " / ", " < ", " == ", " and ", " or ", " in ", " if 1 else "]
EXPRESSIONS = st.recursive(
    st.sampled_from(PIECES),
    lambda inner: (
        st.tuples(inner, st.sampled_from(OPERATORS), inner).map("".join)
        | inner.map("({})".format)
        | inner.map("(not ({}))".format)
        | st.tuples(
            inner, st.sampled_from(["length", "join", "hash", "text", "number", "keys", "pairs", "from_json", "epoch_s"])
        ).map("({0[0]}) | {0[1]}".format)
    ),
    max_leaves=6,
)


@given(EXPRESSIONS, st.dictionaries(st.sampled_from(["a", "b", "x"]), DOCUMENTS))
@settings(max_examples=150, deadline=None)
def test_an_expression_gives_a_value_or_says_in_words_why_not_and_soon(expression, event):
    for text in (
        f"{{{{ {expression} }}}}",
        f"- {{{{ {expression} }}}}",
        f"{{% for x in ({expression}) %}}{{{{ x }}}}{{% endfor %}}",
    ):
        template = Outbound.read(text)
        start = time.perf_counter()
        assert _said(template, {"event": event}) != ""
        assert time.perf_counter() - start < 2


@given(
    st.text(max_size=40)
    | st.integers()
    | st.floats()
    | st.from_regex(r"\d{1,6}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?", fullmatch=True)
)
@settings(max_examples=800, deadline=None)
def test_a_time_is_rfc_3339_or_nothing_or_an_expression_error(value):
    try:
        found = to_time(value)
    except ExpressionError:
        return
    assert found is None or to_time(found) == found
