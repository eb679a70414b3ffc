"""What the sender hears, and which pages may be visited for it."""

import re
from datetime import UTC, datetime

import pytest

from gateway.errors import Undecodable, Undelivered
from gateway.expr import ExpressionError, Inbound, ReplyDocument, Replying
from gateway.model import Receipt, Told, Webhook
from gateway.stages.answer import Answer, Handshake, Host, Reply, Visit, accepted, fill, greet

SCOPE = {
    "payload": {"challenge": "c1", "n": 5, "on": True, "list": ["a", 1], "page": "<script>" + "x" * 2000},
    "headers": {"origin": "a.example\r\nSet-Cookie: x=1", "long": "ä" + "y" * 2000, "nul": "a\0b\x1b[31m"},
    "query": {},
    "method": "POST",
}
RECEIPT = Receipt(webhook_id="w", events=(Told(id="w-0", action="trigger", severity="error", outcome="told", sinks=("a",)),))
DOCUMENT = b'{"webhook_id":"w","events":[{"id":"w-0","action":"trigger","severity":"error","outcome":"told","sinks":["a"]}]}'
TEXT, JSON = {"content-type": "text/plain; charset=utf-8"}, {"content-type": "application/json"}


def whole(message):
    return f"^{re.escape(message)}$"


def reply(text=None, json=None, headers=(), status=200):
    return Reply(
        status=status,
        headers={name: Replying.read(value) for name, value in dict(headers).items()},
        text=None if text is None else Replying.read(text),
        json=None if json is None else ReplyDocument.read(json),
    )


FILLED = [
    (reply(), Answer(200, TEXT, b"")),
    (reply("{{ payload.challenge }}"), Answer(200, TEXT, b"c1")),
    (reply("{{ payload.absent }}"), Answer(200, TEXT, b"")),
    (reply("$.n", status=202), Answer(202, TEXT, b"5")),
    (reply("$.on"), Answer(200, TEXT, b"true")),
    (reply("$.list"), Answer(200, TEXT, b'["a",1]')),
    (reply("$.page"), Answer(200, TEXT, b"<script>" + b"x" * 1016)),
    (reply(json={"challenge": "$.challenge", "x": "$.absent"}), Answer(200, JSON, b'{"challenge":"c1"}')),
    (reply(json="$.list"), Answer(200, JSON, b'["a",1]')),
    (reply("ok", headers={"X-N": "$.n"}), Answer(200, {"x-n": "5"} | TEXT, b"ok")),
    (reply("", headers={"A": "{{ headers.origin }}"}), Answer(200, {"a": "a.example Set-Cookie: x=1"} | TEXT, b"")),
    (reply("", headers={"A": "{{ headers.nul }}"}), Answer(200, {"a": "a b [31m"} | TEXT, b"")),
    (reply("", headers={"A": "{{ headers.long }}"}), Answer(200, {"a": "y" * 1024} | TEXT, b"")),
    (reply("", headers={"A": "{{ headers.absent }}"}), Answer(200, {"a": ""} | TEXT, b"")),
    (reply("no content", headers={"A": "b"}, status=204), Answer(204, {"a": "b"}, b"")),
]


@pytest.mark.parametrize(("made", "answer"), FILLED)
def test_an_answer_is_plain_text_or_json_and_what_it_echoes_is_short_and_on_one_line(made, answer):
    assert fill(made, SCOPE) == answer


@pytest.mark.parametrize("made", [reply("is {{ payload.absent }}"), reply("", headers={"A": "is {{ payload.absent }}"})])
def test_a_message_that_lacks_what_its_answer_needs_is_refused(made):
    with pytest.raises(Undecodable) as refusal:
        fill(made, SCOPE)
    message = "this message lacks what its answer needs: is {{ payload.absent }}: payload.absent finds nothing"
    assert (refusal.value.http_status, refusal.value.reason, str(refusal.value)) == (400, "reply", message)


ACCEPTED = [
    (None, Answer(202, JSON, DOCUMENT)),
    (reply(status=200), Answer(200, JSON, DOCUMENT)),
    (reply(headers={"X": "y"}), Answer(200, {"x": "y"} | JSON, DOCUMENT)),
    (reply(status=204), Answer(204, {}, b"")),
    (reply("ok {{ receipt.webhook_id }}"), Answer(200, TEXT, b"ok w")),
    (reply(json={"events": "{{ receipt.events | length }}"}), Answer(200, JSON, b'{"events":1}')),
    (reply("is {{ payload.absent }}"), Answer(200, JSON, DOCUMENT)),  # it is on disk: it must not be sent again for this
]


@pytest.mark.parametrize(("made", "answer"), ACCEPTED)
def test_what_was_accepted_is_answered_with_what_was_made_of_it_or_the_files_own_reply(made, answer):
    assert accepted(made, SCOPE, RECEIPT) == answer


def handshake(when, **more):
    return Handshake(when=Inbound.read(when), **more)


def webhook(method):
    return Webhook(id="w", provider="p", received_at=datetime(2026, 1, 1, tzinfo=UTC), method=method)


EARLY, LATE = handshake("{{ payload.challenge }}", before_auth=True), handshake("{{ payload.n == 5 }}")


@pytest.mark.parametrize(
    ("method", "verified", "found"),
    [
        ("GET", False, EARLY),
        ("OPTIONS", False, EARLY),
        ("POST", False, None),
        ("PUT", False, None),
        ("POST", True, LATE),
        ("GET", True, LATE),
    ],
)
def test_before_the_sender_is_verified_only_get_and_options_are_answered(method, verified, found):
    assert greet([handshake("{{ payload.absent }}"), LATE, EARLY], webhook(method), SCOPE, verified=verified) is found


def test_a_handshake_that_cannot_be_told_is_none_to_strangers_and_a_fault_to_the_verified():
    broken = [EARLY, handshake("x{{ payload.absent }}", before_auth=True)][::-1]
    assert greet(broken, webhook("GET"), SCOPE, verified=False) is EARLY
    with pytest.raises(ExpressionError) as error:
        greet(broken, webhook("GET"), SCOPE, verified=True)
    assert str(error.value) == "handshake[0].when: x{{ payload.absent }}: payload.absent finds nothing"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: reply("a", json={}), "give either text or json"),
        (
            lambda: reply(status=302),
            "status: 302 is not a success; a reply answers what was accepted, with 200 to 299",
        ),
        (lambda: reply("a", headers={"Content-Type": "text/html"}), "headers: Content-Type is set by the gateway; take it away"),
        (lambda: reply("a", headers={"X y": "z"}), "headers: 'X y' is no name of a header (RFC 9110)"),
        (
            lambda: handshake("$.a", before_auth=True, visit=Visit(url=Inbound.read("$.u"), hosts=[Host.read("a.test")])),
            "a visit needs a verified sender; take before_auth away",
        ),
    ],
)
def test_an_answer_that_would_be_wrong_is_refused_when_the_file_loads(make, message):
    with pytest.raises(ValueError, match=whole(message)):
        make()


PAGES = Visit(url=Inbound.read("$.url"), hosts=[Host.read("sns.*.amazonaws.com"), Host.read("confirm.example")])


@pytest.mark.parametrize(
    "url",
    [
        "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=a%20b",
        "https://SNS.eu-west-1.Amazonaws.com:443/",
        "https://confirm.example",
    ],
)
def test_a_page_on_an_allowed_host_may_be_visited(url):
    assert PAGES.address({"item": {"url": url}}) == url


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        5,
        "confirm.example/",
        "http://confirm.example/",
        "https://confirm.example:8443/",
        "https://user@confirm.example/",
        "https://evil.test\\@confirm.example/",
        "https://confirm.example\\.evil.test/",
        "https://confirm.example\t/",
        "https://confirm.example /",
        "https://confirm.example./",
        "https://sns.eu-west-1.amazonaws.com.evil.test/",
        "https://sns.bucket.s3.amazonaws.com/",
        "https://sns..amazonaws.com/",
        "https://evil.test/sns.eu-west-1.amazonaws.com",
        "https://evil.test#confirm.example",
        "https://[::1/",
        "https://[::1]/",
        "https://confirm.example:x/",
        "https://\uff43onfirm.example/",
        "https://confirm.example/" + "a" * 2048,
    ],
)
def test_any_other_page_is_not_visited_whatever_it_is_written_like(url):
    with pytest.raises(Undelivered) as refusal:
        PAGES.address({"item": {"url": url}})
    assert (str(refusal.value), refusal.value.retryable) == ("the page to visit is not on an allowed host", False)
