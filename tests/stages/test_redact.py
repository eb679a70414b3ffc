"""What `redact` leaves of a body: all but what is secret, in bytes that decode to the same payloads."""

import gzip
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest

from gateway.errors import Undecodable
from gateway.expr import Path
from gateway.model import Webhook
from gateway.stages.decode import Decoding, decode, redacted

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
PARTS = "multipart/form-data; boundary=b"
PART = '--b\r\nContent-Disposition: form-data; name="t"\r\n\r\ns3cret\r\n--b--'


def webhook(body=b"", type=JSON, headers=(), **more):
    content = body.encode() if isinstance(body, str) else body
    headers = {"content-type": type} | dict(headers)
    return Webhook(id="w", provider="p", received_at=datetime(2026, 1, 1, tzinfo=UTC), body=content, headers=headers, **more)


REDACTIONS = [
    ("a value", '{"user": {"token": "s3cret", "id": 123456789012345678901}}', {}, ["$.user.token"], b'{"user":{"token":"[redacted]","id":123456789012345678901}}'),
    ("all that a path finds", '{"a": [{"t": "s3cret"}, {"t": {"t": "s3cret"}}, {}]}', {}, ["$..t"], b'{"a":[{"t":"[redacted]"},{"t":"[redacted]"},{}]}'),
    ("a value in what is taken out already", '{"a": {"b": "s3cret"}}', {}, ["$.a", "$.a.b"], b'{"a":"[redacted]"}'),
    ("a value that is reached twice", '{"x":{"x":{"y":{"y":"s3cret"}}}}', {}, ["$..x..y"], b'{"x":{"x":{"y":"[redacted]"}}}'),
    ("the whole", '"s3cret"', {}, ["$"], b'"[redacted]"'),
    ("nothing", '{"b": 1e2}', {}, ["$.a.b"], b'{"b":100.0}'),
    ("the first of two equal keys", '{"t": "s3cret", "t": "x"}', {}, ["$.t"], b'{"t":"[redacted]"}'),
    ("in each of many", '{"t":"s3cret"}\n{"t":"s3cret"}', {"many": True}, ["$.t"], b'[{"t":"[redacted]"},{"t":"[redacted]"}]'),
    ("in the one of many", '{"t":"s3cret"}', {"many": True}, ["$.t"], b'[{"t":"[redacted]"}]'),
    ("in none of many", "[]", {"many": True}, ["$.t"], b"[]"),
    ("in lists of many", '["s3cret"][["s3cret"]]', {"many": True}, ["$[*]"], b'[["[redacted]"],["[redacted]"]]'),
    ("in lenient JSON", '{"t":"s3\ncret","u":"\n"}', {"lenient": True}, ["$.t"], b'{"t":"[redacted]","u":"\\n"}'),
    ("a field of a form", "t=s3cret&a=x+y&t=s3cret", {"format": "auto", "type": FORM}, ["$.t"], b"t=%5Bredacted%5D&a=x+y"),
    ("the same, many", "t=s3cret", {"format": "auto", "type": FORM, "many": True}, ["$.t"], b"t=%5Bredacted%5D"),
    ("a field in parts", PART, {"format": "multipart", "type": PARTS}, ["$.t"], b"t=%5Bredacted%5D"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "how", "paths", "stored"), [case[1:] for case in REDACTIONS], ids=[case[0] for case in REDACTIONS]
)
def test_what_is_redacted_is_gone_from_the_body_which_still_decodes_to_the_rest(body, how, paths, stored):
    how = dict(how)
    type = how.pop("type", JSON)
    paths = [Path.read(path) for path in paths]
    after = redacted(Decoding(**how), paths, (), webhook(body, type))
    assert after.body == stored
    assert "s3cret" not in repr(after)
    assert redacted(Decoding(**how), paths, (), after) == after
    assert len(decode(Decoding(**how), after)) == len(decode(Decoding(**how), webhook(body, type)))


def test_a_compressed_body_is_stored_plain_once_something_is_redacted():
    sent = webhook(gzip.compress(b'{"t":"s3cret","a":1}'), headers={"content-encoding": "gzip", "content-length": "99"})
    assert redacted(Decoding(), [Path.read("$.t")], (), sent) == webhook('{"t":"[redacted]","a":1}')


@pytest.mark.parametrize(("method", "format"), [("GET", "json"), ("POST", "auto")])
def test_a_query_that_is_the_payload_is_redacted_and_the_body_beside_it_is_not_kept(method, format):
    sent = webhook(b"s3cret" if method == "GET" else b"", query={"t": "s3cret", "a": "1"}, method=method)
    after = redacted(Decoding(format=format), [Path.read("$.t")], (), sent)
    assert after == webhook(query={"t": "[redacted]", "a": "1"}, method=method)


def test_a_field_of_a_form_is_redacted_by_its_name_whatever_that_holds():
    sent = webhook(urlencode({'it\'s "one"': "s3cret", "a": "1"}), FORM)
    after = redacted(Decoding(format="form"), [], {'it\'s "one"', "b"}, sent)
    assert after.body == urlencode({'it\'s "one"': "[redacted]", "a": "1"}).encode()


def test_without_anything_to_redact_the_bytes_stay_as_they_came():
    sent = webhook(b"\xff not even JSON")
    assert redacted(Decoding(), [], (), sent) is sent


def test_a_body_too_large_to_be_redacted_is_refused_rather_than_stored():
    with pytest.raises(Undecodable) as refusal:
        redacted(Decoding(), [Path.read("$..t")], (), webhook(f"[{'1,' * 20_000}1]"))
    message = "this body is too large to be redacted: a descent (`..`) visits more than 10000 values; name the way instead"
    assert (refusal.value.http_status, str(refusal.value)) == (413, message)
