"""What holds for every body: a sender's bytes never trip us up, nothing is lost on the way in, and what is redacted is gone."""

import gzip
import json
from datetime import UTC, datetime

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Undecodable, Unmappable
from gateway.expr import Inbound, InboundDocument, Path
from gateway.model import Event, Webhook
from gateway.stages.decode import DEEPEST, Decoding, decode, redacted
from gateway.stages.mapping import Fields, Reading, read_events
from gateway.stages.words import ActionLookup, SeverityLookup

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CANARY = "CANARY-5f1d"
TYPES = [
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
    "multipart/form-data",
    "text/xml",
    "",
]
SCRAPS = [b'{"a":', b"[", b"]", b"}", b'"', b"\\ud800", b"\\u", b"\xff", b"\xef\xbb\xbf", b"1e999", b"-", b"NaN", b",", b"\n", b"&", b"=", b"%",
          b"--b", b"\r\n", b'Content-Disposition: form-data; name="t"', b"--b--", b"\x1f\x8b", b"\0"]  # fmt: skip

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**18, 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=20
)
objects = st.dictionaries(texts, values, max_size=3)
secretive = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts | st.just("token"), inner, max_size=3),
    max_leaves=15,
)
bodies = st.binary(max_size=60) | st.lists(st.sampled_from(SCRAPS) | st.binary(max_size=5), max_size=30).map(b"".join)
FORMATS = [("json", False), ("json", True), ("form", False), ("multipart", False), ("text", False)]
FORMATS += [("auto", False), ("auto", True), ("any", False), ("any", True)]
decodings = st.builds(
    lambda kind, **more: Decoding(format=kind[0], lenient=kind[1], **more),
    kind=st.sampled_from(FORMATS),
    many=st.booleans(),
    unwrap=st.sampled_from([None, Inbound.read("{{ payload.a | from_json(otherwise=1) }}"), Inbound.read("$.a")]),
)
READING = Reading(
    missing=["^null$"],
    events=Path.read("$..*"),
    map=Fields(
        action=ActionLookup(from_=Inbound.read("$"), table={"4..": "resolve"}, absent="notice", default="trigger"),
        dedup_key=Inbound.read("{{ item | hash }}"),
        severity=SeverityLookup(default="info"),
        summary=Inbound.read("{{ path }}"),
        occurred_at=Inbound.read("$"),
        labels=InboundDocument.read({"item": "$"}),
        details=InboundDocument.read("$"),
    ),
)


def hide(value):
    """The value with a canary under every key `token`."""
    if isinstance(value, list):
        return [hide(each) for each in value]
    return (
        {key: [CANARY, hide(each)] if key == "token" else hide(each) for key, each in value.items()}
        if isinstance(value, dict)
        else value
    )


def blacken(value):
    """What is to be left of it."""
    if isinstance(value, list):
        return [blacken(each) for each in value]
    return (
        {key: "[redacted]" if key == "token" else blacken(each) for key, each in value.items()}
        if isinstance(value, dict)
        else value
    )


def webhook(body, type="application/json", **headers):
    named = {"content-type": type, **{name.replace("_", "-"): text for name, text in headers.items()}}
    return Webhook(id="w", provider="p", received_at=NOW, body=body, headers=named)


def payloads(how, sent):
    return [scope["payload"] for scope in decode(how, sent)]


def tried(how, sent):
    """The scopes, or the refusal."""
    try:
        return [READING.filled(scope) for scope in decode(how, sent)], ""
    except (Undecodable, Unmappable) as error:
        return [], str(error)


@given(bodies, decodings, st.sampled_from(TYPES), st.sampled_from(["identity", "gzip", "br"]), st.booleans())
def test_no_bytes_trip_us_up_and_what_comes_out_can_be_stored(body, how, type, encoding, compress):
    sent = webhook(gzip.compress(body) if compress else body, type, content_encoding=encoding)
    scopes, refusal = tried(how, sent)
    assert len(refusal) < 300
    mapped = read_events(READING, sent, scopes)
    again = msgspec.json.decode(msgspec.json.encode(mapped.events), type=tuple[Event, ...])
    assert again == mapped.events == read_events(READING, sent, scopes).events


@given(values, st.booleans(), st.booleans())
def test_every_json_value_comes_in_exactly_as_it_was_sent(value, ascii, lenient):
    body = json.dumps(value, ensure_ascii=ascii).encode()
    assert payloads(Decoding(lenient=lenient), webhook(body)) == [value]
    assert payloads(Decoding(lenient=lenient), webhook(gzip.compress(body), content_encoding="gzip")) == [value]


@given(st.lists(objects, max_size=5), st.sampled_from(["", "\n", " \r\n", ",", "\n\n,"]))
def test_many_payloads_are_the_same_however_they_are_strung_together(several, between):
    how = Decoding(many=True)
    assert payloads(how, webhook(json.dumps(several).encode())) == several
    if several:
        assert payloads(how, webhook(between.join(map(json.dumps, several)).encode())) == several


@given(st.integers(1, 2 * DEEPEST), st.booleans(), st.booleans())
def test_a_body_is_refused_from_the_same_depth_on_however_it_is_read(depth, many, lenient):
    body = b'{"a":' * (depth - 1) + b'["\\ud800"]' + b"}" * (depth - 1)
    _, refusal = tried(Decoding(many=many, lenient=lenient), webhook(body))
    assert refusal == ("the body is nested deeper than 100 levels" if depth > DEEPEST else "")


@given(secretive, st.booleans())
def test_what_is_redacted_is_gone_and_all_else_is_as_it_was(value, many):
    how, paths, sent = Decoding(many=many), [Path.read("$..token")], webhook(json.dumps(hide(value)).encode())
    after = redacted(how, paths, (), sent)
    assert CANARY.encode() not in after.body
    assert payloads(how, after) == [blacken(each) for each in payloads(how, sent)]
    assert redacted(how, paths, (), after) == after
