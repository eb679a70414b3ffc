"""Strings as expressions: how they are read, what missing means, and that neither a payload nor a colleague can stop the gateway."""

import time

import pytest
from saying import said

from gateway.expr import ExpressionError, Inbound, Outbound

ITEM = {
    "host": "db-1",
    "code": 500,
    "ratio": 1.5,
    "big": 1686558278326000001,
    "yes": True,
    "no": False,
    "zero": 0,
    "empty": "",
    "null": None,
    "tags": ["a", "b"],
    "labels": {"app": "web"},
    "k8s-app": {"a.b": 1},
    "values": 1,
    "items": [2],
    "keys": {"get": 3},
    "__class__": 4,
}


def value(expression, **scope):
    return Inbound.read(expression)({"item": ITEM, **scope})


def test_a_string_is_read_by_how_it_begins_and_keeps_its_type():
    table = {
        "$.code": 500, "$.tags": ["a", "b"], "$['k8s-app']['a.b']": 1, "$.nothing": None, "$.empty": None, "$.null": None, "$.no": False,
        "{{ item.code }}": 500, "{{item.ratio}}": 1.5, "{{ item.big }}": 1686558278326000001, "{{ item.yes }}": True, "{{ item.no }}": False,
        "{{ item.tags }}": ["a", "b"], "{{ item.labels }}": {"app": "web"}, "{{ ('a', 1) }}": ["a", 1], "{{- item.zero -}}": 0,
        " {{ item.code }}\n": 500, "{{ -1 }}": -1, "{{ -item.code }}": -500, "{{ item.code - -1 }}": 501, "{{ item.tags[1:] }}": ["b"],
        "{{ item.code }} ": 500, "is {{ item.code }}": "is 500", "{{ item.code }}{{ item.host }}": "500db-1",
        "{% if item.no %}x{% else %}{{ item.code }}{% endif %}": "500", "production": "production", "": "", "a $ b": "a $ b", "{ a }": "{ a }",
        "{# no comment #}": "{# no comment #}",
    }  # fmt: skip
    assert {text: value(text) for text in table} == table


def test_what_is_printed_is_written_as_in_json():
    text = "{{ item.yes }} {{ item.no }} {{ item.code }} {{ item.ratio }} {{ item.big }} {{ item.tags }} {{ item.labels }} {{ item.yes ~ item.tags }}"
    assert value(text) == 'true false 500 1.5 1686558278326000001 ["a","b"] {"app":"web"} true["a","b"]'


def test_a_key_is_a_key_and_never_an_attribute():
    table = {
        "{{ item.values }}": 1, "{{ item.items }}": [2], "{{ item.keys.get }}": 3, "{{ item.__class__ }}": 4, "{{ item['__class__'] }}": 4,
        "{{ item['k8s-app']['a.b'] }}": 1, "{{ item.items[0] }}": 2, "{{ item.items[-1] }}": 2, "{{ item.tags[item.zero] }}": "a",
        "{{ item.host.upper }}": None, "{{ item.host.__class__ }}": None, "{{ item.tags.append }}": None, "{{ item.host[0] }}": None,
        "{{ item.code.real }}": None, "{{ ''.__class__.__mro__ }}": None, "{{ item.labels.update }}": None, "{{ item.tags['0'] }}": None,
    }  # fmt: skip
    assert {text: value(text) for text in table} == table


def test_missing_falls_through_and_null_and_the_empty_text_are_missing():
    table = {
        "{{ item.a.b.c or item.host }}": "db-1", "{{ item.empty or item.null or item.code }}": 500, "{{ item.nothing }}": None,
        "{{ item.empty }}": None, "{{ item.null is none }}": True, "{{ item.a == none }}": True, "{{ item.empty == '' }}": True,
        "{{ item.a is defined }}": False, "{{ item.zero is defined }}": True, "{{ item.a != 'x' }}": True, "{{ item.a == 'x' }}": False,
        "{{ item.a > 3 or 3 > item.a }}": False, "{{ 'x' in item.a }}": False, "{{ item.a in ['x'] }}": False, "{{ not item.a }}": True,
        "{{ item.a | upper }}": None, "{{ item.a | default('x') }}": "x", "{{ item.a[:2] }}": None, "{{ item.empty | default(item.code) }}": 500,
        "{% for x in item.a %}{{ x }}{% else %}none{% endfor %}": "none", "{{ gone }}": None, "{{ gone == '' }}": True,
    }  # fmt: skip
    assert {text: value(text, gone=None) for text in table} == table


@pytest.mark.parametrize(
    "text, name",
    [
        ("a {{ item.a }}", "item.a"),
        ("a {{ item.a.b['c d'].e[0] }}", "item.a.b['c d'].e[0]"),
        ("a {{ item.null }}", "item.null"),
        ("a {{ item.empty }}", "item.empty"),
        ("a {{ item.a | upper | trim }}", "item.a"),
        ("{{ item.a ~ '/' }}", "item.a"),
        ("{{ item.a + 1 }}", "item.a"),
        ("{{ -item.a }}", "item.a"),
        ("a {{ item.labels[item.host] }}", "item.labels[…]"),
        ("a {{ (item.tags | first).name }}", "….name"),
        ("a {{ gone }}", "gone"),
        ("a {{ none }}", "an expression"),
        ("a {{ [] | first }}", "an expression"),
        ("a {{ item.tags[7] }}", "item.tags[7]"),
    ],
)
def test_printing_what_is_missing_fails_and_names_it(text, name):
    assert said(value, text) == f"{text}: {name} finds nothing"


def test_a_loop_knows_its_place():
    text = "{% for x in item.tags %}{{ loop.index }}/{{ loop.length }}={{ x }}{% if not loop.last %}, {% endif %}{% endfor %}"
    assert value(text) == "1/2=a, 2/2=b"
    assert value("{% for k in item.labels %}{{ k }}:{{ item.labels[k] }}{% endfor %}") == "app:web"
    assert value("{% for a, b in [[1, 2], [3, 4]] %}{{ a }}-{{ b }} {% endfor %}") == "1-2 3-4 "
    assert value("{% for x in item.tags if x != 'a' %}{{ x }}{% endfor %}") == "b"


def test_the_names_and_the_tables_that_an_expression_uses_are_known_when_it_is_read():
    expression = Outbound.read(
        "{{ event.a ~ (vars.b | table('x')) }} {% for y in items %}{{ y | table('z', default=event.c) }}{% endfor %}"
    )
    assert (expression.names, expression.tables) == ({"event", "vars", "items"}, {"x", "z"})
    assert (Outbound.read("$.a").names, Outbound.read("a").names) == ({"event"}, frozenset())


CALL = "nothing can be called; use a filter: `{{ item.tags | split(',') }}`"
DEEP = "the template is nested too deeply"
LOOPS = "loops may be nested 2 deep and not recur"
REFUSED = {
    "{{ item.host.upper() }}": CALL,
    "{{ ().__class__.__bases__[0].__subclasses__() }}": CALL,
    "{{ '{0.__class__}'.format(item) }}": CALL,
    "{{ '%s'.__mod__(1) }}": CALL,
    "{{ range(999999999) | length }}": CALL,
    "{{ lipsum(n=9999) }}": CALL,
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}": CALL,
    "{{ namespace(a=1) }}": CALL,
    "{{ item.host.ljust(999999999) }}": CALL,
    "{% for x in item.tags %}{{ loop.cycle('a', 'b') }}{% endfor %}": CALL,
    "{{ self }}": "there is no `self` here",
    "{{ self.__init__.__globals__ }}": "there is no `self` here",
    "{{ caller }}": "there is no `caller` here",
    "{{ item | attr('__class__') }}": "there is no function 'attr'; `gateway reference` lists them",
    "{{ item.host | center(999999999) }}": "there is no function 'center'; `gateway reference` lists them",
    "{{ item.host | format(1) }}": "there is no function 'format'; `gateway reference` lists them",
    "{{ item.tags | map('upper') }}": "there is no function 'map'; `gateway reference` lists them",
    "{{ item.tags | tojson }}": "there is no function 'tojson'; did you mean 'json'?",
    "{{ item.tags | look_up(1) }}": "there is no function 'look_up'; `gateway reference` lists them",
    "{{ item.host is callable }}": "there is no test 'callable'; `gateway reference` lists them",
    "{{ item.host is strin }}": "there is no test 'strin'; did you mean 'string'?",
    "{{ 2 ** 999999999 }}": "`**` is not allowed",
    "{{ 1e999 }}": "a number is too large",
    "{{ item.tags[0, 1:2] }}": "one key, or one `[from:to]`, stands in brackets",
    "{{ " + "9" * 5000 + " }}": "a number is too large",
    "{% set x = 1 %}": "`set` is not allowed; a provider names its steps in `let`",
    "{% set x %}a{% endset %}": "`set` is not allowed; a provider names its steps in `let`",
    "{% macro m() %}{{ m() }}{% endmacro %}": "macros are not allowed",
    "{% call m() %}{% endcall %}": "macros are not allowed",
    "{% include 'x' %}": "a template cannot include another",
    "{% import 'x' as y %}": "a template cannot import another",
    "{% from 'x' import y %}": "a template cannot import another",
    "{% extends 'x' %}": "a template cannot extend another",
    "{% block b %}{% endblock %}": "blocks are not allowed",
    "{% filter upper %}a{% endfilter %}": "filter blocks are not allowed",
    "{% with a = 1 %}{% endwith %}": "`with` is not allowed",
    "{% autoescape true %}a{% endautoescape %}": "`autoescape` is not allowed; use `escape_html`",
    "{% do item %}": "Encountered unknown tag 'do' (line 1 of the template)",
    "{% for x in item.tags recursive %}{{ x }}{% endfor %}": LOOPS,
    "{% for x in y %}{% for x in y %}{% for x in y %}{% endfor %}{% endfor %}{% endfor %}": LOOPS,
    "{{ item.tags | join(*item.tags) }}": "join: its arguments are written out, without `*`",
    "{{ item.host": "unexpected end of template, expected `}}` (line 1 of the template)",
    "{{ }}": "Expected an expression, got `}}` (line 1 of the template)",
    "a\n{{ item. }}": "expected name or number (line 2 of the template)",
    "{{ " + "(" * 500 + "1" + ")" * 500 + " }}": DEEP,
    "{{ " + "not " * 2000 + "1 }}": DEEP,
    "{{ 1" + " + 1" * 3000 + " }}": DEEP,
    "{{ item" + ".a" * 5000 + " }}": DEEP,
    "{{ item" + " | upper" * 3000 + " }}": DEEP,
    "{{ " + "[" * 300 + "]" * 300 + " }}": DEEP,
    "{% if item %}" * 500 + "{% endif %}" * 500: DEEP,
    "{{ item }}" + " " * 32_768: "a template of 32778 characters is too long; 32768 are allowed",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:60])
def test_what_a_template_may_not_do_is_refused_when_its_file_loads(text):
    start = time.perf_counter()
    assert said(Inbound.read, text) == REFUSED[text]
    assert time.perf_counter() - start < 2


def test_the_deepest_template_that_is_allowed_compiles_and_runs():
    assert value("{{ 1" + " + 1" * 37 + " }}") == 38
    assert value("{{ item.host" + " | lower" * 36 + " }}") == "db-1"
    assert value("{{ " + "[" * 36 + "]" * 36 + " | json }}") == "[" * 36 + "]" * 36
    assert value("{% if item %}" * 18 + "x" + "{% endif %}" * 18) == "x"
    assert value("{{ " + " or ".join(["item.a"] * 35) + " or 1 }}") == 1


MILLION = "x" * 1_000_000
HOSTILE = {"text": MILLION, "list": list(range(100_000)), "huge": 10**300, "ratio": 1.5, "host": "db-1"}
TOO_LONG = "it makes more than 1048576 characters"
TOO_SLOW = "the template takes longer than 0.25 s"
STOPPED = {
    "{% for x in item.list %}{% for y in item.list %}{% endfor %}{% endfor %}": TOO_SLOW,
    "{% for x in item.list %}{% for y in item.list if y == x %}{% endfor %}{% endfor %}": TOO_SLOW,
    "{% for x in item.list %}{% for y in item.list %}{{ '' | default('a') }}{% endfor %}{% endfor %}": None,
    "{% for x in item.list %}{{ item.text }}{% endfor %}": TOO_LONG,
    "{% for x in item.list %}{% if item.text | hash == 1 %}{% endif %}{% endfor %}": TOO_SLOW,
    "{{ item.text ~ item.text }}": "`~` makes more than 1048576 characters",
    "{{ item.text }}{{ item.text }}": TOO_LONG,
    "{{ item.list | join(item.text) }}": "join: the result is larger than 1048576",
    "{{ item.text | replace('x', 'yy') }}": "replace: the result is larger than 1048576",
    "{{ item.text | base64 | base64 }}": "base64: the result is larger than 1048576",
    "{{ [item.text, item.text] | json }}": "json: the result is larger than 1048576",
    "{{ item.text | replace('x', '<') | escape_html }}": "escape_html: the result is larger than 1048576",
    "{{ 'x' * 999999999 }}": "`*` works on numbers; to make one of a text write `| number`",
    "{{ [0] * 999999999 }}": "`*` works on numbers; to make one of a text write `| number`",
    "{{ '%0999999999d' % 1 }}": "`%` works on numbers; to make one of a text write `| number`",
    "{{ item.host + 'x' }}": "`+` works on numbers; to join texts write `~`",
    "{{ true + 1 }}": "`+` works on numbers; to join texts write `~`",
    "{{ item.huge * item.huge }}": "`*` on numbers this large is not allowed",
    "{{ 1 / 0 }}": "a division by zero",
    "{{ item.ratio % 0 }}": "a division by zero",
    "{{ item.host < 1 }}": "a text and a number cannot be compared; write `| number` ('<' not supported between instances of 'str' and 'int')",
    "{{ 'a' in item.ratio }}": "`in` looks into a text, a list or a mapping (argument of type 'float' is not iterable)",
    "{{ item[1:] }}": "`[:]` takes a part of a text or of a list",
    "{% for x in item.host %}{{ x }}{% endfor %}": "`for` goes through a list or the keys of a mapping",
    "{% for a, b in item %}{{ a }}{% endfor %}": "`for a, b in` goes through a list of pairs; for a mapping write `for key in it` and `it[key]`",
}


@pytest.mark.parametrize("text", STOPPED)
def test_what_a_payload_makes_of_a_template_is_bounded(text):
    expression = Inbound.read(text)
    cpu = time.thread_time()
    message = said(expression, {"item": HOSTILE})
    assert time.thread_time() - cpu < 0.5
    wanted = {f"{expression_start(text)}: {why}" for why in ([STOPPED[text]] if STOPPED[text] else [TOO_SLOW, TOO_LONG])}
    assert message in wanted


def expression_start(text):
    return text if len(text) <= 80 else text[:79] + "…"


EVIL = ["(x+x+)+y", "(.*)*y", "(x|x)*y", "(x|xx)+$y", "^(x*)*$y"]


@pytest.mark.parametrize("pattern", EVIL)
def test_a_pattern_takes_time_that_grows_with_the_text_and_no_faster(pattern):
    cpu = time.thread_time()
    assert value(f"{{{{ text | matches('{pattern}') }}}}", text=MILLION) is False
    assert time.thread_time() - cpu < 0.5


@pytest.mark.parametrize(
    "text", ["{{ item.a | json }}", "{{ item.a | hash }}", "x {{ item.a }}", "{{ item.a == item.b }}", "{{ [item.a] | join }}"]
)
def test_a_payload_nested_a_hundred_thousand_deep_is_an_expression_error(text):
    deep, other = [], []
    for _ in range(100_000):
        deep, other = [deep], [other]
    with pytest.raises(ExpressionError, match="nested too deeply"):
        Inbound.read(text)({"item": {"a": deep, "b": other}})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ 'down' if item.down }}", None),
        ("host is {{ 'down' if item.down }}", "host is "),
        ("host{{ ' on ' ~ item.rack if item.rack }}", "host"),
        ("{% if true %}{{ 'down' if item.down }}{% endif %}", ""),
    ],
)
def test_a_condition_without_an_else_prints_nothing_where_it_does_not_hold(text, said):
    assert Inbound.read(text)({"item": {}}) == said


def test_elsewhere_what_such_a_condition_gives_is_missing():
    with pytest.raises(ExpressionError, match="a value finds nothing"):
        Inbound.read("{{ ('down' if item.down) ~ '!' }}")({"item": {}})


@pytest.mark.parametrize("missing", [{}, {"g": None}, {"g": ""}])
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ {'g': item.g, 'h': 1} }}", {"h": 1}),
        ("{{ [item.g, 1] }}", [None, 1]),
        ("{{ (item.g, 1) }}", [None, 1]),
        ("{{ {'a': [item.g, {'b': item.g}]} }}", {"a": [None, {}]}),
        ("{{ [item.g, 'b'] | join('/') }}", "b"),
        ("{{ {'g': item.g} | merge({'x': item.y}) }}", {}),
        ("{{ {'g': item.g if item.h, 'h': 2} }}", {"h": 2}),
        ("x{{ {'g': item.g, 'h': 1} | json }}", 'x{"h":1}'),
    ],
)
def test_what_is_missing_stands_in_no_mapping_and_is_null_in_a_list(text, value, missing):
    assert Inbound.read(text)({"item": missing}) == value
