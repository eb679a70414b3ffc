"""Bytes to plain data: every shape of body that the field sends, and every way a sender gets it wrong."""

import gzip
from datetime import UTC, datetime
from urllib.parse import urlencode

import msgspec
import pytest
from msgspec.structs import replace

from gateway.errors import Undecodable, Unmappable
from gateway.expr import Inbound
from gateway.model import Webhook
from gateway.stages.decode import DEEPEST, MOST_FIELDS, MOST_PAYLOADS, Decoding, decode
from gateway.values import Size

JSON, FORM, TEXT = "application/json", "application/x-www-form-urlencoded", "text/plain"
PARTS = "multipart/form-data; boundary=b"
GZIP = {"content-encoding": "gzip"}
FROM_MESSAGE = "{{ payload.Message | from_json(otherwise=payload.Message) }}"


def webhook(body=b"", type=JSON, headers=(), **more):
    content = body.encode() if isinstance(body, str) else body
    headers = ({"content-type": type} if type else {}) | dict(headers)
    return Webhook(id="w", provider="p", received_at=datetime(2026, 1, 1, tzinfo=UTC), body=content, headers=headers, **more)


def decoding(**keys):
    unwrap = keys.pop("unwrap", None)
    return Decoding(unwrap=Inbound.read(unwrap) if unwrap else None, **keys)


def payloads(body, type=JSON, headers=(), method="POST", query=None, repeated=(), **keys):
    sent = webhook(body, type, headers, method=method, query=query or {}, repeated=frozenset(repeated))
    return [scope["payload"] for scope in decode(decoding(**keys), sent)]


def part(name, content, more=""):
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{content}\r\n'


def nested(levels, inside=""):
    return "[" * levels + inside + "]" * levels


GOOD = [
    ("an object", '{"a": [1, 2.5, true, null, "ä"]}', {}, [{"a": [1, 2.5, True, None, "ä"]}]),
    ("an integer of thirty digits", '{"id": 123456789012345678901234567890}', {}, [{"id": 123456789012345678901234567890}]),
    ("a negative one beyond 64 bits", "[-9223372036854775809]", {}, [[-9223372036854775809]]),
    ("the same where it is read leniently", '["a\nb",98765432109876543210]', {"lenient": True}, [["a\nb", 98765432109876543210]]),
    ("the last of two equal keys", '{"a": 1, "a": 2}', {}, [{"a": 2}]),
    ("a byte order mark", b'\xef\xbb\xbf{"a": 1}', {}, [{"a": 1}]),
    ("a bare number", "7", {}, [7]),
    ("a bare text", '"x"', {}, ["x"]),
    ("null", " null\n", {}, [None]),
    ("a NUL in a text", '"a\\u0000b"', {}, ["a\0b"]),
    ("a lone surrogate", '{"\\ud83d": "x\\udc00y"}', {}, [{"\ufffd": "x\ufffdy"}]),
    ("a surrogate pair beside a lone one", '["\\ud83d\\ude00\\ud83d"]', {}, [["😀\ufffd"]]),
    ("a backslash before what only looks like a surrogate", '["\\\\ud800", "\\ud800"]', {}, [["\\ud800", "\ufffd"]]),
    ("a hundred levels", nested(DEEPEST), {}, [msgspec.json.decode(nested(DEEPEST))]),
    ("JSON that says it is text (SNS)", '{"a": 1}', {"type": "text/plain; charset=UTF-8"}, [{"a": 1}]),
    ("JSON of a structured type", '{"a": 1}', {"type": "application/cloudevents+json", "format": "auto"}, [{"a": 1}]),
    ("JSON without a type", '{"a": 1}', {"type": "", "format": "auto"}, [{"a": 1}]),
    ("JSON that claims to be a form, where JSON is expected", '{"a": 1}', {"type": FORM}, [{"a": 1}]),
    ("raw line breaks and tabs in a text", '{"a": "x\ny\tz\r"}', {"lenient": True}, [{"a": "x\ny\tz\r"}]),
    ("a form", "a=1&b=x+y%C3%A4&c=", {"type": FORM, "format": "form"}, [{"a": "1", "b": "x yä", "c": ""}]),
    ("the first of two equal fields", "a=1&a=2", {"type": FORM, "format": "auto"}, [{"a": "1"}]),
    ("an empty form", "", {"type": FORM, "format": "form"}, [{}]),
    ("the most fields", "a=1&" * (MOST_FIELDS - 1) + "z=1", {"type": FORM, "format": "form"}, [{"a": "1", "z": "1"}]),
    ("a form with parts", part("data", "{}") + "--b--\r\n", {"type": PARTS, "format": "multipart"}, [{"data": "{}"}]),
    ("the same by its type", part("d", "ä\r\n") + part("d", "2") + "--b--", {"type": PARTS, "format": "auto"}, [{"d": "ä\r\n"}]),
    ("no file of a form", part("f", "x", '; filename="f"') + "--b--", {"type": PARTS, "format": "multipart"}, [{}]),
    ("the other encoding of a form", "a=1", {"type": FORM, "format": "multipart"}, [{"a": "1"}]),
    ("text", "down: db-1\n", {"type": TEXT, "format": "text"}, ["down: db-1\n"]),
    ("an empty text", "", {"type": "", "format": "text"}, [""]),
    ("the query, by GET", "not looked at", {"method": "GET", "query": {"msg": "down"}}, [{"msg": "down"}]),
    ("the query, by OPTIONS", "", {"method": "OPTIONS"}, [{}]),
    (
        "a value left empty, where it is read leniently",
        '{"a":, "b": ,"c":\n}',
        {"lenient": True},
        [{"a": None, "b": None, "c": None}],
    ),
    ("the same inside a text", '{"a":":,", "b":"\\":}"}', {"lenient": True}, [{"a": ":,", "b": '":}'}]),
    ("JSON that a library posts under a form's name", ' {"a": 1}', {"type": FORM, "format": "auto"}, [{"a": 1}]),
    ("a form that begins as JSON does", "[0][a]=x&b=1", {"type": FORM, "format": "auto"}, [{"[0][a]": "x", "b": "1"}]),
    ("JSON, where anything is taken", '{"a": 1}', {"type": "text/plain", "format": "any"}, [{"a": 1}]),
    ("text, where anything is taken", "disk is full", {"type": "text/plain", "format": "any"}, ["disk is full"]),
    ("XML, where anything is taken", "<a/>", {"type": "application/xml", "format": "any"}, ["<a/>"]),
    ("a form, where anything is taken", "a=1", {"type": FORM, "format": "any"}, [{"a": "1"}]),
    ("JSON that broke off, where anything is taken", '{"a": ', {"format": "any"}, ['{"a": ']),
    ("the query, where anything is taken and there is nothing", "", {"format": "any", "query": {"a": "1"}}, [{"a": "1"}]),
    ("the query, where a body may be anything and is nothing", "", {"format": "auto", "query": {"a": "1"}}, [{"a": "1"}]),
]


@pytest.mark.parametrize(("body", "how", "expected"), [case[1:] for case in GOOD], ids=[case[0] for case in GOOD])
def test_a_body_becomes_a_payload(body, how, expected):
    assert payloads(body, **how) == expected


def test_a_scope_has_the_names_that_the_language_promises():
    sent = replace(webhook('{"a": 1}', query={"q": "1"}), rest="/team//a b/")
    scope = {"payload": {"a": 1}, "envelope": {"a": 1}, "item": {"a": 1}, "headers": sent.headers, "query": {"q": "1"}}
    assert decode(Decoding(), sent) == [
        scope | {"method": "POST", "path": "$", "received_at": "2026-01-01T00:00:00.000Z", "segments": ["team", "a b"]}
    ]


MANY = [
    ("objects glued together", '{"a":1}{"a":2}', [{"a": 1}, {"a": 2}]),
    ("objects with commas between them", '{"a":1},\n{"a":2},', [{"a": 1}, {"a": 2}]),
    ("an object on each line", '{"a":1}\n\n{"a":2}\r\n', [{"a": 1}, {"a": 2}]),
    ("a list at the root", '[{"a":1},{"a":2}]', [{"a": 1}, {"a": 2}]),
    ("an empty list", "[]", []),
    ("a single object", '{"a":[1,2]}', [{"a": [1, 2]}]),
    ("lists on lines", "[1]\n[2]", [[1], [2]]),
    ("lone surrogates", '"\\ud800" "\\ud800"', ["\ufffd", "\ufffd"]),
]


@pytest.mark.parametrize(("body", "expected"), [case[1:] for case in MANY], ids=[case[0] for case in MANY])
def test_many_payloads_come_in_one_body(body, expected):
    assert payloads(body, many=True) == expected


WRONG = [
    ("empty", "", {}, 400, "the body is not JSON: it is empty"),
    ("blank", " \r\n", {"many": True}, 400, "the body is not JSON: it is empty"),
    ("only a byte order mark", b"\xef\xbb\xbf", {}, 400, "the body is not JSON: it is empty"),
    ("cut off", '{"a": 1', {}, 400, "the body is not JSON: Input data was truncated"),
    ("followed by something", '{"a": 1}}', {}, 400, "the body is not JSON: trailing characters (byte 9), at '{\"a\": 1}}>>>'"),
    ("two objects", "{}{}", {}, 400, "the body is not JSON: trailing characters (byte 3), at '{}{>>>}'"),
    ("UTF-16", '{"a": 1}'.encode("utf-16"), {}, 400, "the body is not JSON: it is UTF-16; JSON is sent in UTF-8"),
    ("Latin-1", b'{"a": "\xe4"}', {}, 400, "the body is not JSON: it is not UTF-8"),
    ("Latin-1, many", b'{"a": "\xe4"}{}', {"many": True}, 400, "the body is not JSON: it is not UTF-8"),
    ("a value left empty", '{"a":,"b":1}', {}, 400, 'the body is not JSON: invalid character (byte 5), at \'{"a":>>>,"b":1}\''),
    (
        "far inside",
        '{"a": "' + "x" * 50 + '", b: "\x1b[31m' + "y" * 50 + '"}',
        {},
        400,
        "the body is not JSON: object keys must be strings (byte 60), at 'xxxxxxxxxxxxxxxxx\", >>>b: \"\\\\u001b[31myyyyyyyyyyy'",
    ),
    ("a raw line break", '{"a": "x\ny"}', {}, 400, 'the body is not JSON: invalid character (byte 8), at \'{"a": "x>>>\\ny"}\''),
    ("NaN", '{"a": NaN}', {}, 400, "the body is not JSON: invalid character (byte 6), at '{\"a\": >>>NaN}'"),
    ("NaN, leniently", '{"a": NaN, "b": "\n"}', {"lenient": True}, 400, "the body is not JSON: NaN is no JSON"),
    ("-Infinity, many", "{} -Infinity", {"many": True}, 400, "the body is not JSON: -Infinity is no JSON"),
    ("a number past all floats", '{"a": 1e999}', {}, 400, "the body is not JSON: Number out of range - at `$[...]`"),
    ("the same beside a lone surrogate", '["\\ud800", -1e999]', {}, 400, "the body is not JSON: Number out of range - at `$[1]`"),
    ("the same, leniently", '["\n", 1e999]', {"lenient": True}, 400, "the body is not JSON: Number out of range"),
    ("an integer of 5000 digits", "1" * 5000, {}, 400, "the body is not JSON: Integer value out of range"),
    ("too deep", nested(DEEPEST + 1), {}, 400, "the body is nested deeper than 100 levels"),
    ("too deep with something at its bottom", nested(DEEPEST + 1, "1"), {}, 400, "the body is nested deeper than 100 levels"),
    ("absurdly deep", "[" * 100_000, {}, 400, "the body is nested deeper than 100 levels"),
    ("absurdly deep, leniently", '["\n",' + "[" * 100_000, {"lenient": True}, 400, "the body is nested deeper than 100 levels"),
    ("absurdly deep, many", "{}" + "[" * 100_000, {"many": True}, 400, "the body is nested deeper than 100 levels"),
    (
        "something between many",
        "{}x{}",
        {"many": True},
        400,
        "the body is not JSON: Expecting value: line 1 column 3 (char 2), at '{}>>>x{}'",
    ),
    ("too many", "{}" * (MOST_PAYLOADS + 1), {"many": True}, 413, "the body holds more than 10000 payloads"),
    ("too many in a list", f"[{'1,' * MOST_PAYLOADS}1]", {"many": True}, 413, "the body holds more than 10000 payloads"),
    ("too large", "x" * 101, {"limit": Size(100)}, 413, "the body has more than 100 bytes"),
    ("a form for JSON", "a=1", {"type": FORM}, 415, f"JSON is expected here, and a body of the type '{FORM}' came"),
    ("XML", "<a/>", {"type": "text/xml"}, 415, "JSON is expected here, and a body of the type 'text/xml' came"),
    (
        "XML for whatever comes",
        "<a/>",
        {"type": "Text/XML; charset=x", "format": "auto"},
        415,
        "JSON or a form is expected here, and a body of the type 'text/xml' came",
    ),
    ("JSON for a form", "{}", {"format": "form"}, 415, f"a form is expected here, and a body of the type '{JSON}' came"),
    ("Latin-1 in a form", "a=%E4", {"type": FORM, "format": "form"}, 400, "the body is not a form: it is not UTF-8"),
    ("too many fields", "&" * MOST_FIELDS, {"type": FORM, "format": "form"}, 413, "the form has more than 1000 fields"),
    (
        "no boundary",
        "x",
        {"type": "multipart/form-data", "format": "multipart"},
        415,
        "multipart/form-data with a boundary is expected here, and a body of the type 'multipart/form-data' came",
    ),
    (
        "no type at all",
        "x",
        {"type": "", "format": "multipart"},
        415,
        "multipart/form-data with a boundary is expected here, and the Content-Type is missing",
    ),
    (
        "parts that are cut off",
        part("a", "1"),
        {"type": PARTS, "format": "multipart"},
        400,
        "the body is not multipart/form-data, or a field of it is not UTF-8",
    ),
    (
        "too many parts",
        part("a", "1") * (MOST_FIELDS + 1) + "--b--",
        {"type": PARTS, "format": "multipart"},
        413,
        "the form has more than 1000 fields, or one with a long head",
    ),
    ("text in Latin-1", b"\xe4", {"type": TEXT, "format": "text"}, 400, "the body is not UTF-8 text"),
]


@pytest.mark.parametrize(("body", "how", "status", "message"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_a_body_that_is_not_what_the_file_says_is_refused_with_the_reason(body, how, status, message):
    with pytest.raises(Undecodable) as refusal:
        payloads(body, **how)
    assert (refusal.value.http_status, str(refusal.value)) == (status, message)


def zipped(size):
    return gzip.compress(b'"' + b"a" * (size - 2) + b'"')


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", " GZIP "])
def test_a_gzip_body_may_be_as_large_as_the_limit_once_it_is_decompressed(encoding):
    assert payloads(zipped(10_000), headers={"content-encoding": encoding}, limit=Size(10_000)) == ["a" * 9_998]


def test_a_body_that_says_it_is_not_encoded_is_taken_as_it_is():
    assert payloads("1", headers={"content-encoding": "identity"}) == [1]


ENCODED = [
    ("a bomb", zipped(200 * 2**20), GZIP, (), 413, "the body has more than 1048576 bytes once it is decompressed"),
    ("one byte too many", zipped(2**20 + 1), GZIP, (), 413, "the body has more than 1048576 bytes once it is decompressed"),
    ("cut off", zipped(99)[:-1], GZIP, (), 400, "the gzip body is cut off or has something behind its end"),
    ("trailing bytes", zipped(99) + b"\0", GZIP, (), 400, "the gzip body is cut off or has something behind its end"),
    ("two members", zipped(9) + zipped(9), GZIP, (), 400, "the gzip body is cut off or has something behind its end"),
    ("nothing at all", b"", GZIP, (), 400, "the gzip body is cut off or has something behind its end"),
    ("plain JSON", b"{}", GZIP, (), 400, "the body says it is gzip, and is not"),
    ("a wrong checksum", zipped(99)[:-8] + b"\0" * 8, GZIP, (), 400, "the body says it is gzip, and is not"),
    (
        "another encoding",
        b"",
        {"content-encoding": "br"},
        (),
        415,
        "the content encoding 'br' is not understood; send gzip or none",
    ),
    (
        "gzip in gzip",
        gzip.compress(zipped(9)),
        {"content-encoding": "gzip, gzip"},
        (),
        415,
        "the content encoding 'gzip, gzip' is not understood; send gzip or none",
    ),
    (
        "the header twice",
        gzip.compress(zipped(9)),
        GZIP,
        ("content-encoding",),
        415,
        "several content encodings are not understood; send gzip or none",
    ),
]


@pytest.mark.parametrize(
    ("body", "headers", "repeated", "status", "message"), [c[1:] for c in ENCODED], ids=[c[0] for c in ENCODED]
)
def test_a_compressed_body_that_is_not_whole_and_single_is_refused(body, headers, repeated, status, message):
    with pytest.raises(Undecodable) as refusal:
        payloads(body, headers=headers, repeated=repeated)
    assert (refusal.value.http_status, str(refusal.value)) == (status, message)


UNWRAPPED = [
    ("JSON in a text", '{"Message": "{\\"a\\": 1}"}', {"unwrap": FROM_MESSAGE}, {"a": 1}),
    ("a text that is no JSON", '{"Message": "down"}', {"unwrap": FROM_MESSAGE}, "down"),
    ("nothing to unwrap", '{"a": 1}', {"unwrap": "{{ payload.payload | from_json }}"}, {"a": 1}),
    (
        "JSON in a field of a form",
        urlencode({"payload": '{"a": 1}'}),
        {"type": FORM, "format": "auto", "unwrap": "{{ payload.payload | from_json }}"},
        {"a": 1},
    ),
    (
        "JSON in base64",
        '{"message": {"data": "eyJhIjogMX0="}}',
        {"unwrap": "{{ payload.message.data | from_base64 | from_json }}"},
        {"a": 1},
    ),
]


@pytest.mark.parametrize(("body", "how", "inner"), [case[1:] for case in UNWRAPPED], ids=[case[0] for case in UNWRAPPED])
def test_a_payload_is_taken_out_of_its_envelope_and_the_envelope_stays_in_reach(body, how, inner):
    type, how = how.get("type", JSON), {key: value for key, value in how.items() if key != "type"}
    (scope,) = decode(decoding(**how), webhook(body, type))
    outer = {"payload": '{"a": 1}'} if type == FORM else msgspec.json.decode(body)
    assert (scope["payload"], scope["item"], scope["envelope"]) == (inner, inner, outer)


def test_an_envelope_that_cannot_be_opened_is_our_fault():
    with pytest.raises(Unmappable) as error:
        payloads('{"m": "{"}', unwrap="{{ payload.m | from_json }}")
    assert str(error.value) == "body.unwrap: {{ payload.m | from_json }}: '{' is not JSON"


def test_an_envelope_does_not_hide_depth():
    with pytest.raises(Unmappable) as error:
        payloads(msgspec.json.encode({"m": nested(DEEPEST + 1)}), unwrap="{{ payload.m | from_json }}")
    assert str(error.value) == "body.unwrap: what it finds is nested deeper than 100 levels"
