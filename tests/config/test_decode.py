from __future__ import annotations

from typing import Any, Literal

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.decode import decode, walk
from gateway.config.schemas import json_schema
from gateway.config.shapes import shape_of
from gateway.config.yaml import Document, dump
from gateway.expr import InboundDocument
from gateway.values import Duration, Keys, Rate, Reference, Size

from .things import Fields, Hmac, Open, Reply, Thing

RIGHT = "title: Example\nauth: { scheme: none, because: it is a test }\n"


def read(text: str, type: Any = Thing) -> tuple[Any, str]:
    document = Document("a.yaml", text)
    value = decode(document, type)
    return value, "\n".join(map(str, sorted(document.problems)))


def test_a_file_becomes_a_struct_from_its_leaves_up():
    text = """
title: Example
auth:
  scheme: hmac
  secret: { env: KEY, previous: { file: old } }
map: { dedup_key: $.id, severity: ignore, from: $.source }
reply: { status: 204 }
methods: [GET, POST]
networks: [10.0.0.0/8]
tables: { priority: { high: 1, 5: 2 } }
start: now
timeout: 1.5m
rate_limit: 50/s
ratio: 2
enabled: false
tests: [{ name: x, payload: { a: [null] } }]
"""
    assert read(text) == (
        Thing(
            title="Example",
            auth=Hmac(secret=Reference(env="KEY", previous=Reference(file="old"))),
            map=Fields(dedup_key="$.id", severity="ignore", from_="$.source"),
            reply=Reply(status=204),
            methods=["GET", "POST"],
            networks=("10.0.0.0/8",),
            tables={"priority": {"high": 1, "5": 2}},
            start="now",
            timeout=Duration(90),
            rate_limit=Rate(50.0, 1.0),
            ratio=2.0,
            enabled=False,
            tests=[{"name": "x", "payload": {"a": [None]}}],
        ),
        "",
    )


def test_what_is_left_out_has_its_default():
    assert read(RIGHT) == (Thing(title="Example", auth=Open(because="it is a test")), "")


def test_every_problem_of_a_file_is_found_at_once():
    text = """
titel: x
auth: { scheme: hmacc }
map:
  severity: crit
  fingerprint: a
timeout: 5
methods: POST
"""
    value, problems = read(text)
    assert value is None
    assert problems == (
        "a.yaml:2:1: titel: unknown key [unknown-key]\n"
        "    help: did you mean `title`?\n"
        "a.yaml:3:17: auth.scheme: `hmacc` is not one of `hmac`, `none` [value]\n"
        "    help: did you mean `hmac`?\n"
        "a.yaml:5:13: map.severity: `crit` is not one of `critical`, `error`, `ignore` [value]\n"
        "    help: did you mean `critical`?\n"
        "a.yaml:6:3: map.fingerprint: unknown key [unknown-key]\n"
        "    help: did you mean `dedup_key`?\n"
        "a.yaml:7:10: timeout: 5 is not a duration; write it like 500ms, 10s, 5m, 24h or 7d [value]\n"
        "a.yaml:8:10: methods: expected a list, got text [type]\n"
        "    help: write a list: `[POST]`"
    )


KEYS = "`title`, `auth`, `like`, `map`, `reply`, `methods`, `networks`, `tables`, `start`, `timeout`, `rate_limit`, `ratio`, `enabled`, `tests`"

WRONG = {
    # the whole file
    "": "a.yaml:1:1: the file is empty [missing-key]\n    help: it needs `title`, `auth`",
    "- title: x": "a.yaml:1:1: expected a mapping, got a list [type]\n    help: take the dashes away",
    "title:x": f"a.yaml:1:1: expected a mapping, got text [type]\n    help: its keys are {KEYS}",
    # keys
    "titles: x\nauth: { scheme: none, cause: x }": (
        "a.yaml:1:1: titles: unknown key [unknown-key]\n    help: did you mean `title`?\n"
        "a.yaml:2:23: auth.cause: unknown key [unknown-key]\n    help: did you mean `because`?"
    ),
    f"{RIGHT}name: x": (
        "a.yaml:3:1: name: unknown key [unknown-key]\n    help: the name of the file is the name; take this away"
    ),
    f"{RIGHT}dedup_key: x": "a.yaml:3:1: dedup_key: unknown key [unknown-key]\n    help: `dedup_key` belongs under `map`",
    f"{RIGHT}map: {{ enabled: true }}": (
        "a.yaml:3:8: map.enabled: unknown key [unknown-key]\n    help: `enabled` belongs at the top of the file"
    ),
    f"{RIGHT}map: {{ priority: high }}": "a.yaml:3:8: map.priority: unknown key [unknown-key]\n    help: did you mean `severity`?",
    f"{RIGHT}map: {{ dedupKey: high }}": "a.yaml:3:8: map.dedupKey: unknown key [unknown-key]\n    help: did you mean `dedup_key`?",
    f"{RIGHT}map: {{ Dedup-Key: x }}": "a.yaml:3:8: map.Dedup-Key: unknown key [unknown-key]\n    help: did you mean `dedup_key`?",
    f"{RIGHT}map: {{ zzz: x }}": (
        "a.yaml:3:8: map.zzz: unknown key [unknown-key]\n    help: the keys here are `dedup_key`, `severity`, `from`"
    ),
    f'{RIGHT}map: {{ "a b\\n": x }}': (
        'a.yaml:3:8: map["a b\\n"]: unknown key [unknown-key]\n    help: the keys here are `dedup_key`, `severity`, `from`'
    ),
    f"{RIGHT}map:": "a.yaml:3:1: map: has no value [no-value]\n    help: give it one, or remove the key",
    f"{RIGHT}map: {{ dedup_key: null }}": (
        "a.yaml:3:8: map.dedup_key: has no value [no-value]\n    help: give it one, or remove the key"
    ),
    f"{RIGHT}methods:\n  -": "a.yaml:4:4: methods[0]: has no value [no-value]\n    help: give it one, or remove the entry",
    "title: x\n": (
        "a.yaml:1:1: auth: is missing [missing-key]\n    help: add `auth`: How a sender proves who it is."
    ),
    "title: x\nauth: { scheme: none }": (
        "a.yaml:2:1: auth.because: is missing [missing-key]\n    help: add `because`: Why that is right."
    ),
    f"{RIGHT}enabled: true\nenabled: maybe": (
        "a.yaml:4:1: enabled: given twice, first at 3:1 [duplicate-key]\n    help: keep one of the two"
    ),
    # unions
    "title: x\nauth: none": "a.yaml:2:7: auth: expected a mapping, got text [type]\n    help: write `{ scheme: none, … }`",
    "title: x\nauth: 5": (
        "a.yaml:2:7: auth: expected a mapping, got a number [type]\n"
        "    help: write `{ scheme: … }`; it is one of `hmac`, `none`"
    ),
    "title: x\nauth: { because: x }": (
        "a.yaml:2:1: auth.scheme: is missing [missing-key]\n    help: it is one of `hmac`, `none`"
    ),
    "title: x\nauth: { scheme: [none] }": (
        "a.yaml:2:17: auth.scheme: expected one of `hmac`, `none`, got a list [type]\n    help: take the brackets away"
    ),
    "title: x\nauth: { scheme: }": (
        "a.yaml:2:9: auth.scheme: has no value [no-value]\n    help: give it one, or remove the key"
    ),
    f"{RIGHT}start: soon": (
        "a.yaml:3:8: start: 'soon' is not a duration; write it like 500ms, 10s, 5m, 24h or 7d [value]"
    ),
    # secrets
    "title: x\nauth: { scheme: hmac, secret: hunter2 }": (
        "a.yaml:2:31: auth.secret: expected where a value is kept, got text [secret]\n"
        "    help: write `{ env: NAME }` or `{ file: NAME }`; a secret itself never stands in a file"
    ),
    "title: x\nauth: { scheme: hmac, secret: { value: hunter2 } }": (
        "a.yaml:2:33: auth.secret.value: unknown key [secret]\n"
        "    help: write `{ env: NAME }` or `{ file: NAME }`; a secret itself never stands in a file"
    ),
    "title: x\nauth: { scheme: hmac, secret: {} }": "a.yaml:2:23: auth.secret: give either env or file [secret]",
    # kinds
    f"{RIGHT}like: 5": "a.yaml:3:7: like: expected text, got a number [type]\n    help: put it in quotes",
    f"{RIGHT}like: true": "a.yaml:3:7: like: expected text, got `true` [type]\n    help: put it in quotes",
    f"{RIGHT}like: [a]": "a.yaml:3:7: like: expected text, got a list [type]\n    help: take the brackets away",
    f"{RIGHT}enabled: yes": "a.yaml:3:10: enabled: expected `true` or `false`, got text [type]\n    help: write `true`",
    f"{RIGHT}enabled: off": "a.yaml:3:10: enabled: expected `true` or `false`, got text [type]\n    help: write `false`",
    f"{RIGHT}enabled: 1": "a.yaml:3:10: enabled: expected `true` or `false`, got a number [type]",
    f'{RIGHT}ratio: "1.5"': "a.yaml:3:8: ratio: expected a number, got text [type]\n    help: take the quotes away",
    f"{RIGHT}ratio: half": "a.yaml:3:8: ratio: expected a number, got text [type]",
    f"{RIGHT}ratio: true": "a.yaml:3:8: ratio: expected a number, got `true` [type]",
    f"{RIGHT}ratio: 1{'0' * 400}": (
        "a.yaml:3:8: ratio: this number is too large [value]\n    help: the largest has 308 digits"
    ),
    f"{RIGHT}reply: {{ status: 200.5 }}": "a.yaml:3:18: reply.status: expected a whole number, got a number [type]",
    f"{RIGHT}methods: {{ a: GET }}": "a.yaml:3:10: methods: expected a list, got a mapping [type]\n    help: begin each entry with `- `",
    f'{RIGHT}networks: "a b"': 'a.yaml:3:11: networks: expected a list, got text [type]\n    help: write a list: `["a b"]`',
    f"{RIGHT}networks: 10": "a.yaml:3:11: networks: expected a list, got a number [type]\n    help: write a list: `[10]`",
    f"{RIGHT}methods: [get, PUT]": (
        "a.yaml:3:11: methods[0]: `get` is not one of `GET`, `POST` [value]\n"
        "    help: did you mean `GET`?\n"
        "a.yaml:3:16: methods[1]: `PUT` is not one of `GET`, `POST` [value]"
    ),
    f"{RIGHT}tables: [a]": "a.yaml:3:9: tables: expected a mapping, got a list [type]\n    help: write `name: value` for each entry",
    f"{RIGHT}tables: {{ a: {{ b: c, d: 1.0 }} }}": (
        "a.yaml:3:19: tables.a.b: expected a whole number, got text [type]\n"
        "a.yaml:3:25: tables.a.d: expected a whole number, got a number [type]"
    ),
    f"{RIGHT}map: text": (
        "a.yaml:3:6: map: expected a mapping, got text [type]\n    help: its keys are `dedup_key`, `severity`, `from`"
    ),
    # what a struct says of its keys together
    f"{RIGHT}reply: {{ text: a, json: b }}": "a.yaml:3:10: reply.text: give either text or json [value]",
    f"{RIGHT}reply: {{ status: 404 }}": "a.yaml:3:18: reply.status: 404 is not a success; give 200 to 299 [value]",
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_said_where_it_is_and_how_to_mend_it(text: str):
    assert read(text) == (None, WRONG[text])


def test_a_broken_document_is_not_decoded():
    assert read("a: *x") == (
        None,
        (
            "a.yaml:1:4: `*x` is an alias, and there are none here [alias]\n"
            '    help: write the value itself; if it is text, put it in quotes: "*x"'
        ),
    )


@pytest.mark.parametrize(
    "text", ["".join(f"k{i}: 1\n" for i in range(12_000)), f"methods: [{'x,' * 25_000}]", f"tests: [{'x,' * 25_000}]"]
)
def test_after_so_many_problems_nothing_more_is_looked_for(text: str):
    document = Document("a.yaml", text)
    assert decode(document, Thing) is None
    assert 100 <= len(document.problems) <= 110


def test_a_sentence_that_quotes_the_file_is_one_line_and_not_long():
    value, problems = read(RIGHT + 'timeout: "' + "\\x1b[2J\\n" * 1000 + '"')
    assert (value, len(problems), problems.isprintable()) == (None, 430, True)


class Counted:
    """A type that counts how often it is read."""

    reads: int = 0

    @classmethod
    def read(cls, data: Any) -> Counted:
        cls.reads += 1 if data else 0
        return cls()

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": ["object", "string"]}


class Holder(Keys, frozen=True):
    """
    Holds values that read themselves.

    one: One.
    many: Many.
    either: Text of a fixed kind, or one.
    limit: A size or a number.
    """

    one: Counted | None = None
    many: list[Counted] = []
    either: Literal["a"] | Counted | None = None
    limit: Size | int | None = None


def test_each_leaf_is_read_exactly_once():
    Counted.reads = 0
    value, problems = read("one: x\nmany: [a, b]\neither: c", Holder)
    assert (type(value), problems, Counted.reads) == (Holder, "", 4)


def test_every_wrong_text_in_a_document_is_named_at_its_place():
    text = "details:\n  one: $.a[\n  two: [fine, { three: '{{ item. }}' }]\n  four: 4\n"
    assert read(text, Described) == (
        None,
        (
            "a.yaml:2:11: details.one: $.a[ is no JSONPath of RFC 9535 that the gateway understands: it goes wrong at '[' [value]\n"
            "a.yaml:3:24: details.two[1].three: expected name or number [value]"
        ),
    )


def test_a_union_takes_the_member_that_fits():
    assert read("either: a\nlimit: 5", Holder) == (Holder(either="a", limit=5), "")
    assert read("limit: 1KiB", Holder) == (Holder(limit=Size(1024)), "")
    assert read("limit: big", Holder) == (
        None,
        "a.yaml:1:8: limit: 'big' is not a size; write it like 500B, 64KiB or 1MiB [value]",
    )


class Described(Keys, frozen=True):
    """
    Holds a document.

    details: Anything, with expressions in it.
    """

    details: InboundDocument


class Unread:
    """Neither a struct nor a type that reads itself."""


@pytest.mark.parametrize("annotation", [Unread, bytes, dict[int, str], tuple[str, int]])
def test_an_annotation_without_words_in_yaml_is_a_mistake_of_ours(annotation: Any):
    with pytest.raises(TypeError, match="has no words in YAML"):
        shape_of(annotation)


class Holey(Keys, frozen=True):
    """A mapping whose values may be null, and one whose values may not."""

    some: dict[str, str | None] = {}
    all: dict[str, str] = {}


def test_null_stands_only_where_an_annotation_says_so():
    assert read("some: { a: null, b: x, c: }", Holey) == (Holey(some={"a": None, "b": "x", "c": None}), "")
    assert read("some: { a: null, b: 1 }\nall: { c: null }", Holey) == (
        None,
        (
            "a.yaml:1:21: some.b: expected text, got a number [type]\n    help: put it in quotes\n"
            "a.yaml:2:8: all.c: has no value [no-value]\n    help: give it one, or remove the key"
        ),
    )
    schema = json_schema(Holey, id="x", title="x")
    for data in ({"some": {"a": None}}, {"some": {"a": 1}}, {"all": {"a": None}}):
        assert jsonschema.Draft7Validator(schema).is_valid(data) is (data == {"some": {"a": None}})


def test_a_walk_finds_every_value_that_reads_itself_and_every_reference():
    thing, _ = read(
        "title: x\ntimeout: 5s\nstart: 1m\nrate_limit: 1/s\nmap: { from: a }\n"
        "auth: { scheme: hmac, secret: { env: A, previous: { env: B } } }\n"
    )
    previous = Reference(env="B")
    assert list(walk(thing)) == [
        (("auth", "secret"), Reference(env="A", previous=previous)),
        (("auth", "secret", "previous"), previous),
        (("start",), Duration(60)),
        (("timeout",), Duration(5)),
        (("rate_limit",), Rate(1.0, 1.0)),
    ]


def test_a_walk_goes_through_lists_and_mappings():
    one, two = Counted(), Counted()
    assert list(walk(Holder(one=one, many=[two]), ("at",))) == [(("at", "one"), one), (("at", "many", 0), two)]
    assert list(walk({"a": [{"b": one}]})) == [(("a", 0, "b"), one)]


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**400), 10**400),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["hmac", "none", "now", "GET", "critical", "ignore", "5s", "50/s", "x", "", "on", "1e3"]),
    st.text(max_size=5),
)
KEY = st.sampled_from([*Thing.__struct_fields__, "scheme", "because", "secret", "env", "file", "status", "text", "severity", "from", "hash", "x"])  # fmt: skip
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=4), max_leaves=12
)
SECRET = st.fixed_dictionaries({"env": st.just("A") | ANYTHING}, optional={"previous": st.just({"file": "x"}) | ANYTHING})
AUTH = st.fixed_dictionaries({"scheme": st.sampled_from(["hmac", "none", "x"])}, optional={"secret": SECRET, "because": LEAVES})
NEARLY = st.fixed_dictionaries(
    {"title": st.text(max_size=3) | LEAVES, "auth": AUTH | st.just({"scheme": "none", "because": "x"})},
    optional={
        "map": st.dictionaries(st.sampled_from(["dedup_key", "severity", "from"]), LEAVES),
        "methods": st.lists(st.sampled_from(["GET", "POST"])) | ANYTHING,
        "networks": st.lists(st.text(max_size=3)) | ANYTHING,
        "start": LEAVES,
        "ratio": LEAVES,
        "tables": ANYTHING,
        "tests": ANYTHING,
        "reply": st.dictionaries(st.sampled_from(["status", "text", "json"]), LEAVES | st.integers(200, 299)),
    },
)
CHECK = jsonschema.Draft7Validator(json_schema(Thing, id="thing", title="Thing"))


@given(NEARLY | ANYTHING)
def test_any_data_gives_a_struct_or_problems_and_what_is_taken_the_schema_takes_too(data: Any):
    document = Document("a.yaml", dump(data))
    value = decode(document, Thing)
    assert (value is None) == bool(document.problems)
    if value is not None:
        assert list(CHECK.iter_errors(data)) == []
