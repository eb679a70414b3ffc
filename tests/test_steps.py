"""Steps that ask, look up and wait: what is sent how often, what is remembered, and where a delivery is left."""

from __future__ import annotations

import httpx2
import pytest
from msgspec.structs import replace
from trips import NOW, Receiver, brought, delivery

from gateway import telemetry

HEAD = "title: T\nvars: { where: { env: WHERE } }\nlimits: { timeout: 1s }\n"
ENVIRONMENT = {"WHERE": "here"}
CONFIRMED = (
    HEAD
    + """
retry: { attempts: 3, first_delay: 8s }
steps:
  - name: send
    request: { url: https://sink.test/in, json: { said: $.summary } }
    remember: { ticket: $.ticket }
  - name: confirm
    request: { url: "https://sink.test/tickets/{{ memory.ticket }}", method: GET }
    response:
      rules:
        - { when: "{{ response.json.done == true }}", then: delivered }
        - { when: "{{ response.json.done == false }}", then: wait, after: 2s, at_most: 30s }
  - name: tell
    request: { url: https://sink.test/told, json: { ticket: "{{ memory.ticket }}" } }
"""
)


class Office(Receiver):
    """Gives out tickets and says of each whether it is done; keeps what it is asked."""

    def __init__(self, *done):
        super().__init__(None)
        self.done, self.tickets = list(done), 0

    def __call__(self, request):
        self.requests.append(f"{request.method} {request.url.path}")
        if request.url.path == "/in":
            self.tickets += 1
            return httpx2.Response(200, json={"ticket": f"t{self.tickets}"})
        if request.method == "GET":
            return httpx2.Response(200, json={"done": self.done.pop(0)})
        return httpx2.Response(200)


def again(result, attempts):
    """The delivery as the store hands it out the next time."""
    return replace(
        result.delivery, memory=result.memory or result.delivery.memory, progress=result.progress or {}, attempts=attempts
    )


def test_a_step_waits_without_a_try_and_goes_on_where_it_stopped():
    office = Office(False, False, True)
    (first,) = brought(CONFIRMED, [delivery()], office, ENVIRONMENT)
    assert (first.state, first.attempt, first.due_at) == ("pending", None, NOW + 2)
    assert first.verdict == "step confirm: answered 200; rules[1] says wait"
    progress = {"send": True, ".memory": {"ticket": "t1"}, ".since confirm": NOW}
    assert (first.memory, first.progress) == ({"ticket": "t1"}, progress)
    office.now += 2
    (second,) = brought(CONFIRMED, [again(first, 1)], office, ENVIRONMENT)
    assert (second.state, second.attempt, second.due_at) == ("pending", None, NOW + 4)
    (third,) = brought(CONFIRMED, [again(second, 1)], office, ENVIRONMENT)
    assert (third.state, third.attempt.verdict) == ("delivered", "delivered")
    assert third.progress == {"send": True, ".memory": {"ticket": "t1"}, "confirm": True, "tell": True}
    assert office.requests == ["POST /in", "GET /tickets/t1", "GET /tickets/t1", "GET /tickets/t1", "POST /told"]


def test_a_step_that_has_waited_long_enough_begins_anew_as_a_try_that_failed():
    office = Office(False, False, True)
    (first,) = brought(CONFIRMED, [delivery()], office, ENVIRONMENT)
    office.now += 30
    (second,) = brought(CONFIRMED, [again(first, 1)], office, ENVIRONMENT)
    assert (second.state, second.progress, second.due_at) == ("pending", {}, NOW + 30 + 6)  # three quarters of 8 s
    assert second.attempt.verdict == "retry"
    assert second.verdict == ("step confirm: answered 200; rules[1] says wait, and has for 30 s; the steps begin anew")
    (third,) = brought(CONFIRMED, [again(second, 2)], office, ENVIRONMENT)
    assert third.state == "delivered"
    assert office.requests == [
        "POST /in",
        "GET /tickets/t1",
        "GET /tickets/t1",
        "POST /in",
        "GET /tickets/t2",
        "POST /told",
    ]


def test_a_wait_asks_again_after_five_seconds_or_when_the_answer_says():
    text = CONFIRMED.replace(", after: 2s", "")
    assert brought(text, [delivery()], Office(False), ENVIRONMENT)[0].due_at == NOW + 5

    class Busy(Office):
        def __call__(self, request):
            answer = super().__call__(request)
            answer.headers["retry-after"] = "7"
            return answer

    assert brought(CONFIRMED, [delivery()], Busy(False), ENVIRONMENT)[0].due_at == NOW + 7


FOUND_OR_MADE = (
    HEAD
    + """
steps:
  - name: find
    when: "{{ not memory.number }}"
    every_try: true
    request: { url: "https://sink.test/issues", method: GET, query: { key: $.dedup_key } }
    remember: { number: "$[0].number" }
  - name: create
    when: "{{ not memory.number }}"
    request: { url: https://sink.test/issues, json: { key: $.dedup_key } }
    remember: { number: $.number, key: "{{ event.dedup_key }}", where: "{{ vars.where }}", before: "{{ memory.earlier }}" }
"""
)


def test_a_look_up_is_repeated_so_that_what_an_unanswered_try_made_is_found():
    made = []

    class Tracker(Receiver):
        def __call__(self, request):
            self.requests.append(request.method)
            if request.method == "GET":
                return httpx2.Response(200, json=made)
            made.append({"number": 7})
            raise httpx2.ReadError("the answer broke off")

    tracker = Tracker(None)
    (first,) = brought(FOUND_OR_MADE, [delivery()], tracker, ENVIRONMENT)
    assert (first.state, first.progress) == ("pending", {"find": True})
    (second,) = brought(FOUND_OR_MADE, [again(first, 2)], tracker, ENVIRONMENT)
    assert (second.state, second.memory, tracker.requests, made) == (
        "delivered",
        {"number": 7},
        ["GET", "POST", "GET"],
        [{"number": 7}],
    )


def test_what_is_remembered_may_come_from_the_event_the_variables_and_the_memory():
    office = Receiver(lambda body: httpx2.Response(200, json=[] if body is None else {"number": 8}))
    (result,) = brought(FOUND_OR_MADE, [delivery(memory={"earlier": "x"})], office, ENVIRONMENT)
    assert result.memory == {"earlier": "x", "number": 8, "key": "k", "where": "here", "before": "x"}


def test_what_is_known_already_is_no_news_if_an_answer_does_not_say_it(monkeypatch):
    text = HEAD + "steps: [ { name: a, request: { url: https://sink.test/ }, remember: { ts: $.ts } } ]\n"
    said = []
    monkeypatch.setattr(telemetry, "nothing_to_remember", lambda *what: said.append(what))
    brought(text, [delivery(memory={"ts": "1"})], Receiver(lambda body: httpx2.Response(200)), ENVIRONMENT)
    assert said == []
    brought(text, [delivery()], Receiver(lambda body: httpx2.Response(200)), ENVIRONMENT)
    assert said == [("s", "a", "ts: $.ts finds nothing")]


@pytest.mark.parametrize(
    "status, verdict, reason",
    [
        (418, "park", "step a: answered 418; rules[1] says park"),  # of the sink
        (409, "delivered", ""),  # of the step
        (404, "dead", "step a: answered 404; rules[0] says dead"),  # both: the step's comes first
        (500, "retry", "step a: answered 500"),  # neither
    ],
)
def test_what_a_sinks_own_response_says_holds_for_its_steps(status, verdict, reason):
    text = HEAD + (
        "steps:\n"
        "  - name: a\n"
        "    request: { url: https://sink.test/ }\n"
        "    response: { rules: [ { when: '{{ response.status == 404 }}', then: dead } ] }\n"
        "response:\n"
        "  rules:\n"
        "    - { when: '{{ response.status in [404, 418] }}', then: park }\n"
        "    - { when: '{{ response.status == 409 }}', then: delivered }\n"
    )
    (result,) = brought(text, [delivery()], Receiver(lambda body: httpx2.Response(status)), ENVIRONMENT)
    assert (result.attempt.verdict, result.attempt.error) == (verdict, reason)


@pytest.mark.parametrize("action", ["trigger", "notice"])
def test_a_delivery_asks_for_what_it_remembered_itself_whatever_others_remember_meanwhile(action):
    office = Office(False, True)
    (first,) = brought(CONFIRMED, [delivery(action=action)], office, ENVIRONMENT)
    (second,) = brought(
        CONFIRMED, [replace(again(first, 1), memory={"ticket": "t9"} if action == "trigger" else {})], office, ENVIRONMENT
    )
    assert (second.state, office.requests[-2:]) == ("delivered", ["GET /tickets/t1", "POST /told"])


def test_a_clock_that_is_set_back_lets_a_step_wait_no_longer_than_it_may():
    office = Office(False, False, False)
    (first,) = brought(CONFIRMED, [delivery()], office, ENVIRONMENT)
    office.now -= 86_400
    (second,) = brought(CONFIRMED, [again(first, 1)], office, ENVIRONMENT)
    assert second.progress[".since confirm"] == NOW - 86_400
    office.now += 30
    (third,) = brought(CONFIRMED, [again(second, 1)], office, ENVIRONMENT)
    assert (third.attempt.verdict, third.progress) == ("retry", {})


@pytest.mark.parametrize("after", ["0s", "{{ 0 - 5 }}"])
def test_a_step_asks_again_after_a_second_at_the_soonest(after):
    text = CONFIRMED.replace("after: 2s", f'after: "{after}"')
    assert brought(text, [delivery()], Office(False), ENVIRONMENT)[0].due_at == NOW + 1


def test_a_look_up_of_which_nobody_knows_is_repeated_whatever_the_file_says():
    class Silent(Receiver):
        def __call__(self, request):
            raise httpx2.ReadTimeout("slow")

    (result,) = brought(FOUND_OR_MADE + "retry: { unknown: dead }\n", [delivery()], Silent(None), ENVIRONMENT)
    assert result.state == "pending"


def test_no_secret_is_remembered_however_deep_it_stands():
    text = HEAD.replace("vars:", "secrets: { key: { env: KEY } }\nvars:") + (
        "steps: [ { name: a, request: { url: 'https://sink.test/', headers: { X: '{{ secrets.key }}' } }, remember: { all: $ } } ]\n"
    )
    echo = Receiver(lambda body: httpx2.Response(200, json={"a": [{"k3y-12345": "x k3y-12345 y"}, 7]}))
    (result,) = brought(text, [delivery()], echo, ENVIRONMENT | {"KEY": "k3y-12345"})
    assert result.memory == {"all": {"a": [{"***": "x *** y"}, 7]}}


def test_a_reason_is_masked_before_it_is_cut():
    text = "title: T\nsecrets: { key: { env: KEY } }\nrequest: { url: https://sink.test/, headers: { X: '{{ secrets.key }}' } }\n"
    text += "batch: { events: 2, join: array, item: $.summary }\nresponse: { items: { each: '$.items[*]' } }\n"
    secret = "k3y-" + "x" * 40
    for ahead in range(540, 600, 7):
        error = "e" * ahead + secret
        echo = Receiver(lambda body, error=error: httpx2.Response(200, json={"items": [{"status": 400, "error": error}]}))
        (result,) = brought(text, [delivery()], echo, {"KEY": secret})
        assert (result.state, "k3y" in result.verdict) == ("dead", False)
