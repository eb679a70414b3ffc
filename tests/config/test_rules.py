"""What the rules must leave alone; what they find stands in problems/."""

from __future__ import annotations

import inspect

import pytest

from gateway.config.decode import decode
from gateway.config.files import KINDS
from gateway.config.rules import RULES, lint
from gateway.config.yaml import MOST_PROBLEMS, Document

AUTH = "title: Example\nauth: { scheme: bearer, token: { env: EXAMPLE_TOKEN } }\n"
MAP = "map: { action: { default: trigger }, dedup_key: $.id, severity: { default: error }, summary: $.title }\n"
PROVIDER = AUTH + MAP
VARS = "title: Example\nvars: { url: { env: EXAMPLE_URL } }\n"
SINK = VARS + 'request: { url: "{{ vars.url }}", json: $ }\n'

PROVIDERS = {
    "a name from `let` is known in `map`, in `cases` and below itself": AUTH
    + 'let: { a: $.a, b: "{{ a }}" }\n'
    + MAP
    + 'cases:\n  - { when: "{{ b }}", let: { c: "{{ a }}{{ b }}" }, map: { type: "{{ c }}" } }\n',
    "a name that a loop makes is known in the loop": AUTH
    + MAP.replace("$.title", '"{% for tag in item.tags %}{{ tag }}{% endfor %}"'),
    "a key may have the name of a variable": PROVIDER + 'reply: { text: "{{ payload.vars.itm }}" }\n',
    "a path is a condition": PROVIDER + "cases: [ { when: $.alert } ]\n",
    "a label may be called `when`, and be a mere text": AUTH + MAP.replace(" }\n", ", labels: { when: today, let: never } }\n"),
    "a text may have a dot in it": AUTH + MAP.replace("$.title", "items.json") + "project: item.json\n",
    "a macro of another tool is text": AUTH + MAP.replace("$.title", "the host $HOSTNAME$"),
    "a pattern may look for what is not replaced": AUTH + MAP.replace("$.title", "\"{{ item.t | replace('${HOST}', '') }}\""),
    "a notice needs no dedup key": AUTH + "map: { action: { default: notice }, severity: { default: info }, summary: $.t }\n",
    "the last case may do without `when`": PROVIDER + "cases: [ { when: $.alert }, { map: { type: other } } ]\n",
    "an expression of 80 characters is short enough": AUTH + MAP.replace("$.title", "$." + "a" * 78),
    "an expression in `let` may be long": PROVIDER + "let: { long: $." + "a" * 100 + " }\n",
    "a handshake before auth that GET can have": PROVIDER
    + 'methods: [POST, GET]\nhandshake: [ { when: "{{ query.x }}", before_auth: true } ]\n',
    "tables are the file's own": PROVIDER.replace("$.title", "\"{{ item.p | table('p') }}\"") + "tables: { p: { a: b } }\n",
}
SINKS = {
    "another system's word for a type is no forgotten expression": VARS
    + 'request: { url: "{{ vars.url }}", json: { type: incident.triggered, kind: event.created } }\n',
    "a variable has a default": SINK.replace("EXAMPLE_URL }", "EXAMPLE_URL, default: https://example.com }"),
    "a word in quotes is no variable": VARS + 'request: { url: "{{ vars.url }}", text: "{{ \'vars.x\' }} vars.y" }\n',
    "a step takes what another remembers": VARS
    + """
steps:
  - { name: a, request: { url: "{{ vars.url }}" }, remember: { number: $.number } }
  - { name: b, when: "{{ memory.number }}", request: { url: "{{ vars.url }}/{{ memory.number }}" } }
""",
    "the request of a batch has its items and what they share": VARS
    + 'batch: { by: { a: $.source }, item: $ }\nrequest: { url: "{{ vars.url }}", json: { a: "{{ by }}", b: "{{ items }}" } }\n',
}
RIGHT = {**dict.fromkeys(PROVIDERS, "providers.d"), **dict.fromkeys(SINKS, "sinks.d")}


def found(kind: str, text: str) -> list[str]:
    document = Document("a.yaml", text)
    thing = decode(document, KINDS[kind])
    lint(document, thing)
    return list(map(str, document.problems))


@pytest.mark.parametrize("what", RIGHT)
def test_the_rules_leave_alone_what_is_right(what: str):
    assert found(RIGHT[what], (PROVIDERS | SINKS)[what]) == []


def test_a_name_from_let_is_not_known_outside_of_map_and_cases():
    text = PROVIDER + 'let: { a: $.a }\nreply: { text: "{{ a }}" }\n'
    assert found("providers.d", text) == [
        (
            "a.yaml:5:20: reply.text: the name `a` is not known here [unknown-name]\n"
            "    help: a `let` is known in `map` and `cases`, and in the lets below it: move it up, or write out here what it stands for"
        )
    ]


def test_a_rule_finds_no_more_than_people_read():
    steps = "steps:\n" + "  - { name: a, request: { url: https://example.com/ } }\n" * (MOST_PROBLEMS + 50)
    assert len(found("sinks.d", "title: Example\n" + steps)) == MOST_PROBLEMS


@pytest.mark.parametrize("name,rule", sorted({name: rule for rules in RULES.values() for name, rule in rules.items()}.items()))
def test_every_rule_has_a_page_that_begins_with_one_sentence(name: str, rule: object):
    title, _, rest = inspect.cleandoc(inspect.getdoc(rule) or "").partition("\n\n")
    assert (title[-1:], "\n" in title, len(rest) > 100) == (".", False, True)
