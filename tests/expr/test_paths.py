"""JSONPath: what is accepted gives exactly RFC 9535's answer; the referee is the package jsonpath-rfc9535. The rest is refused."""

import jsonpath_rfc9535
import pytest
from saying import said

from gateway.expr import Inbound, Path

STORE = {
    "a": [1, 2, {"b": None, "c": "x"}, [3, [4]]],
    "b": {"c": [{"d": 1}, {"d": 2.0}, {"d": "x"}, {"d": None}, {"d": False}, {}], "e": {}},
    "status": "firing",
    "x y": 1,
    "é": 2,
    "it's": 3,
    'q"': 4,
    "": 8,
    "1": 9,
    "*": 10,
    "values": [5],
    "items": {"keys": 6},
}
AWKWARD = {"back\\slash": 1, "tab\t": 2, "nul\x00": 3, "line\n": 4, "\x1f": 5, "\x7f": 6, "\u2028": 7, "'": 8, "\b\f\r": [9]}
DOCUMENTS = [STORE, AWKWARD, [STORE, [1, 2, 3], "text"], "text", 5, None, [], {}, {"a": {"a": {"a": [{"a": 1}]}}}]

ACCEPTED = """
    $  $.a  $.status  $.nothing  $.values  $.items.keys  $.a.length  $.true  $.null  $.in  $.and  $.not  $.len  $.parent  $.this
    $.a[0]  $.a[-1]  $.a[5]  $.a[-9]  $.a[0,0]  $.a[-1,0]  $.a[*]  $.*  $[*]  $.a.*  $.*.*  $[0]  $[-1]
    $.a[0:2]  $.a[1:]  $.a[:-1]  $.a[:]  $.a[::]  $.a[-2:]  $.a[::2]  $.a[::-1]  $.a[2:0:-1]  $.a[0:0]  $.a[::0]  $.a[9007199254740991]
    $['a']  $["a"]  $['a','b']  $['b','a','b']  $['é']  $["it's"]  $['q"']  $['']  $['1']  $['*']  $['$']  $['@']  $['a.b']
    $..a  $..d  $..*  $..[*]  $..[0]  $..[-1]  $..['d']  $..['c','d']  $..[0,1]  $..a..a  $..a.a  $.b..*  $..*.*  $..[1:]  $..b..d  $..['']
    $.b.c[?@.d]  $.b.c[?!@.d]  $.b.c[?@.d==1]  $.b.c[?@.d!=1]  $.b.c[?@.d<2]  $.b.c[?@.d<=2]  $.b.c[?@.d>=1]  $.b.c[?@.d>'a']
    $.b.c[?@.d==null]  $.b.c[?@.d==false]  $.b.c[?@.d==true]  $.b.c[?@.d<=null]  $.b.c[?@.d=="x"]  $.b.c[?@.d==1.0]  $.b.c[?(@.d==1)]
    $.b.c[?@.d==1||@.d=='x']  $.b.c[?@.d>0&&@.d<2]  $.b.c[?@.d=='x'||@.d==1&&@.d==2]  $.b.c[?(@.d==1||@.d==2)&&@.d!=1]
    $.b.c[?@['d']==2]  $.a[?@==1]  $.a[?@==-0]  $.a[?@[0]==3]  $.a[?@[1][0]==4]  $.a[?@.c=='x'].c  $[?@.c]  $[?@.e]  $..[?@.d]  $..[?@.d==1]
    $.a[?@.b==null].c  $.a[?@.nothing==null]  $.*[?@.d]  $[?@[0]==1]  $.b.c[?@.d=='$']  $.b.c[?@.d=='@.d']  $.a[?@=='1']
""".split()  # noqa: SIM905 - a list of a hundred quoted paths is hard to read
SPACED = [
    "$['x y']",
    "$[ 'a' ]",
    "$[ 'a' , 'b' ]",
    "$.a[ 0 , 1 ]",
    "$.a[ 0 : 2 ]",
    "$.b.c[ ? @.d == 1 && @.d < 2 ]",
    "$.b.c[?( @.d == 1 )]",
    "$[\t'a'\n]",
]


def referee(path, document):
    return [(node.path(), node.value) for node in jsonpath_rfc9535.find(path, document)]


@pytest.mark.parametrize("path", ACCEPTED + SPACED)
def test_an_accepted_path_finds_what_rfc_9535_says_where_it_says_and_in_its_order(path):
    for document in DOCUMENTS:
        found = Path.read(path).located(document)
        assert repr(found) == repr(referee(path, document))  # by repr, as 1 == 1.0 == True
        assert [value for _, value in found] == Path.read(path)(document)


@pytest.mark.parametrize("path", [path for path in ACCEPTED + SPACED if path != "$"])
def test_as_an_expression_a_path_gives_the_first_that_is_found(path):
    for document in DOCUMENTS:
        first = next((value for _, value in referee(path, document)), None)
        assert repr(Inbound.read(path)({"item": document})) == repr(None if first == "" else first)


def test_a_test_without_a_comparison_asks_whether_there_is_a_value_and_not_which():
    """RFC 9535, 2.3.5.2.1. (Of a lone `@` the referee asks for a true value: it is not asked here.)"""
    assert Path.read("$[?@]")([None, False, 0, "", [], {}]) == [None, False, 0, "", [], {}]
    assert Path.read("$[?!@]")([None, False, 0, "", [], {}]) == []


def test_a_place_is_written_as_a_normalized_path():
    document = {"it's": [{"back\\": {"\x00\t\n\u2028é": 1}}]}
    assert Path.read("$..*").located(document)[-1] == (r"$['it\'s'][0]['back\\']['\u0000\t\n" + "\u2028é']", 1)


WRONG = "is no JSONPath of RFC 9535 that the gateway understands: it goes wrong at"
QUOTES = "stands in brackets and quotes"
REFUSED = {
    # what jsonpath-ng takes and the RFC does not
    "$.a + 1": f"$.a + 1 {WRONG} ' + 1'",
    "$.a * 99999999999": f"$.a * 99999999999 {WRONG} ' * 99999999999'",
    "$.a[0] - $.a[1]": f"$.a[0] - $.a[1] {WRONG} ' - $.a[1]'",
    "$.`this`": f"$.`this` {WRONG} '.`this`'",
    "$.a.`len`": f"$.a.`len` {WRONG} '.`len`'",
    "$.a.`parent`": f"$.a.`parent` {WRONG} '.`parent`'",
    "$.a.`sub(/x/, y)`": f"$.a.`sub(/x/, y)` {WRONG} '.`sub(/x/, y)`'",
    "$.a.`split(x, 0, -1)`": f"$.a.`split(x, 0, -1)` {WRONG} '.`split(x, 0, -1)`'",
    "$.a.`str()`": f"$.a.`str()` {WRONG} '.`str()`'",
    "$.a[\\b]": "$.a[\\b]: an escape in a quoted name is not supported; use the other kind of quote",
    "$.a[/b]": f"$.a[/b] {WRONG} '[/b]'",
    "$.a|b": f"$.a|b {WRONG} '|b'",
    "$.a&b": "$.a&b: the name a&b stands in brackets and quotes: ['a&b']",
    "$.a where b": f"$.a where b {WRONG} ' where b'",
    "$.a[b]": f"$.a[b] {WRONG} '[b]'",
    "$.a,b": "$.a,b: the name a,b stands in brackets and quotes: ['a,b']",
    "$.a[?@.c=~'x']": "$.a[?@.c=~'x']: `=~` is not in RFC 9535; use the `capture` or `matches` function",
    "$.a[?@.c=='x' & @.b]": f"$.a[?@.c=='x' & @.b] {WRONG} \"[?@.c=='x' & @.b]\"",
    "$.a[?c=='x']": f"$.a[?c=='x'] {WRONG} \"[?c=='x']\"",
    "$.a[?@.c]['`len`'": f"$.a[?@.c]['`len`' {WRONG} \"['`len`'\"",
    "$.where": "$.where: Parse error at 1:2 near token where (WHERE); such a name stands in brackets and quotes: ['where']",
    # what the RFC has and jsonpath-ng reads wrongly, or not at all
    r"$['it\'s']": r"$['it\'s']: an escape in a quoted name is not supported; use the other kind of quote",
    r'$["\u00e9"]': r'$["\u00e9"]: an escape in a quoted name is not supported; use the other kind of quote',
    "$.é": f"$.é: the name é {QUOTES}: ['é']",
    "$.a[?length(@.b)==1]": f"$.a[?length(@.b)==1] {WRONG} '[?length(@.b)==1]'",
    "$.a[?@.d==1e3]": f"$.a[?@.d==1e3] {WRONG} '[?@.d==1e3]'",
    "$.a[?1==@.d]": f"$.a[?1==@.d] {WRONG} '[?1==@.d]'",
    "$.a[?@.b==$.status]": f"$.a[?@.b==$.status] {WRONG} '[?@.b==$.status]'",
    "$[0,'a']": f"$[0,'a'] {WRONG} \"[0,'a']\"",
    "$ .a": f"$ .a {WRONG} ' .a'",
    # what nobody takes
    "$.": f"$. {WRONG} '.'",
    "$..": f"$.. {WRONG} '..'",
    "$...a": f"$...a {WRONG} '...a'",
    "$a": f"$a {WRONG} 'a'",
    "$.a[": f"$.a[ {WRONG} '['",
    "$.a[]": f"$.a[] {WRONG} '[]'",
    "$.a[01]": f"$.a[01] {WRONG} '[01]'",
    "$.a[-0]": f"$.a[-0] {WRONG} '[-0]'",
    "$.a[1": f"$.a[1 {WRONG} '[1'",
    "$['a": f"$['a {WRONG} \"['a\"",
    "$.'a'": "$.'a': a quoted name stands in brackets: ['name']",
    "$.a-b": f"$.a-b: the name a-b {QUOTES}: ['a-b']",
    "$.labels.k8s-app": f"$.labels.k8s-app: the name k8s-app {QUOTES}: ['k8s-app']",
    "$.@type": f"$.@type: the name @type {QUOTES}: ['@type']",
    "$.1": f"$.1: the name 1 {QUOTES}: ['1']",
    "$.a ": f"$.a  {WRONG} ' '",
    "$.a[9007199254740992]": "$.a[9007199254740992]: a number is larger than RFC 9535 allows, which is 9007199254740991",
    "$.a[::9007199254740992]": "$.a[::9007199254740992]: a number is larger than RFC 9535 allows, which is 9007199254740991",
    "$" + ".a" * 256: "a path of 513 characters is too long; 512 are allowed",
}


@pytest.mark.parametrize("path", REFUSED)
def test_a_refused_path_says_which_part_and_why(path):
    assert said(Path.read, path) == REFUSED[path]


@pytest.mark.parametrize(
    "data, message", [("status", "'status' is no JSONPath; it begins with $"), (5, "5 is no JSONPath; it begins with $")]
)
def test_a_bare_word_is_no_path(data, message):
    assert said(Path.read, data) == message


def test_a_descent_into_a_huge_payload_is_stopped():
    assert (
        said(Inbound.read("$..nothing"), {"item": [[]] * 20_000})
        == "$..nothing: a descent (`..`) visits more than 10000 values; name the way instead"
    )


def test_names_that_multiply_what_is_found_are_stopped():
    assert said(Path.read("$" + "['a','a','a','a']" * 15), _chain(15)) == "the path finds more than 100000 values on its way"


def test_what_is_found_is_bounded():
    assert len(Path.read("$[*]")([0] * 100_000)) == 100_000
    assert said(Path.read("$[*]"), [0] * 100_001) == "the path finds more than 100000 values"
    assert said(Path.read("$[*]").located, [0] * 100_001) == "the path finds more than 100000 values"


def test_a_filter_that_is_tried_too_often_is_stopped():
    path = Path.read("$[?@.a || @.b]")
    assert path([{"a": 1}] * 25_000) == [{"a": 1}] * 25_000
    assert said(path, [{"a": 1}] * 25_001) == "a filter (`[?…]`) does more than 50000 comparisons; name the way instead"


def test_a_descent_into_a_deep_payload_costs_no_more_than_its_depth():
    assert [value for _, value in Path.read("$..b").located(_chain(5_000))] == []


def _chain(depth):
    document = {}
    for _ in range(depth):
        document = {"a": document}
    return document
