from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.yaml import DEEPEST, LARGEST, MOST_NODES, MOST_PROBLEMS, Document, dump


def printed(text: str | bytes) -> str:
    return "\n".join(map(str, Document("a.yaml", text).problems))


@pytest.mark.parametrize(
    "written,value",
    [
        # YAML 1.1's traps, which are text in 1.2
        ("on", "on"), ("off", "off"), ("yes", "yes"), ("no", "no"), ("y", "y"), ("NO", "NO"),
        ("12:30", "12:30"), ("1:30:00", "1:30:00"), ("2023-06-12", "2023-06-12"), ("2001-12-14t21:59:43.10-05:00",) * 2,
        ("1_000", "1_000"), ("0b11", "0b11"), ("=", "="),
        # a leading zero keeps its digits
        ("010", "010"), ("00", "00"), ("-01", "-01"), ("01.5", "01.5"),
        # YAML 1.2.2, section 10.3.2, the examples and the edges of the core schema
        ("true", True), ("True", True), ("TRUE", True), ("tRUE", "tRUE"), ("false", False), ("False", False), ("FALSE", False),
        ("null", None), ("Null", None), ("NULL", None), ("~", None), ("", None), ("nil", "nil"), ("None", "None"),
        ("0", 0), ("-19", -19), ("+12", 12), ("0o7", 7), ("0o8", "0o8"), ("0x3A", 58), ("-0x3A", "-0x3A"), ("0xG", "0xG"),
        ("0.", 0.0), ("-0.0", -0.0), (".5", 0.5), ("+12e03", 12000.0), ("-2E+05", -200000.0), ("1e3", 1000.0), ("1.10", 1.1),
        (".", "."), ("e3", "e3"), ("1e", "1e"), ("-", [None]), ("1.2.3", "1.2.3"), ("+", "+"), ("٣", "٣"),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        # quotes and blocks are always text
        ('"1"', "1"), ("'true'", "true"), ('""', ""), ("|\n  1", "1"), (">\n  null\n", "null\n"), ('"~"', "~"),
    ],
)  # fmt: skip
def test_a_scalar_means_what_yaml_1_2_says(written: str, value: Any):
    document = Document("a.yaml", f"[{written}]" if written == "" else f"- {written}")
    expected = [] if written == "" else [value]
    assert (document.data, document.problems) == (expected, [])
    assert [type(entry) for entry in document.data] == [type(entry) for entry in expected]


def test_a_key_without_a_value_is_null():
    assert Document("a.yaml", "a:\nb: 1").data == {"a": None, "b": 1}


def test_keys_are_text_as_written():
    assert Document("a.yaml", '200: a\ntrue: b\n~: c\n"x": d\n0x1F: e\n1.50: f').data == {
        "200": "a",
        "true": "b",
        "~": "c",
        "x": "d",
        "0x1F": "e",
        "1.50": "f",
    }


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "~", "\ufeff", b"\xef\xbb\xbf"])
def test_an_empty_file_is_an_empty_mapping(text: str | bytes):
    document = Document("a.yaml", text)
    assert (document.data, document.problems, document.broken) == ({}, [], False)


@pytest.mark.parametrize("text", ["\ufeffa: 1", b"\xef\xbb\xbfa: 1", b"a: 1", "a: 1\r\n", "%YAML 1.2\n---\na: 1\n...\n"])
def test_a_byte_order_mark_and_the_ends_of_lines_do_not_matter(text: str | bytes):
    document = Document("a.yaml", text)
    assert (document.data, document.problems) == ({"a": 1}, [])


def test_every_value_and_key_knows_its_line_and_column():
    document = Document("a.yaml", "title: x\nmap:\n  severity: {from: ä, table: {ü: [1, 2]}}\nlist:\n  - a: 1\n  -\n    b: 2\n")
    places = {path: (document.key_at(path), document.at(path)) for path in document.values}
    assert places == {
        (): ((1, 1), (1, 1)),
        ("title",): ((1, 1), (1, 8)),
        ("map",): ((2, 1), (3, 3)),
        ("map", "severity"): ((3, 3), (3, 13)),
        ("map", "severity", "from"): ((3, 14), (3, 20)),
        ("map", "severity", "table"): ((3, 23), (3, 30)),
        ("map", "severity", "table", "ü"): ((3, 31), (3, 34)),
        ("map", "severity", "table", "ü", 0): ((3, 35), (3, 35)),
        ("map", "severity", "table", "ü", 1): ((3, 38), (3, 38)),
        ("list",): ((4, 1), (5, 3)),
        ("list", 0): ((5, 5), (5, 5)),
        ("list", 0, "a"): ((5, 5), (5, 8)),
        ("list", 1): ((7, 5), (7, 5)),
        ("list", 1, "b"): ((7, 5), (7, 8)),
    }


def test_what_is_not_in_the_file_stands_where_the_nearest_thing_around_it_does():
    document = Document("a.yaml", "title: x\nmap:\n  a: 1\n")
    assert document.at(("map", "b", 3, "c")) == (3, 3)
    assert document.key_at(("map", "b")) == (2, 1)
    assert document.at(("nothing",)) == (1, 1)
    assert document.file_at(("map", "b")) == "a.yaml"


def test_a_problem_is_reported_at_a_value_or_at_its_key():
    document = Document("a.yaml", "map:\n  severity: high\n")
    document.report(("map", "severity"), "value", "at the value", "mend it")
    document.report(("map", "severity"), "value", "at the key", key=True)
    assert "\n".join(map(str, document.problems)) == (
        "a.yaml:2:13: map.severity: at the value [value]\n    help: mend it\na.yaml:2:3: map.severity: at the key [value]"
    )
    assert not document.broken


def test_of_two_equal_keys_both_places_are_named_and_the_first_is_kept():
    document = Document("a.yaml", "map:\n  a: 1\n  b: 2\n  a: {c: 3}\n  'a': 4\n")
    assert "\n".join(map(str, document.problems)) == (
        "a.yaml:4:3: map.a: given twice, first at 2:3 [duplicate-key]\n    help: keep one of the two\n"
        "a.yaml:5:3: map.a: given twice, first at 2:3 [duplicate-key]\n    help: keep one of the two"
    )
    assert (document.data, document.at(("map", "a")), document.broken) == ({"map": {"a": 1, "b": 2}}, (2, 6), False)


REFUSED = {
    # what we do not take
    "a: &x [1]\nb: *x": (
        "a.yaml:1:4: `&x` is an anchor, and there are none here [alias]\n"
        "    help: take it away; to share a whole file, use `like:`\n"
        "a.yaml:2:4: `*x` is an alias, and there are none here [alias]\n"
        '    help: write the value itself; if it is text, put it in quotes: "*x"'
    ),
    "a: *x": (
        "a.yaml:1:4: `*x` is an alias, and there are none here [alias]\n"
        '    help: write the value itself; if it is text, put it in quotes: "*x"'
    ),
    "*x : 1": (
        "a.yaml:1:1: `*x` is an alias, and there are none here [alias]\n"
        '    help: write the value itself; if it is text, put it in quotes: "*x"'
    ),
    "a:\n  <<: {b: 1}\n": (
        "a.yaml:2:3: `<<` is a merge key, and there are none here [alias]\n"
        "    help: write the keys out; to share a whole file, use `like:`"
    ),
    "a: !!python/object/apply:os.system [x]": (
        "a.yaml:1:4: tags such as `!name` are not understood [tag]\n"
        "    help: take the tag away; a secret is written `{ env: NAME }`, and text that begins with `!` stands in quotes"
    ),
    "!x {a: 1}": (
        "a.yaml:1:1: tags such as `!name` are not understood [tag]\n"
        "    help: take the tag away; a secret is written `{ env: NAME }`, and text that begins with `!` stands in quotes"
    ),
    "a: 1\n---\nb: 2": (
        "a.yaml:2:1: a second document begins here [syntax]\n    help: keep one document in a file, without `---` between"
    ),
    "? [a]\n: b": "a.yaml:1:3: a key must be text, not a list or a mapping [syntax]\n    help: put it in quotes",
    "a: 1e999": "a.yaml:1:4: `1e999` is not a number that JSON can hold [number]\n    help: put it in quotes if it is text",
    "a: -.inf": "a.yaml:1:4: `-.inf` is not a number that JSON can hold [number]\n    help: put it in quotes if it is text",
    f"a: 0x{'f' * 1000}": (
        "a.yaml:1:4: this number has 1002 characters; the most is 1000 [number]\n    help: put it in quotes if it is text"
    ),
    # what is not text
    b"a: 1\nbb: \xff\n": "a.yaml:2:5: the file is not UTF-8 from here on [encoding]\n    help: save it as UTF-8",
    "a: 1\n".encode("utf-16"): "a.yaml:1:1: the file is not UTF-8 from here on [encoding]\n    help: save it as UTF-8",
    "a: b\x1bc": (
        "a.yaml:1:5: the character U+001B cannot stand in a file [encoding]\n"
        "    help: take it away, or write it as an escape in double quotes"
    ),
    "a: \ud800": (
        "a.yaml:1:4: the character U+D800 cannot stand in a file [encoding]\n"
        "    help: take it away, or write it as an escape in double quotes"
    ),
    # what the parser stumbles over, in plain words
    "map:\n\ta: 1": "a.yaml:2:1: a tab where only spaces may stand [syntax]\n    help: indent with spaces",
    "a: 1\n\tb: 2": "a.yaml:2:1: a tab where only spaces may stand [syntax]\n    help: indent with spaces",
    "a: |\n\tx": "a.yaml:2:1: a tab where only spaces may stand [syntax]\n    help: indent with spaces",
    "a: {{ item.x }}": (
        'a.yaml:1:4: a value that begins with `{{` must stand in quotes [syntax]\n    help: write it like "{{ item.x }}"'
    ),
    "a: [{{ item.x }}]": (
        'a.yaml:1:5: a value that begins with `{{` must stand in quotes [syntax]\n    help: write it like "{{ item.x }}"'
    ),
    'a: "{{ x }}" or y': (
        "a.yaml:1:14: text goes on after its closing quote [syntax]\n    help: put one pair of quotes around the whole value"
    ),
    "a: b: c": (
        "a.yaml:1:5: a second `: ` in one value [syntax]\n"
        "    help: put the value in quotes, or its keys on lines of their own"
    ),
    "a: 1\n  b: 2": (
        "a.yaml:2:3: a key cannot stand here [syntax]\n"
        "    help: align it with the keys above it; is there a `: `, with its space, in the line above?"
    ),
    "a:1\nb: 2": (
        "a.yaml:1:1: `a:1` is no key [syntax]\n    help: put a space after the colon"
    ),
    "a:\n  b: 1\n c: 2": (
        "a.yaml:3:2: the indentation matches nothing above [syntax]\n    help: align the line with the keys it belongs to"
    ),
    " a: 1\nb: 2": (
        "a.yaml:2:1: this line stands outside of what came before [syntax]\n"
        "    help: give all top keys the same indentation; a file holds one document"
    ),
    "a: 1\nfoo\n": (
        "a.yaml:2:1: `foo` is no key, as no `:` follows it [syntax]\n"
        "    help: write `foo: value`; text that goes on from the line above is indented more than its key"
    ),
    "a: 1\nb:2\n": "a.yaml:2:1: `b:2` is no key [syntax]\n    help: put a space after the colon",
    "a:\n- b\n-c\n": "a.yaml:3:1: `-c` is neither a list entry nor a key [syntax]\n    help: put a space after the dash",
    "a: - b": (
        "a.yaml:1:4: a list entry cannot stand on the line of its key [syntax]\n"
        "    help: put each `- …` on a line of its own below the key, or write `[a, b]`"
    ),
    "a: b\n- c": (
        "a.yaml:2:1: a list entry where a key is expected [syntax]\n"
        "    help: indent the list below its key; the key's own line ends with `:`"
    ),
    "- a\nb: c": (
        "a.yaml:2:1: a list entry is expected here, as the lines above are a list [syntax]\n"
        "    help: begin the line with `- `, or indent it so that it belongs to the entry above"
    ),
    ": x": "a.yaml:1:1: the indentation matches nothing above [syntax]\n    help: align the line with the keys it belongs to",
    "a: *.example.com": (
        'a.yaml:1:4: text cannot begin with `*` [syntax]\n    help: put it in quotes: "*.example.com"'
    ),
    "a: @b": 'a.yaml:1:4: text cannot begin with `@` [syntax]\n    help: put it in quotes: "@b"',
    "a: %d items": 'a.yaml:1:4: text cannot begin with `%` [syntax]\n    help: put it in quotes: "%d items"',
    "a: }": "a.yaml:1:4: a value cannot begin with `}` [syntax]\n    help: give the value, or put it in quotes if it is text",
    "a: [": "a.yaml:1:4: the file ends behind this, where a value is expected [syntax]\n    help: give it, and close the brackets that are open",
    "a: [1, 2": "a.yaml:1:4: `[` is never closed [syntax]\n    help: end it with `]`",
    "a: {b: 1\n": "a.yaml:1:4: `{` is never closed [syntax]\n    help: end it with `}`",
    "a: {b: c d: e}": (
        "a.yaml:1:11: `,` or `}` is expected here [syntax]\n"
        "    help: `{` opened at 1:4; put `,` between entries, and text that holds `: ` in quotes"
    ),
    "a: 'x\nb: 1": (
        "a.yaml:1:4: the quote that opens here is never closed [syntax]\n    help: close it; a `'` inside is written twice: `''`"
    ),
    'a: "x\nb: 1': (
        'a.yaml:1:4: the quote that opens here is never closed [syntax]\n    help: close it; a `"` inside is written `\\"`'
    ),
    'a: "\\d+"': (
        "a.yaml:1:5: `\\d` means nothing in double quotes [syntax]\n"
        "    help: write `\\\\d`, or use single quotes, in which a backslash is only itself"
    ),
    'a: "\\ud83d\\ude00"': (
        "a.yaml:1:7: this escape names no character [syntax]\n"
        "    help: write the character itself, or its code with eight digits, as in `\\U0001F600`"
    ),
    "a: |x\n": (
        "a.yaml:1:5: text after `|` or `>` begins on the next line [syntax]\n"
        "    help: move the text down and indent it, or put it in quotes instead"
    ),
    "%FOO\na: 1": "a.yaml:1:5: directives such as `%YAML` are not understood [syntax]\n    help: take the line away",
    "a: !e!x y": (
        "a.yaml:1:4: tags such as `!name` are not understood [syntax]\n"
        "    help: take the tag away; a secret is written `{ env: NAME }`, and text that begins with `!` stands in quotes"
    ),
    "%YAML 1.2\n%YAML 1.2\n---\n": (
        "a.yaml:2:1: found duplicate %YAML directive [syntax]\n    help: check the indentation, the quotes and the brackets here"
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_our_yaml_is_refused_in_plain_words(text: str | bytes):
    assert printed(text) == REFUSED[text]
    assert Document("a.yaml", text).broken


@pytest.mark.parametrize("bracket", ["[", "{a: ", "- ", "[\n", "? "])
def test_a_pile_of_brackets_is_refused_at_the_depth_we_take(bracket: str):
    (problem,) = Document("a.yaml", bracket * 100_000).problems
    assert (problem.rule, problem.message) in [
        ("size", "nested deeper than 40 levels"),
        ("syntax", "a key must be text, not a list or a mapping"),
    ]


def test_the_bounds_are_met_exactly():
    assert Document("a.yaml", "[" * DEEPEST + "]" * DEEPEST).problems == []
    assert printed("[" * (DEEPEST + 1)) == "a.yaml:1:41: nested deeper than 40 levels [size]\n    help: flatten it"
    assert Document("a.yaml", f"[{'1,' * (MOST_NODES - 1)}]").problems == []
    assert printed(f"[{'1,' * MOST_NODES}]") == "a.yaml:1:60000: the file has more than 30,000 values [size]\n    help: split it"
    assert Document("a.yaml", "a: " + "x" * (LARGEST - 3)).problems == []
    assert printed("a: " + "x" * (LARGEST - 2)) == (
        "a.yaml:1:1: the file has more than 1,048,576 bytes [size]\n    help: split it"
    )
    assert Document("a.yaml", "ä" * (LARGEST // 2 + 1)).broken


def test_a_chain_of_merges_is_refused_link_by_link_and_the_list_ends():
    chain = "a0: &a0 {x: 1}\n" + "".join(f"a{i + 1}: &a{i + 1}\n  <<: [*a{i}, *a{i}]\n" for i in range(1000))
    document = Document("a.yaml", chain)
    assert document.broken
    assert len(document.problems) <= MOST_PROBLEMS + 2
    assert {problem.rule for problem in document.problems} == {"alias"}


YAMLISH = st.text(alphabet="ab1 \t\n\r:-?[]{},&*!|>'\"%@`#~.<\\xu0\u2028\x85\ufeff😀\ud800", max_size=60)


@given(st.one_of(st.text(), YAMLISH, st.binary(), YAMLISH.map(lambda text: text.encode("utf-8", "surrogatepass"))))
def test_the_loader_never_raises_and_a_broken_document_says_why(text: str | bytes):
    document = Document("a.yaml", text)
    assert document.broken <= bool(document.problems)
    assert all(problem.line >= 1 and problem.column >= 1 and problem.message for problem in document.problems)


def test_dumped_data_is_what_a_person_would_write():
    data = {
        "title": "Example: one",
        "on": ["on", "010", "1e3", "0o7", "12:30", "null", "", "plain text", "{{ item.x }}", "$.a[*]", "it's"],
        "text": "two\nlines\n",
        "numbers": [1, 1.5, 1e20, 10**30, True, None],
        "nested": [{"a": {}, "b": []}, [["x"]]],
        "long": "word " * 40 + "end",
    }
    assert dump(data) == (
        "title: 'Example: one'\n"
        "'on':\n  - 'on'\n  - '010'\n  - '1e3'\n  - '0o7'\n  - '12:30'\n  - 'null'\n  - ''\n"
        "  - plain text\n  - '{{ item.x }}'\n  - $.a[*]\n  - it's\n"
        "text: |\n  two\n  lines\n"
        f"numbers:\n  - 1\n  - 1.5\n  - 1.0e+20\n  - {10**30}\n  - true\n  - null\n"
        "nested:\n  - a: {}\n    b: []\n  - - - x\n"
        f"long: {'word ' * 40}end\n"
    )


def test_a_value_that_stands_twice_is_dumped_twice():
    shared = {"a": [1]}
    assert dump({"x": shared, "y": shared}) == "x:\n  a:\n    - 1\ny:\n  a:\n    - 1\n"


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | YAMLISH.filter(lambda text: "\ud800" not in text),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=10), PLAIN, max_size=4))
def test_what_is_dumped_reads_back_the_same(data: dict[str, Any]):
    document = Document("a.yaml", dump(data))
    assert (document.data, document.problems) == (data, [])
