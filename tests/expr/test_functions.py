"""Functions: their docstrings are their documentation, and so are their tests; then the edges, and what `gateway validate` finds."""

import doctest

import pytest
from saying import said

from gateway.expr import Inbound, Outbound
from gateway.expr.functions import FUNCTIONS, codecs, moments, shapes, texts

MODULES = (texts, shapes, moments, codecs)
EXAMPLES = {
    each.name.split(".")[-1]: each for module in MODULES for each in doctest.DocTestFinder().find(module) if each.examples
}


def value(expression, x=None, **scope):
    return Inbound.read(expression)({"item": {"x": x, **scope}, "tables": {"priority": {"Critical": "P1", "info": 5}}})


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_function_is_documented_and_does_what_its_documentation_shows(name):
    assert name in EXAMPLES, f"{name} wants a docstring with an example"
    shown = []
    doctest.DocTestRunner(verbose=False).run(EXAMPLES[name], out=shown.append)
    assert shown == []
    assert FUNCTIONS[name].__doc__.strip().splitlines()[0].endswith(".")


def test_a_function_is_registered_once_under_its_own_name():
    assert {name for name in EXAMPLES if name != "function"} == set(FUNCTIONS)


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"default", "length", "table", "merge"}))
def test_what_is_missing_stays_missing(name):
    arguments = {
        "truncate": "(5)", "replace": "('a', 'b')", "capture": "('a')", "matches": "('a')", "where": "('a', 1)", "merge": "({})", "prefixed": "('a')", "hmac": "('k')", "replace_all": "('a', '')", "pluck": "('a')", "select": "('a')", "reject": "('a')",
    }  # fmt: skip
    assert value(f"{{{{ item.x | {name}{arguments.get(name, '')} }}}}") is None


@pytest.mark.parametrize(
    "expression, x, result",
    [
        # texts
        ("lower", True, "true"), ("upper", ["a"], '["A"]'), ("text", 1.0, "1.0"), ("text", {"a": None}, '{"a":null}'),
        ("trim", "  a \n", "a"), ("trim('-')", "--a-", "a"), ("one_line", "a\r\n\tb\x00\u2028c  d", "a b c d"),
        ("split", "a,, b ,", ["a", "b"]), ("split(' ')", "a  b", ["a", "b"]), ("split", ["a", 1], ["a", 1]), ("split", 5, ["5"]), ("split", ",", []),
        ("replace('a', '')", "banana", "bnn"), ("replace(1, 2)", 111, "222"),
        ("truncate(3)", "abc", "abc"), ("truncate(3)", "abcd", "ab…"), ("truncate(0)", "abc", None), ("truncate(1)", "abc", "…"),
        ("truncate(2, '...')", "abc", "ab"), ("truncate(5, '', 'bytes')", "ääää", "ää"), ("truncate(5, unit='bytes')", "ääää", "ä…"),
        ("truncate(4, '', 'utf16')", "a😀😀", "a😀"), ("truncate(4, '', 'utf16')", "a😀b", "a😀b"), ("truncate(9, '', 'bytes')", "😀" * 9, "😀😀"),
        ("capture('host:([^}]*)')", "{host:a}", "a"), ("capture('(a)|(b)')", "b", "b"), ("capture('x')", "b", None), ("capture('b+')", "abbc", "bb"),
        ("capture('(z)?b')", "b", None), ("matches('^b')", "ab", False), ("matches('(?i)B')", "ab", True), ("matches('5')", 450, True),
        ("strip_markup", "%%%<p>a <b class='x'>c</b></p>%%%", "a c"),
        # shapes
        ("select('^a')", ["ab", "b", 5, None], ["ab"]), ("reject('^a')", ["ab", "b", 5], ["b", 5]), ("select('5')", 450, [450]), ("reject('5')", 450, []),
        ("replace_all('[0-9]+', 'N')", "a1b22", "aNbN"), ("replace_all('x*', '-')", "ab", "-a-b-"), ("replace_all('a', '')", "aa", None), ("replace_all('(a)', '\\\\1')", "a", "\\1"),
        ("unescape_html", "&lt;b&gt; &#x27;x&#39; &amp;amp;", "<b> 'x' &amp;"),
        ("pluck('a')", [{"a": 1}, {"a": None}, {"b": 2}, "x", {"a": [2]}], [1, [2]]), ("pluck('a')", {"a": 1}, [1]), ("pluck('a')", 5, []),
        ("first", [], None), ("first", {"A": 1}, 1), ("first", {}, None), ("first", "ab", "ab"), ("last", [1, 2], 2), ("last", {"A": 1, "B": 2}, 2),
        ("last", 7, 7), ("join", [], None), ("join", [None, ""], None), ("join('/')", ["a", 1, True, {"b": 1}], 'a/1/true/{"b":1}'), ("join", "ab", "ab"),
        ("pairs", "env:prod", {"env": "prod"}), ("pairs('=')", ["a=b=c", " d = e "], {"a": "b=c", "d": "e"}), ("pairs", [], {}), ("pairs", 5, {}),
        ("pairs", [{"key": "a", "value": 1}, {"tag": "b", "value": None}, {"x": 1}], {"a": 1, "b": None}), ("pairs", [["a", 1], ["b"], [1, 2, 3]], {"a": 1}),
        ("pairs", [{"name": "a", "value": 1, "other": 2}, 5, None, ["k", "v"]], {"a": 1, "k": "v"}),
        ("where('a', 1)", [{"a": 1}, {"a": 2}, 5, {}], [{"a": 1}]), ("where('a', 1)", {"a": 1}, [{"a": 1}]), ("where('a', 1)", "x", []),
        ("keys", {"a": 1, "b": 2}, ["a", "b"]), ("values", {"a": [1]}, [[1]]), ("merge({'a': 2})", {"a": 1, "b": 1}, {"a": 2, "b": 1}),
        ("merge(item.gone)", {"a": 1}, {"a": 1}), ("prefixed('A.')", {"A.a": 1, "B": 2}, {"a": 1}), ("without('a', 'z')", {"a": 1, "b": 2}, {"b": 2}),
        ("length", None, 0), ("length", "äö", 2), ("length", [1], 1), ("length", {"a": 1}, 1), ("length", 1234, 4), ("length", "", 0),
        ("default('d')", None, "d"), ("default('d')", "", "d"), ("default('d')", 0, 0), ("default('d')", False, False), ("default('d')", [], []),
        ("table('priority')", "CRITICAL", "P1"), ("table('priority')", "info", 5), ("table('priority', 'P9')", "x", "P9"),
        ("table('priority', default=1)", None, 1),
        # codecs
        ("number", "42", 42), ("number", " -1.5 ", -1.5), ("number", "1e3", 1000.0), ("number", ".5", 0.5), ("number", 7, 7), ("number", "+3", 3),
        ("number", "123456789012345678901234567890", 123456789012345678901234567890),
        ("json", {"a": [1, None, "ä", True]}, '{"a":[1,null,"ä",true]}'), ("json", 2**70, str(2**70)), ("json_text", 'a"\n', 'a\\"\\n'),
        ("from_json", '{"a": 1}', {"a": 1}), ("from_json", {"a": 1}, {"a": 1}), ("from_json(otherwise=item.x)", "plain", "plain"), ("from_json", "12345678901234567890123", 12345678901234567890123),
        ("base64", "ä", "w6Q="), ("base64", 1, "MQ=="), ("from_base64", "w6Q=", "ä"), ("from_base64", "w6\nQ", "ä"), ("from_base64 | from_json", "eyJhIjoxfQ==", {"a": 1}),
        ("urlencode", "a b/c?d=ä&", "a%20b%2Fc%3Fd%3D%C3%A4%26"), ("urldecode", "a%20b+c", "a b+c"), ("urldecode", "%zz%", "%zz%"),
        ("hash", "a", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"), ("hash", {"b": 1, "a": {"d": 1, "c": 2}}, "b6cb1b7b79793877cd08cdf90d45801fe9e7b1deb2e0738b2b72024e339a277c"),
        ("escape_html", "<a href='x'>&", "&lt;a href=&#x27;x&#x27;&gt;&amp;"), ("escape_mrkdwn", '<@U1> & "x"', '&lt;@U1&gt; &amp; "x"'),
        ("escape_markdown", "[a](b) `c` <@1> *d*_e_", r"\[a\]\(b\) \`c\` \<@1\> \*d\*\_e\_"),
        # moments
        ("time", "", None), ("time", 0, None), ("time(digits=0)", "2023-06-12T08:24:38.9Z", "2023-06-12T08:24:38Z"), ("time(digits=6)", 1686558278, "2023-06-12T08:24:38.000000Z"),
        ("time(digits=3)", "2023-06-12T08:24:38.326999999Z", "2023-06-12T08:24:38.326Z"), ("time(zone=item.gone)", "2023-06-12 08:24:38", "2023-06-12T08:24:38Z"),
        ("time('%d.%m.%Y', 'Europe/Berlin')", "12.06.2023", "2023-06-11T22:00:00Z"), ("epoch_ns | text", 1686558278, "1686558278000000000"),
    ],
)  # fmt: skip
def test_the_edges_of_a_function(expression, x, result):
    found = value(f"{{{{ item.x | {expression} }}}}", x)
    assert (found, type(found)) == (result, type(result))


LONG = "x" * 1_100_000


@pytest.mark.parametrize(
    "expression, x, message",
    [
        ("number", "1_000", "'1_000' is no number"), ("number", "nan", "'nan' is no number"), ("number", "1e999", "'1e999' is no number"),
        ("number", "\u0661", "'\u0661' is no number"), ("number", True, "'true' is no number"), ("number", "0x1", "'0x1' is no number"),
        ("number", "9" * 5000, f"'{'9' * 80}' is no number"),
        ("from_json", "plain", "'plain' is not JSON"), ("from_json", "[" * 100_000, f"'{'[' * 80}' is nested too deeply"),
        ("from_json", '{"a": NaN}', "'{\"a\": NaN}' is not JSON"), ("from_base64", "ä", "'ä' is not text in base64"),
        ("from_base64", "_-8=", "'_-8=' is not text in base64"), ("from_base64", "/w==", "'/w==' is not text in base64"),
        ("merge(item.y)", {"a": 1}, "merge: a mapping is wanted, and 'y' was given"), ("merge({})", [1], "merge: a mapping is wanted, and '[1]' was given"),
        ("keys", "a", "keys: a mapping is wanted, and 'a' was given"), ("values", [1], "values: a mapping is wanted, and '[1]' was given"),
        ("prefixed('a')", 5, "prefixed: a mapping is wanted, and '5' was given"), ("without('a')", True, "without: a mapping is wanted, and 'true' was given"),
        ("table('priority')", "x", "table 'priority' has no row for 'x'"), ("table('priority')", None, "table 'priority' has no row for nothing"),
        ("table('other')", "x", "table: there is no table 'other'; there are priority"),
        ("epoch", "", None), ("epoch_s", "0", "'0' says that no time is set"), ("epoch", "x", "'x' is no time that we know; give its `format`"),
        ("time(zone=item.y)", "2023-06-12 08:24:38", "time: there is no time zone 'y'; write it like Europe/Berlin or +02:00"),
        ("truncate(item.y)", "abc", "truncate: `length` is a whole number, and 'y' was given"), ("truncate(item.n)", "abc", "truncate: -1 is not between 0 and 1048576"),
        ("trim(item.signs)", "abc", "trim: 101 characters are too many; 100 are allowed"),
        ("truncate(item.gone)", "abc", "truncate: `length` finds nothing"), ("truncate(2, unit=item.y)", "abc", "truncate: 'y' is not one of characters, bytes, utf16"),
        ("replace(item.gone, 'a')", "abc", "replace: `old` finds nothing"), ("split(item.gone)", "abc", "split: `separator` finds nothing"),
        ("urlencode", "\ud800", "a text holds half a character (a lone surrogate) and cannot be written"),
        ("json", ["\ud800"], "a text holds half a character (a lone surrogate) and cannot be written"),
        ("hash", "\ud800", "a text holds half a character (a lone surrogate) and cannot be written"),
        ("text", LONG, "text: the result is larger than 1048576"), ("upper", LONG, "upper: the result is larger than 1048576"),
        ("json", LONG, "json: the result is larger than 1048576"), ("split", ",".join("a" * 1_050_000), "split: the result is larger than 1048576"),
        ("urlencode", LONG, "urlencode: the result is larger than 1048576"),
        ("urlencode", " " * 400_000, "urlencode: the result is larger than 1048576"), ("join(item.long)", ["a"] * 30, "join: the result is larger than 1048576"),
    ],
    ids=lambda each: str(each)[:30],
)  # fmt: skip
def test_a_function_refuses_in_words(expression, x, message):
    text = f"{{{{ item.x | {expression} }}}}"
    arguments = {"y": "y", "n": -1, "long": "y" * 50_000, "signs": "y" * 101}
    if message is None:
        assert value(text, x, **arguments) is None
    else:
        assert said(lambda: value(text, x, **arguments)) == f"{text}: {message}"


@pytest.mark.parametrize(
    "expression, message",
    [
        ("capture('(')", "capture: '(' is not a regular expression (RE2): missing ): ("),
        ("matches('a(?=b)')", "matches: 'a(?=b)' is not a regular expression (RE2): invalid perl operator: (?="),
        ("matches(pattern='[')", "matches: '[' is not a regular expression (RE2): missing ]: ["),
        (
            "matches('a{400}')",
            ("matches: 'a{400}' is too large: it compiles to 404 steps, and 300 are allowed; "
            "write fewer or smaller repetitions such as {9}"),
        ),
        ("capture(item.pattern)", "capture: `pattern` is written out, in quotes; it cannot come from a payload"),
        ("matches('a' ~ item.y)", "matches: `pattern` is written out, in quotes; it cannot come from a payload"),
        ("matches('a' | upper)", "matches: `pattern` is written out, in quotes; it cannot come from a payload"),
        ("capture", "capture: missing a required argument: 'pattern'; it is written capture(pattern)"),
        ("capture('a', 1)", "capture: too many positional arguments; it is written capture(pattern)"),
        ("upper(1)", "upper: too many positional arguments; it is written upper"),
        ("truncate", "truncate: missing a required argument: 'length'; it is written truncate(length, mark='…', unit='characters')"),
        ("truncate('5')", "truncate: `length` is a whole number, and '5' was given"),
        ("truncate(true)", "truncate: `length` is a whole number, and 'true' was given"),
        ("truncate(-1)", "truncate: -1 is not between 0 and 1048576"),
        ("truncate(5, unit='byte')", "truncate: 'byte' is not one of characters, bytes, utf16"),
        ("truncate(5, unti='bytes')", "truncate: got an unexpected keyword argument 'unti'; it is written truncate(length, mark='…', unit='characters')"),
        ("truncate(none)", "truncate: `length` finds nothing"),
        ("time('%Q')", "time: '%Q' is no time format: 'Q' is a bad directive in format '%Q'"),
        ("time(item.format)", "time: `format` is written out, in quotes; it cannot come from a payload"),
        ("time(zone='Mars/Olympus')", "time: there is no time zone 'Mars/Olympus'; write it like Europe/Berlin or +02:00"),
        ("time(digits=10)", "time: 10 is not between 0 and 9"),
        ("split('')", "split: an empty text separates nothing"),
        ("replace('', 'a')", "replace: an empty text separates nothing"),
        ("pairs('')", "pairs: an empty text separates nothing"),
        ("table(item.y)", "table: `name` is written out, in quotes; it cannot come from a payload"),
        ("table", "table: missing a required argument: 'name'; it is written table(name, default=None)"),
        ("uper", "there is no function 'uper'; did you mean 'upper'?"),
    ],
)  # fmt: skip
def test_a_wrong_argument_in_a_file_is_found_when_it_loads(expression, message):
    for kind in (Inbound, Outbound):
        for text in ("{{{{ item.x | {} }}}}", "a {{{{ item.x | {} }}}}", "{{% if item.x | {} %}}a{{% endif %}}"):
            assert said(kind.read, text.format(expression)) == message
