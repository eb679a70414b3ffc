"""An event in a sink's words: bodies that are always what they say they are, and nothing an event says leaves its place."""

import gzip
import json
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests_to_sinks import scope, template

from gateway.config.decode import decode
from gateway.config.yaml import Document
from gateway.errors import Unrenderable
from gateway.model import Request
from gateway.stages.render import RequestTemplate, inflate, render

NASTY = 'quote " backslash \\ line\nfeed\ttab \x00nul \u2028 é 🚨 {{ secrets }} ", "evil": "'


def refusal(text):
    document = Document("sink.yaml", text.encode())
    assert decode(document, RequestTemplate) is None
    return [problem.message for problem in document.problems]


def body(text, **event):
    return render(template(text), scope(**event)).content


def fault(text, **event):
    with pytest.raises(Unrenderable) as caught:
        render(template(text), scope(**event))
    return str(caught.value)


@pytest.mark.parametrize(
    "written, wanted",
    [
        ("json: { a: $.source, b: $.summary }", {"b": "it is down"}),
        ("json: { a: [ $.source, $.summary ], b: { c: $.source } }", {"a": ["it is down"], "b": {}}),
        ("json: $.labels", {"team": "x"}),
        ("json: $.nothing", None),
        ("json: { n: $.details.big, f: 1.5, t: true }", {"n": 2**80, "f": 1.5, "t": True}),
        ('json: { s: "{{ event.details.nasty }}" }', {"s": NASTY}),
        ('json: { s: "at {{ event.details.nasty }}" }', {"s": "at " + NASTY}),
    ],
)
def test_a_json_body_is_a_document_with_what_finds_nothing_left_out(written, wanted):
    event = {"labels": {"team": "x"}, "details": {"big": 2**80, "nasty": NASTY}}
    assert json.loads(body(written, **event)) == wanted


def test_a_request_is_all_of_its_parts():
    made = render(template('method: PUT\nquery: { q: "{{ event.summary }}" }\nheaders: { X-Id: $.id }\njson: { a: 1 }'), scope())
    headers = {"X-Id": "e1", "Content-Type": "application/json"}
    assert made == Request(method="PUT", url="https://sink.test/in?q=it+is+down", headers=headers, content=b'{"a":1}')


def test_a_header_or_query_parameter_that_finds_nothing_is_left_out():
    made = render(template("method: GET\nquery: { a: $.source, b: $.id }\nheaders: { X-A: $.source, X-B: $.id }"), scope())
    assert made == Request(method="GET", url="https://sink.test/in?b=e1", headers={"X-B": "e1"})


@pytest.mark.parametrize(
    "written, wanted",
    [
        ("json: { a: 1 }", "application/json"),
        ("form: { a: x }", "application/x-www-form-urlencoded"),
        ("text: hello", "text/plain; charset=utf-8"),
        ("headers: { content-type: text/csv }\ntext: a;b", None),
        ("method: GET", None),
        ("method: POST", "text/plain; charset=utf-8"),
    ],
)
def test_the_content_type_suits_the_body_unless_the_file_names_one(written, wanted):
    assert render(template(written), scope()).headers.get("Content-Type") == wanted


def test_json_form_sorted_is_what_receivers_that_sign_pythons_json_dumps_compute():
    document = {"b": "é", "a": {"d": 1, "c": [1, "x"]}}
    written = "json_form: sorted\njson: { b: é, a: { d: 1, c: [ 1, x ] } }"
    assert body(written) == json.dumps(document, sort_keys=True).encode()


def test_gzip_is_the_same_bytes_every_time_so_that_a_retry_is_signed_alike():
    first, second = (render(template("json: { a: $.summary }\ncompress: gzip"), scope()) for _ in range(2))
    assert first == second
    assert first.headers == {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert gzip.decompress(first.content) == inflate(first) == b'{"a":"it is down"}'


JSON_TEXT = """
headers: { Content-Type: application/json }
text: '{"a": "x {{ event.summary }}", "b": {{ event.details }}{% if event.source %}, "c": "{{ event.source }}"{% endif %}}'
"""


@pytest.mark.parametrize("value", [NASTY, '","x":"', "\\", '"', "\x7f\x1b[31m", "\ud800".encode("utf-16", "surrogatepass").hex()])
def test_text_with_a_json_content_type_is_escaped_whatever_the_summary_holds(value):
    made = body(JSON_TEXT, summary=value, details={"k": [value, 2**80]}, source=value)
    assert json.loads(made) == {"a": f"x {value}", "b": {"k": [value, 2**80]}, "c": value}


def test_text_without_a_json_content_type_is_left_as_it_is():
    assert body('text: "<{{ event.summary }}>"', summary='a "b" <c>') == b'<a "b" <c>>'


@pytest.mark.parametrize("content_type", ["application/vnd.api+json", "application/json; charset=utf-8", "APPLICATION/JSON"])
def test_every_json_content_type_counts(content_type):
    assert body(f"headers: {{ content-type: {content_type} }}\ntext: '\"{{{{ event.summary }}}}\"'", summary='"') == b'"\\""'


def test_a_form_is_flat_and_what_is_no_text_stands_in_it_as_json():
    made = body("form: { text: $.summary, n: 1, t: true, l: $.labels, none: $.source }", labels={"a": "b&c"}, summary="a&b=c d")
    assert parse_qs(made.decode()) == {"text": ["a&b=c d"], "n": ["1"], "t": ["true"], "l": ['{"a":"b&c"}']}


@pytest.mark.parametrize(
    "written, event, message",
    [
        (
            "headers: { content-type: application/json }\ntext: '{\"a\": }'",
            {},
            "request.text: what the template prints is not JSON: Expecting value: line 1 column 7 (char 6)",
        ),
        (
            "headers: { content-type: application/json }\ntext: 'NaN'",
            {},
            "request.text: what the template prints is not JSON: NaN is no number there",
        ),
        ("text: 'at {{ event.source }}'", {}, "request.text: at {{ event.source }}: event.source finds nothing"),
        ("json: { a: 'at {{ event.source }}' }", {}, "request.json: at {{ event.source }}: event.source finds nothing"),
        (
            "url: https://a.test/{{ event.source }}",
            {},
            "request.url: https://a.test/{{ event.source }}: event.source finds nothing",
        ),
        ("form: $.summary", {}, "request.form: a mapping is wanted"),
        (
            "headers: { X-A: $.summary }",
            {"summary": "a\r\nX-Evil: 1"},
            "request.headers.X-A: a header cannot hold '\\r', only printable ASCII",
        ),
        (
            "headers: { X-A: $.summary }",
            {"summary": "a\0b"},
            "request.headers.X-A: a header cannot hold '\\x00', only printable ASCII",
        ),
        (
            "headers: { X-A: $.summary }",
            {"summary": "dé"},
            "request.headers.X-A: a header cannot hold '\\xe9', only printable ASCII",
        ),
        (
            "headers: { X-A: $.summary }",
            {"summary": "x" * 5000},
            "request.headers.X-A: 5000 characters are too many; 4096 are allowed",
        ),
    ],
)
def test_what_cannot_be_said_is_refused_with_the_key_at_fault(written, event, message):
    assert fault(written, **event) == message


@pytest.mark.parametrize(
    "url, event, wanted",
    [
        ("https://a.test/{{ event.id }}/x", {"id": "../../admin?x=1#y"}, "https://a.test/..%2F..%2Fadmin%3Fx%3D1%23y/x"),
        ("https://a.test/?q={{ event.id }}", {"id": "1&admin=true#é"}, "https://a.test/?q=1%26admin%3Dtrue%23%C3%A9"),
        ("{{ vars.url }}/{{ event.id }}", {"id": "@evil.test:80/"}, "https://v.test/base/%40evil.test%3A80%2F"),
        ("{{ vars.url }}/{{ event.labels['a/b'] }}", {"labels": {"a/b": "c/d"}}, "https://v.test/base/c%2Fd"),
        (
            "https://a.test/?{% for name in event.labels %}{{ name }}={{ event.labels[name] }}&{% endfor %}",
            {"labels": {"a&b": "c"}},
            "https://a.test/?a%26b=c&",
        ),
        ("{{ vars['url'] }}/x", {}, "https://v.test/base/x"),
        ("https://a.test/{{ event.id | upper }}", {"id": "é/x"}, "https://a.test/%C3%89%2FX"),
        ("https://a.test/{{ event.id | urlencode }}", {"id": "a/b"}, "https://a.test/a%2Fb"),
        ("https://a.test/{{ event.id | urldecode }}", {"id": "a%2Fb"}, "https://a.test/a%2Fb"),
        ("https://a.test/{{- event.source or event.id -}}/x", {"id": "a/b"}, "https://a.test/a%2Fb/x"),
        ("https://a.test/{{ '}}' ~ event.id }}", {"id": "/"}, "https://a.test/%7D%7D%2F"),
        (
            "https://a.test/?j={{ event.labels | json }}",
            {"labels": {"a&b": "c"}},
            "https://a.test/?j=%7B%22a%26b%22%3A%22c%22%7D",
        ),
        ("https://a.test/{{ event.details.n }}", {"details": {"n": 7}}, "https://a.test/7"),
        ("https://a.test/{{ vars.path }}/{{ 'a/b' }}", {}, "https://a.test/p/q/a/b"),
    ],
)
def test_what_an_event_gives_to_an_address_fills_one_segment_or_one_value(url, event, wanted):
    assert render(template(f'url: "{url}"'), scope(**event)).url == wanted


def test_a_function_in_an_address_sees_what_the_same_function_in_the_body_sees():
    request = "url: https://a.test/{{ event.id | hash }}\njson: '{{ event.id | hash }}'"
    made = render(template(request), scope(id="a/b é"))
    assert made.url == f"https://a.test/{json.loads(made.content)}"


@pytest.mark.parametrize("value", ["..", "."])
def test_a_segment_that_would_lead_elsewhere_is_refused(value):
    message = "request.url: a segment of its path is `.` or `..`, which leads elsewhere"
    assert fault("url: https://a.test/issues/{{ event.id }}/comments", id=value) == message


@pytest.mark.parametrize(
    "value", ["ftp://a.test", "a.test/x", "https://", "https://a b.test/", "http://[::1", "https://a.test/\nx"]
)
def test_an_address_that_is_none_is_refused_without_showing_it(value):
    with pytest.raises(Unrenderable) as caught:
        render(template('url: "{{ vars.url }}"'), scope() | {"vars": {"url": value}})
    assert str(caught.value) == "request.url: this is no address that anything can be sent to"


@pytest.mark.parametrize(
    "host", ["event-intake.site.test", "my.event", "a-event.test", "{{ vars.event }}.test", "event-{{ vars.url }}"]
)
def test_a_host_of_ours_may_have_any_name(host):
    assert template(f'url: "https://{host}/in"').url.text == f"https://{host}/in"


HOST = "the host cannot come from `event`; keep it in `vars`, and put a slash before what comes from an event"


@pytest.mark.parametrize(
    "written, message",
    [
        ("url: $.url", "'$.url' does not begin with https://, http:// or a variable such as {{ vars.url }}"),
        ("url: sink.test/x", "'sink.test/x' does not begin with https://, http:// or a variable such as {{ vars.url }}"),
        ('url: "{{ event.url }}"', HOST),
        ('url: "https://{{ event.id }}/x"', HOST),
        ('url: "https://{{ event.id }}.sink.test/x"', HOST),
        ('url: "https://sink.test{{ event.id }}/x"', HOST),
        ('url: "https://sink-{{event}}.test/x"', HOST),
        ('url: "https://{{-event-}}.test/x"', HOST),
        ("url: \"https://{{ event['id'] }}.test/x\"", HOST),
        ('url: "{{ vars.url }}{{ event.id }}"', HOST),
        ('url: "https://sink.test{% if event.id %}.evil.test{% endif %}/"', HOST),
        ("url: \"{{ '}}' ~ event.id }}/x\"", HOST),
        (
            'url: "https://a.test"\ntext: a\njson: b',
            "a request has one body: give one of json, form, text, text_file and function",
        ),
        (
            "url: https://a.test\nfunction: mine.body",
            "write `package.module:name`, such as `our_formats:ticket`",
        ),
        (
            "url: https://a.test\nheaders: { X-A: a, x-a: b }",
            "x-a is given twice; capitals make no difference in a header's name",
        ),
        ('url: https://a.test\nheaders: { "X A": a }', "'X A' is no header's name"),
        ("url: https://a.test\nheaders: { HOST: a }", "HOST is set by the gateway itself"),
        (
            "url: https://a.test\ncompress: gzip\nheaders: { content-encoding: br }",
            "content-encoding is set by `compress`; take it away",
        ),
        (
            'url: https://a.test\nheaders: { Content-Type: application/json }\ntext: \'{"a": "{{ event.id }}}\'',
            "the template ends inside quotes, so it is no JSON",
        ),
        (
            'url: https://a.test\ntext: a\nheaders: { Content-Type: "{{ vars.type }}" }',
            "write Content-Type out; how `text` is escaped depends on it",
        ),
    ],
)
def test_a_request_that_could_never_be_right_is_refused_when_the_file_loads(written, message):
    assert refusal(written) == [message]


@given(st.text(min_size=1))
def test_whatever_an_event_says_bodies_stay_valid_and_addresses_keep_their_shape(text):
    assert json.loads(body(JSON_TEXT, summary=text, details=text, source=text)) == {"a": f"x {text}", "b": text, "c": text}
    assert json.loads(body('json: { a: "x {{ event.summary }}" }', summary=text)) == {"a": f"x {text}"}
    assert parse_qs(body("form: { a: $.summary }", summary=text).decode()) == {"a": [text]}
    if text not in (".", ".."):
        parts = urlsplit(render(template("url: 'https://a.test/{{ event.id }}/x?q={{ event.id }}'"), scope(id=text)).url)
        segments = [unquote(segment) for segment in parts.path.split("/")]
        assert (parts.netloc, segments, parse_qs(parts.query), parts.fragment) == ("a.test", ["", text, "x"], {"q": [text]}, "")


@given(st.text(st.characters(categories=["Cc", "Cf", "L", "Zs", "P"])))
def test_whatever_an_event_says_a_header_is_one_line_of_ascii_or_none(text):
    try:
        value = render(template("headers: { X-A: $.summary }"), scope(summary=text)).headers.get("X-A", "")
    except Unrenderable:
        return
    assert value == text.strip()
    assert all(letter == "\t" or " " <= letter <= "~" for letter in value)
