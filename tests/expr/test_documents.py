"""Documents with expressions at their leaves, and text bodies that stay JSON whatever an event holds."""

import json

import pytest
from saying import said

from gateway.expr import Body, InboundDocument, OutboundDocument

EVENT = {
    "summary": 'say "no"',
    "severity": "critical",
    "count": 3,
    "labels": {"app": "web"},
    "tags": ["a", "b"],
    "empty": "",
    "no": False,
}


@pytest.mark.parametrize(
    "document, filled",
    [
        ({"a": "$.summary", "b": {"c": "{{ event.count }}"}}, {"a": 'say "no"', "b": {"c": 3}}),
        ({"a": "$.nothing", "b": "$.empty", "c": "$.count", "d": "$.no"}, {"c": 3, "d": False}),
        (["$.nothing", "$.count", "{{ event.empty }}", "x"], [3, "x"]),
        ({"a": {"b": "$.nothing"}, "c": ["$.nothing"]}, {"a": {}, "c": []}),
        ({"a": 1, "b": 1.5, "c": True, "d": None, "e": "text", "f": []}, {"a": 1, "b": 1.5, "c": True, "e": "text", "f": []}),
        ({"$.summary": "x"}, {"$.summary": "x"}),
        ({"event": "$"}, {"event": EVENT}),
        ("$.labels", {"app": "web"}),
        ("{{ event.labels | merge({'x': event.count}) }}", {"app": "web", "x": 3}),
        ("$.nothing", None),
        ("{{ event.tags | split }}", ["a", "b"]),
        ([[{"a": ["{{ event.tags[1] }}"]}]], [[{"a": ["b"]}]]),
        (5, 5),
    ],
)
def test_a_document_is_filled_in_with_types_kept_and_what_finds_nothing_left_out(document, filled):
    assert OutboundDocument.read(document)({"event": EVENT}) == filled


def test_a_document_knows_where_its_expressions_are():
    document = InboundDocument.read({"a": ["x", "$.b"], "c": {"d": "{{ item.e ~ path }}"}})
    found = [(where, expression.text, sorted(expression.names)) for where, expression in document.expressions()]
    assert found == [(("a", 0), "x", []), (("a", 1), "$.b", ["item"]), (("c", "d"), "{{ item.e ~ path }}", ["item", "path"])]
    assert document.text == '{"a":["x","$.b"],"c":{"d":"{{ item.e ~ path }}"}}'


def test_a_leaf_that_cannot_be_evaluated_fails_the_document():
    document = OutboundDocument.read({"a": "on {{ event.nothing }}"})
    assert said(document, {"event": EVENT}) == "on {{ event.nothing }}: event.nothing finds nothing"
    assert (
        said(OutboundDocument.read, {"a": ["$.b["]})
        == "$.b[ is no JSONPath of RFC 9535 that the gateway understands: it goes wrong at '['"
    )


AWKWARD = 'a "q" \\ \n\r\t\x00 \u2028 😀 </script> {{ event }}'
JSON_BODIES = {
    '{"a": "{{ event.text }}"}': {"a": AWKWARD},
    '{"a": "on {{ event.text }}!"}': {"a": f"on {AWKWARD}!"},
    '{"a": {{ event.text }}}': {"a": AWKWARD},
    '{"a": {{ event.labels }}, "b": {{ event.count }}, "c": {{ event.no }}}': {"a": {"x": '"'}, "b": 3, "c": False},
    '{"a": "{{ event.labels }}", "b": "{{ event.count }}", "c": "{{ event.no }}"}': {"a": '{"x":"\\""}', "b": "3", "c": "false"},
    '{"{{ event.text }}": 1}': {AWKWARD: 1},
    # `json` outside of quotes is not written as JSON once more; inside quotes it is a text
    '{"a": {{ event.labels | json }}}': {"a": {"x": '"'}},
    '{"a": {{ event.labels | json if event.count else "x" }}}': {"a": {"x": '"'}},
    '{"a": {{ event.text if event.count else event.labels | json }}}': {"a": AWKWARD},
    '{"a": {{ event.nothing | json or event.text }}}': {"a": AWKWARD},
    '{"a": {{ event.labels | json | truncate(3) }}}': {"a": '{"…'},
    '{"a": {{ {"b": event.labels | json} }}}': {"a": {"b": '{"x":"\\""}'}},
    '{"a": "{{ event.labels | json }}"}': {"a": '{"x":"\\""}'},
    # quotes of the template's own, in texts, in comments, escaped, behind `raw`
    '{"a": "\\"{{ event.text }}\\""}': {"a": f'"{AWKWARD}"'},
    '{"a": "\\\\{{ event.text }}"}': {"a": "\\" + AWKWARD},
    '{"a": "{{ event.text ~ \'"\' }}", "b": {{ event.count }}}': {"a": AWKWARD + '"', "b": 3},
    '{# a " #}{"a": "{{ event.text }}"}': {"a": AWKWARD},
    '{% raw %}{"{{ x }}": "{% endraw %}{{ event.text }}"}': {"{{ x }}": AWKWARD},
    # branches and loops
    '{"a": "{% if event.count %}{{ event.text }}{% else %}none{% endif %}"}': {"a": AWKWARD},
    '{"a": {% if event.count %}"{{ event.text }}"{% else %}{{ event.count }}{% endif %}}': {"a": AWKWARD},
    '{"a": "{% if event.no %}x"{% elif event.count %}y{{ event.text }}"{% else %}z"{% endif %}}': {"a": "y" + AWKWARD},
    '{"a": [{% for x in event.list %}"{{ x }}"{% if not loop.last %}, {% endif %}{% endfor %}]}': {"a": [AWKWARD, "b"]},
    '{"a": [{% for x in event.list %}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}]}': {"a": [AWKWARD, "b"]},
    '{"a": "{% for x in event.list %}{{ x }},{% else %}{{ event.count }}{% endfor %}"}': {"a": f"{AWKWARD},b,"},
}


@pytest.mark.parametrize("template", JSON_BODIES)
def test_a_json_body_holds_exactly_what_it_prints(template):
    event = {"text": AWKWARD, "labels": {"x": '"'}, "count": 3, "no": False, "list": [AWKWARD, "b"]}
    assert json.loads(Body.read(template).escaping("json")({"event": event})) == JSON_BODIES[template]


BRANCHES = "one branch of an `if` ends inside quotes and another does not (line {} of the template); put the quotes on the same side of it"
LOOP = "a `for` begins and ends on different sides of a quote (line 1 of the template); put the quotes on the same side of it"
BACKSLASH = "a backslash stands before `{{` (line 1 of the template); what is printed is escaped already"


@pytest.mark.parametrize(
    "template, message",
    [
        ('{"a": {% if event.x %}"{% endif %}{{ event.y }}}', BRANCHES.format(1)),
        ('{\n"a": "{% if event.x %}x"{% elif event.y %}y{% endif %}}', BRANCHES.format(2)),
        ('{"a": "{% if event.x %}\\{% endif %}{{ event.y }}"}', BRANCHES.format(1)),
        ('{"a": [{% for x in event.list %}"{{ x }}, {% endfor %}]}', LOOP),
        ('{"a": "{% for x in event.list %}{{ x }}", "{% else %}" {% endfor %}"}', LOOP),
        ('{"a": "\\{{ event.y }}"}', BACKSLASH),
        ('{"a": "{{ event.y }}}', "the template ends inside quotes, so it is no JSON"),
    ],
)
def test_a_json_body_whose_quotes_depend_on_the_payload_is_refused(template, message):
    assert said(Body.read(template).escaping, "json") == message


def test_a_json_body_does_not_print_what_is_missing():
    for template, name in {
        '{"a": "{{ event.b }}"}': "event.b",
        '{"a": {{ event.b }}}': "event.b",
        '{"a": {{ none }}}': "an expression",
    }.items():
        assert said(Body.read(template).escaping("json"), {"event": {}}) == f"{template}: {name} finds nothing"


def test_a_body_that_is_not_json_prints_as_it_is_and_other_escapings_are_unknown():
    assert Body.read('"{{ event.summary }}"')({"event": EVENT}) == '"say "no""'
    assert said(Body.read("x").escaping, "xml") == "there is no escaping 'xml'"


def test_escaping_makes_a_copy_and_leaves_the_body_as_it_is():
    body = Body.read('{"a": "{{ event.labels | json }}"}')
    escaped = body.escaping("json")
    assert (body({"event": EVENT}), escaped({"event": EVENT})) == ('{"a": "{"app":"web"}"}', '{"a": "{\\"app\\":\\"web\\"}"}')
    assert (escaped.names, escaped.text) == (body.names, body.text)
