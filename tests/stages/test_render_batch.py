"""Several events in one request: joined, grouped, cut, and never one lost for another's sake."""

import pytest
from msgspec.structs import replace
from requests_to_sinks import scope, template

from gateway.config.decode import decode
from gateway.config.yaml import Document
from gateway.model import Request
from gateway.stages.render import Batch, Parcel, inflate, pack


def packed(request, batch, events):
    """What `pack` makes of these events: bodies with the indices they carry, or an index with its reason."""
    document = Document("sink.yaml", batch.encode())
    limits = decode(document, Batch)
    assert limits is not None, [str(problem) for problem in document.problems]
    made = list(pack(template(request), limits, [scope(**event) for event in events]))
    return [
        (each.request.content.decode(), each.indices) if isinstance(each, Parcel) else (each[0], str(each[1])) for each in made
    ]


ABC = [{"summary": "a"}, {"summary": "b"}, {"summary": "c"}]
ONE = "json: { s: $.summary }"


@pytest.mark.parametrize(
    "batch, wanted",
    [
        ("join: concat", [('{"s":"a"}{"s":"b"}{"s":"c"}', (0, 1, 2))]),
        ("join: lines", [('{"s":"a"}\n{"s":"b"}\n{"s":"c"}\n', (0, 1, 2))]),
        ("join: array", [('[{"s":"a"},{"s":"b"},{"s":"c"}]', (0, 1, 2))]),
        ("{ join: lines, item: [ { create: {} }, $.summary ] }", [('{"create":{}}\n"a"\n{"create":{}}\n"b"\n{"create":{}}\n"c"\n', (0, 1, 2))]),
        ("{ join: array, item: { x: $.summary } }", [('[{"x":"a"},{"x":"b"},{"x":"c"}]', (0, 1, 2))]),
        ("{ join: array, events: 2 }", [('[{"s":"a"},{"s":"b"}]', (0, 1)), ('[{"s":"c"}]', (2,))]),
        ("{ join: array, bytes: 21B }", [('[{"s":"a"},{"s":"b"}]', (0, 1)), ('[{"s":"c"}]', (2,))]),
        ("{ join: array, bytes: 20B }", [('[{"s":"a"}]', (0,)), ('[{"s":"b"}]', (1,)), ('[{"s":"c"}]', (2,))]),
        ("{ join: array, bytes: 1B }", [('[{"s":"a"}]', (0,)), ('[{"s":"b"}]', (1,)), ('[{"s":"c"}]', (2,))]),
    ],
)  # fmt: skip
def test_a_batch_joins_what_each_event_contributes_within_its_limits(batch, wanted):
    assert packed(ONE, batch, ABC) == wanted


LOKI = 'json: { streams: [ { stream: "{{ by }}", values: "{{ items }}" } ] }'


def test_what_differs_in_by_goes_in_a_request_of_its_own_and_nothing_is_lost():
    events = [{"summary": "a"}, {"summary": "b", "severity": "info"}, {"summary": "c"}]
    assert packed(LOKI, "{ by: { level: $.severity }, item: [ $.id, $.summary ] }", events) == [
        ('{"streams":[{"stream":{"level":"error"},"values":[["e1","a"],["e1","c"]]}]}', (0, 2)),
        ('{"streams":[{"stream":{"level":"info"},"values":[["e1","b"]]}]}', (1,)),
    ]


@pytest.mark.parametrize(
    "request_, batch, wanted",
    [
        ('json: { all: "{{ items }}" }', "item: $.summary", [('{"all":["a","b","c"]}', (0, 1, 2))]),
        ("text: '{% for each in items %}{{ each.summary }};{% endfor %}'", "{}", [("a;b;c;", (0, 1, 2))]),
        (
            'json: { all: "{{ items }}" }',
            "{ item: $.summary, bytes: 20B }",
            [('{"all":["a"]}', (0,)), ('{"all":["b","c"]}', (1, 2))],
        ),
    ],
)
def test_a_body_that_mentions_items_is_rendered_once_for_all(request_, batch, wanted):
    assert packed(request_, batch, ABC) == wanted


def test_events_go_together_only_where_address_and_headers_are_the_same():
    events = [{"summary": "a"}, {"summary": "b", "severity": "info"}, {"summary": "c"}]
    request = "url: 'https://a.test/{{ event.severity }}'\njson: $.summary"
    assert packed(request, "join: array", events) == [('["a","c"]', (0, 2)), ('["b"]', (1,))]
    by_header = 'headers: { X-Level: "{{ event.severity }}" }\njson: $.summary'
    assert packed(by_header, "join: array", events) == [('["a","c"]', (0, 2)), ('["b"]', (1,))]


@pytest.mark.parametrize(
    "request_, batch, message",
    [
        ('json: { s: "at {{ event.source }}" }', "join: array", "request.json: at {{ event.source }}: event.source finds nothing"),
        ("json: $.source\nheaders: { X-A: $.source }", "join: array", "request.headers.X-A: a header cannot hold '\\n', only printable ASCII"),
        ("json: x", '{ join: array, item: "at {{ event.source }}" }', "batch.item: at {{ event.source }}: event.source finds nothing"),
        (LOKI, '{ by: "at {{ event.source }}", item: $.source }', "batch.by: at {{ event.source }}: event.source finds nothing"),
    ],
)  # fmt: skip
def test_one_event_that_cannot_be_said_stops_no_other(request_, batch, message):
    poison = {"source": "a\nb"} if "X-A" in request_ else {}
    events = [{"source": "x"}, poison, {"source": "x"}]
    made = packed(request_, batch, events)
    assert made[0] == (1, message)
    assert [indices for _, indices in made[1:]] == [(0, 2)]


def test_an_item_that_spoils_a_body_rendered_for_all_is_found_by_halving():
    request = "text: '{% for each in items %}{{ each.summary }}{{ each.source }};{% endfor %}'"
    events = [{"source": "1"}, {"source": "2"}, {}, {"source": "4"}]
    made = packed(request, "{}", [{"summary": "s"} | event for event in events])
    assert made == [("s1;s2;", (0, 1)), (2, f"request.text: {made[1][1][14:]}"), ("s4;", (3,))]
    assert made[1][1].endswith(": each.source finds nothing")


def test_a_batch_is_compressed_as_a_whole():
    document = Document("sink.yaml", b"join: array")
    (parcel,) = pack(template(f"{ONE}\ncompress: gzip"), decode(document, Batch), [scope(**event) for event in ABC])
    plain = Request(
        method="POST",
        url="https://sink.test/in",
        headers={"Content-Type": "application/json", "Content-Encoding": "gzip"},
        content=b'[{"s":"a"},{"s":"b"},{"s":"c"}]',
    )
    assert replace(parcel.request, content=inflate(parcel.request)) == plain


@pytest.mark.parametrize(
    "request_, batch, kind",
    [
        ("{}", "{ join: array, item: $.summary }", "application/json"),
        ("{}", "{ join: lines, item: $.summary }", "application/x-ndjson"),
        ("headers: { content-type: text/x }", "{ join: array, item: $.summary }", "text/x"),
        ("json: { s: $.summary }", "join: array", "application/json"),
        ("text: x", "join: lines", "text/plain; charset=utf-8"),
    ],
)
def test_what_items_are_joined_to_says_what_it_is_unless_the_file_does(request_, batch, kind):
    limits = decode(Document("sink.yaml", batch.encode()), Batch)
    request = "\n".join(part for part in ("url: https://sink.test/in", request_.replace("{}", "")) if part)
    (parcel,) = pack(template(request), limits, [scope(summary="a")])
    found = [value for name, value in parcel.request.headers.items() if name.lower() == "content-type"]
    assert found == [kind]
