"""Bringing deliveries to a sink, once: whole results, through the real client over a scripted transport and a clock."""

import anyio
import httpx2
import pytest
from msgspec.structs import replace
from trips import BATCH, DOOR, NOW, Receiver, answering, brought, delivery, outcome, sink

from gateway.config.decode import decode
from gateway.config.schema import Sink
from gateway.config.yaml import Document
from gateway.courier import patience, visit
from gateway.errors import Undelivered
from gateway.expr import Inbound
from gateway.model import Attempt
from gateway.outbound import Client
from gateway.stages.answer import Host, Visit
from gateway.store import Result


def test_a_delivery_that_is_taken():
    receiver = Receiver(answering(200, text="thanks"), takes=0.25)
    one = delivery()
    attempt = Attempt(number=1, at=NOW, seconds=0.25, verdict="delivered", status=200, excerpt="thanks")
    assert brought(DOOR, [one], receiver) == [Result(delivery=one, attempt=attempt, state="delivered", verdict="answered 200")]
    assert receiver.bodies == ["s1"]


def test_a_delivery_that_is_tried_again_later():
    one = delivery()
    attempt = Attempt(number=1, at=NOW, seconds=0.0, verdict="retry", status=503, excerpt="busy", error="answered 503")
    result = Result(delivery=one, attempt=attempt, state="pending", due_at=NOW + 3.75, verdict="answered 503")
    assert brought(DOOR, [one], Receiver(answering(503, text="busy"))) == [result]


def test_what_cannot_be_rendered_is_dead_and_nothing_is_sent():
    receiver = Receiver(answering(200))
    one = delivery()
    reason = "render: request.json: at {{ event.source }}: event.source finds nothing"
    attempt = Attempt(number=1, at=NOW, seconds=0.0, verdict="dead", error=reason)
    text = 'title: T\nrequest: { url: https://sink.test/in, json: "at {{ event.source }}" }'
    assert brought(text, [one], receiver) == [Result(delivery=one, attempt=attempt, state="dead", verdict=reason)]
    assert receiver.requests == []


@pytest.mark.parametrize(
    "extra, reason",
    [
        ("auth: { scheme: bearer, token: { env: TOKEN } }", "TOKEN is not set"),
        ("sign: { secret: { env: KEY }, signature: { header: X-Sig } }", "KEY is not set"),
        ("tls: { client_cert: { env: CERT } }", "CERT is not set"),
    ],
)
def test_a_secret_that_is_not_set_parks(extra, reason):
    (result,) = brought(DOOR + extra, [delivery()], Receiver(answering(200)))
    attempt = Attempt(number=1, at=NOW, seconds=0.0, verdict="park", error=reason)
    assert result == Result(delivery=delivery(), attempt=attempt, state="parked", verdict=f"{reason}; parked until it is mended")


def test_secrets_are_masked_in_what_is_kept_of_an_answer_and_sent_as_they_are():
    receiver = Receiver(answering(400, text="the token hunter22 is wrong"))
    text = DOOR + "auth: { scheme: bearer, token: { env: TOKEN } }"
    (result,) = brought(text, [delivery()], receiver, {"TOKEN": "hunter22"})
    assert (result.attempt.excerpt, receiver.requests[0].headers["authorization"]) == (
        "the token *** is wrong",
        "Bearer hunter22",
    )


def test_a_fault_of_ours_is_tried_again_and_counted():
    def stumble(body):
        raise KeyError("attackers' text")

    (result,) = brought(DOOR, [delivery()], Receiver(stumble))
    reason = "a fault in the gateway (KeyError); its log has the place"
    attempt = Attempt(number=1, at=NOW, seconds=0.0, verdict="retry", error=reason)
    assert result == Result(delivery=delivery(), attempt=attempt, state="pending", due_at=NOW + 3.75, verdict=reason)


def refusing(*poison, status=400):
    """Takes a batch that has no poison in it."""
    return lambda body: httpx2.Response(status if set(poison) & set(body) else 200)


@pytest.mark.parametrize(
    "answer, wanted, requests",
    [
        (refusing(), [("delivered", 4)] * 4, 1),
        (refusing("s3"), [("delivered", 2)] * 2 + [("dead", 1), ("delivered", 1)], 5),
        (refusing("s3", status=413), [("delivered", 2)] * 2 + [("dead", 1), ("delivered", 1)], 5),
        (refusing("s1", "s2", "s3", "s4"), [("dead", 1)] * 4, 7),
        (refusing("s3", status=503), [("pending", 4)] * 4, 1),
        (refusing("s3", status=401), [("parked", 4)] * 4, 1),
    ],
)
def test_a_batch_that_is_refused_is_halved_until_the_poison_is_alone(answer, wanted, requests):
    receiver = Receiver(answer)
    results = brought(BATCH, [delivery(number) for number in (1, 2, 3, 4)], receiver)
    assert (outcome(results), len(receiver.requests)) == (wanted, requests)
    assert [result.delivery.id for result in results] == ["e1.s", "e2.s", "e3.s", "e4.s"]


def naming(*poison):
    """Takes what stands before the first poison, and says where that is, from 0."""

    def answer(body):
        bad = next((index for index, each in enumerate(body) if each in poison), None)
        return httpx2.Response(200) if bad is None else httpx2.Response(400, json={"bad": bad})

    return answer


def test_a_batch_whose_first_bad_event_is_named_goes_on_behind_it_and_nothing_is_sent_twice():
    receiver = Receiver(naming("s3", "s4", "s8"))
    text = BATCH + "response: { items: { first_bad: $.bad } }\n"
    results = brought(text, [delivery(number) for number in range(1, 9)], receiver)
    states = ["delivered", "delivered", "dead", "dead", "delivered", "delivered", "delivered", "dead"]
    assert [result.state for result in results] == states
    assert [each[0] for each in receiver.bodies] == ["s1", "s4", "s5"]
    assert results[2].verdict == "answered 400; item 2 is bad"


def test_a_batch_of_bad_events_is_named_one_by_one_no_longer_than_its_claim():
    receiver = Receiver(naming(*(f"s{number}" for number in range(1, 9))), takes=10.0)
    text = BATCH + "response: { items: { first_bad: $.bad } }\n"
    results = brought(text, [delivery(number) for number in range(1, 9)], receiver)
    assert [result.state for result in results] == ["dead"] * 5 + ["pending"] * 3
    assert receiver.now - NOW == patience(sink(text))


def test_an_event_of_several_lines_has_no_number_that_could_be_the_first_bad_one():
    """To go by a line's number would call events delivered that were refused."""
    text = DOOR + "batch: { join: lines, item: [ a, b ] }\nresponse: { items: { first_bad: $.bad } }\n"
    document = Document("s.yaml", text.replace(", json: $.summary", "").encode())
    assert decode(document, Sink) is None
    said = "response.items: `first_bad` is the number of an event, and with `batch.item` each has several lines"
    assert [problem.message for problem in document.problems] == [said]


def test_hundreds_of_bad_events_are_named_one_by_one():
    receiver = Receiver(naming(*(f"s{number}" for number in range(1, 601))))
    text = DOOR + "batch: { events: 600, join: array }\nresponse: { items: { first_bad: $.bad } }\n"
    results = brought(text, [delivery(number) for number in range(1, 601)], receiver)
    assert {(result.state, result.verdict) for result in results} == {("dead", "answered 400; item 0 is bad")}
    assert [len(body) for body in receiver.bodies] == list(range(600, 0, -1))


def test_a_batch_of_which_some_was_taken_is_not_halved_where_the_file_says_so():
    receiver = Receiver(answering(400))
    text = BATCH + "response: { rules: [ { when: '{{ response.status == 400 }}', then: dead, halve: false } ] }\n"
    results = brought(text, [delivery(number) for number in (1, 2, 3)], receiver)
    assert (outcome(results), len(receiver.requests)) == ([("dead", 3)] * 3, 1)


def test_an_event_that_cannot_be_rendered_leaves_the_batch_and_the_rest_goes():
    receiver = Receiver(answering(200))
    text = BATCH.replace("$.summary", '"{{ event.source }} is down"')
    results = brought(text, [delivery(1, source="a"), delivery(2), delivery(3, source="c")], receiver)
    assert (outcome(results), receiver.bodies) == (
        [("delivered", 2), ("dead", 1), ("delivered", 2)],
        [["a is down", "c is down"]],
    )


def test_a_slow_receiver_that_refuses_a_batch_cannot_hold_it_longer_than_its_claim():
    """Five tries of ten seconds are the patience for eight: the whole, four, two, one, and one more."""
    receiver = Receiver(answering(413), takes=10.0)
    deliveries = [delivery(number) for number in range(1, 9)]
    results = brought(BATCH, deliveries, receiver)
    assert [len(body) for body in receiver.bodies] == [8, 4, 2, 1, 1]
    assert receiver.now - NOW == patience(sink(BATCH)) == 50.0
    untried = {"attempt": None, "state": "pending", "due_at": NOW + 50.0, "verdict": "not sent yet: the time of its claim was up"}
    assert outcome(results)[:2] == [("dead", 1)] * 2
    assert results[2:] == [Result(delivery=each, **untried) for each in deliveries[2:]]


@pytest.mark.parametrize("events", [1, 2, 3, 100, 500, 1000])
def test_however_large_the_batch_one_delivery_at_least_is_settled_by_each_claim(events):
    text = BATCH.replace("events: 8", f"events: {events}")
    receiver = Receiver(answering(413), takes=10.0)
    results = brought(text, [delivery(number) for number in range(1, events + 1)], receiver)
    assert results[0].state == "dead"
    assert {result.state for result in results[2:]} <= {"pending"}
    assert receiver.now - NOW <= patience(sink(text))


STEPS = """
title: T
steps:
  - name: open
    when: "{{ event.action == 'trigger' and not memory.number }}"
    request: { url: https://sink.test/issues, json: { title: $.summary } }
    remember: { number: $.number }
  - name: label
    when: "{{ event.action == 'trigger' }}"
    request: { url: "https://sink.test/issues/{{ memory.number }}/labels", json: [ $.severity ] }
  - name: close
    when: "{{ event.action == 'resolve' and memory.number }}"
    request: { method: PATCH, url: "https://sink.test/issues/{{ memory.number }}", json: { state: closed } }
"""


def paths(receiver):
    return [f"{request.method} {request.url.path}" for request in receiver.requests]


def test_steps_go_in_order_and_remember_what_later_ones_need():
    receiver = Receiver(answering(201, json={"number": 7}))
    (result,) = brought(STEPS, [delivery()], receiver)
    assert paths(receiver) == ["POST /issues", "POST /issues/7/labels"]
    attempt = Attempt(number=1, at=NOW, seconds=0.0, verdict="delivered", status=201, excerpt='{"number":7}')
    assert result == Result(
        delivery=delivery(),
        attempt=attempt,
        state="delivered",
        verdict="every step was done",
        memory={"number": 7},
        progress={"open": True, ".memory": {"number": 7}, "label": True},
    )


def test_a_failure_between_two_steps_is_resumed_where_it_stopped():
    receiver = Receiver(lambda body: httpx2.Response(503) if isinstance(body, list) else httpx2.Response(201, json={"number": 7}))
    (first,) = brought(STEPS, [delivery()], receiver)
    assert (first.state, first.verdict, first.memory, first.progress) == (
        "pending",
        "step label: answered 503",
        {"number": 7},
        {"open": True, ".memory": {"number": 7}},
    )
    again = Receiver(answering(200))
    (second,) = brought(STEPS, [delivery(memory=first.memory, progress=first.progress)], again)
    assert (second.state, paths(again)) == ("delivered", ["POST /issues/7/labels"])


def test_steps_that_take_too_long_go_on_with_the_next_claim():
    receiver = Receiver(answering(201, json={"number": 7}), takes=100.0)
    (result,) = brought(STEPS, [delivery()], receiver)
    assert paths(receiver) == ["POST /issues"]
    verdict = "not sent yet: the time of its claim was up"
    assert result == Result(
        delivery=delivery(),
        attempt=None,
        state="pending",
        due_at=NOW + 100.0,
        verdict=verdict,
        memory={"number": 7},
        progress={"open": True, ".memory": {"number": 7}},
    )


def test_a_later_delivery_uses_what_an_earlier_one_remembered():
    receiver = Receiver(answering(200))
    (result,) = brought(STEPS, [delivery(2, "resolve", "resolved", memory={"number": 7})], receiver)
    assert (result.state, result.memory, paths(receiver)) == ("delivered", None, ["PATCH /issues/7"])


def test_a_delivery_that_no_step_applies_to_is_cancelled_with_the_reason():
    (result,) = brought(STEPS, [delivery(2, "resolve", "resolved")], Receiver(answering(200)))
    assert result == Result(
        delivery=delivery(2, "resolve", "resolved"), attempt=None, state="cancelled", verdict="no step applies to it"
    )


@pytest.mark.parametrize(
    "old, new, verdict, progress",
    [
        ("{ title: $.summary }", '"at {{ event.source }}"', "render: step open: request.json: at {{ event.source }}: event.source finds nothing", {}),
        ("$.number", '"at {{ response.json.id }}"', "step open: remember: at {{ response.json.id }}: response.json.id finds nothing", {"open": True}),
        ("not memory.number", "memory.number + 1 > 0", "render: step open: {{ event.action == 'trigger' and memory.number + 1 > 0 }}: memory.number finds nothing", {}),
    ],
)  # fmt: skip
def test_a_step_that_cannot_be_said_is_dead_and_names_itself(old, new, verdict, progress):
    (result,) = brought(STEPS.replace(old, new), [delivery()], Receiver(answering(201, json={})))
    assert (result.state, result.progress) == ("dead", progress)
    assert result.verdict == verdict


def test_a_printing_sink_prints_one_harmless_line():
    said = []

    async def say(text):
        said.append(text)

    text = 'title: T\nprint: "{{ event.severity }}: {{ event.summary }}"'
    (result,) = brought(text, [delivery(summary="a\n  b\x1b[31m")], Receiver(answering(200)), say=say)
    assert (said, result.state, result.verdict) == (["error: a b\\u001b[31m"], "delivered", "printed")


STUCK = "print: nobody reads standard output, and the line did not go out"


async def _stalls(text):
    await anyio.sleep_forever()


async def _is_closed(text):
    raise BrokenPipeError


@pytest.mark.parametrize("say", [_stalls, _is_closed])
def test_a_line_that_nobody_takes_is_printed_later(say):
    text = 'title: T\nprint: "{{ event.summary }}"\nlimits: { timeout: 50ms }'
    (result,) = brought(text, [delivery()], Receiver(answering(200)), say=say)
    assert (result.state, result.attempt.verdict, result.attempt.error) == ("pending", "retry", STUCK)


@pytest.mark.parametrize("length", [1_990, 1_997, 2_000])
def test_a_secret_that_is_cut_off_by_the_end_of_the_excerpt_is_masked_all_the_same(length):
    text = DOOR + "auth: { scheme: bearer, token: { env: TOKEN } }"
    (result,) = brought(text, [delivery()], Receiver(answering(400, text="x" * length + "hunter22")), {"TOKEN": "hunter22"})
    assert result.attempt.excerpt == ("x" * length + "***")[:2_000]


PAGE = Visit(url=Inbound("$.url"), hosts=[Host("sns.*.amazonaws.com")])


@pytest.mark.parametrize(
    "url, status, message, visited",
    [
        ("https://sns.eu-west-1.amazonaws.com/?Action=Confirm", 200, None, 1),
        ("https://SNS.eu-west-1.amazonaws.com:443/", 204, None, 1),
        ("https://sns.eu-west-1.amazonaws.com/", 302, "the page to visit answered 302", 1),
        ("http://sns.eu-west-1.amazonaws.com/", 200, "the page to visit is not on an allowed host", 0),
        ("https://evil.test/sns.eu-west-1.amazonaws.com", 200, "the page to visit is not on an allowed host", 0),
        ("https://sns.eu-west-1.amazonaws.com@evil.test/", 200, "the page to visit is not on an allowed host", 0),
        ("https://sns.eu-west-1.amazonaws.com.evil.test/", 200, "the page to visit is not on an allowed host", 0),
        ("file:///etc/passwd", 200, "the page to visit is not on an allowed host", 0),
        (None, 200, "the page to visit is not on an allowed host", 0),
        ("https://[", 200, "the page to visit is not on an allowed host", 0),
    ],
)
def test_a_page_is_visited_only_on_an_allowed_host(url, status, message, visited):
    asked = []

    async def go():
        client = Client(httpx2.MockTransport(lambda request: asked.append(request.method) or httpx2.Response(status)))
        await visit(client, PAGE, {"item": {"url": url}})

    if message is None:
        anyio.run(go)
    else:
        with pytest.raises(Undelivered, match=f"^{message}$"):
            anyio.run(go)
    assert asked == ["GET"] * visited


@pytest.mark.parametrize("attempts, state", [(13, "delivered"), (14, "dead")])
def test_what_the_gateway_may_die_of_is_given_up_once_it_was_tried_in_vain_five_times_more_than_it_may_fail(attempts, state):
    receiver = Receiver(answering(200))
    (result,) = brought(DOOR, [replace(delivery(), attempts=attempts)], receiver)
    verdict = (
        "given up after 13 tries: the gateway stopped in the middle of the last ones, and this may be why; "
        "see its log before you replay it"
    )
    assert (result.state, result.verdict) == (state, verdict if state == "dead" else "answered 200")
    assert len(receiver.requests) == (state == "delivered")


@pytest.mark.parametrize("error", [httpx2.ReadTimeout("slow"), httpx2.ReadError("it broke off"), httpx2.RemoteProtocolError("x")])
@pytest.mark.parametrize("batch", ["", "batch: { events: 8 }\n"])
def test_what_may_have_arrived_is_not_sent_again_where_the_file_says_so(error, batch):
    def breaks(body):
        raise error

    text = DOOR + batch + "retry: { unknown: dead }\n"
    receiver = Receiver(breaks)
    results = brought(text, [delivery(1), delivery(2)] if batch else [delivery(1)], receiver)
    assert {result.state for result in results} == {"dead"}
    assert all(result.verdict.endswith("; it may have arrived, and retry.unknown says dead") for result in results)
    assert len(receiver.requests) == 1  # a batch is not halved
    assert {result.state for result in brought(DOOR + batch, [delivery(1)], Receiver(breaks))} == {"pending"}


def test_what_cannot_have_arrived_is_tried_again_whatever_the_file_says():
    def refuses(body):
        raise httpx2.ConnectError("refused")

    (result,) = brought(DOOR + "retry: { unknown: dead }\n", [delivery()], Receiver(refuses))
    assert (result.state, result.verdict) == ("pending", "no connection: refused")
