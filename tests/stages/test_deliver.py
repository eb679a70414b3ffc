"""What a sink's answer means, and when to try again: tables, from DIALECT's "A sink" and the documents named below."""

import json
from pathlib import Path

import pytest

from gateway.config.decode import decode
from gateway.config.schema import Sink
from gateway.config.yaml import Document
from gateway.model import Response
from gateway.stages.deliver import Answers, Judgement, Limits, Retry, Rule, judge, next_state
from gateway.values import Duration

ROOT = Path(__file__).parents[2]
NOW = 1_773_302_400.0  # Thu, 12 Mar 2026 08:00:00 GMT


def read(type, text):
    document = Document("sink.yaml", text.encode())
    found = decode(document, type)
    assert found is not None, [str(problem) for problem in document.problems]
    return found


def judged(rules="rules: []", /, count=1, **response):
    return judge(read(Answers, rules), Response(**response), [f"e{number}" for number in range(count)], NOW)


BY_STATUS = {
    "delivered": [200, 202, 204, 260, 299],
    "retry": [408, 425, 429, 500, 502, 503, 504, 599],
    "park": [401, 403],
    "split": [413],
    "dead": [199, 400, 404, 405, 409, 410, 415, 422],
}


@pytest.mark.parametrize("status, verdict", [(status, verdict) for verdict, all in BY_STATUS.items() for status in all])
def test_an_answer_that_no_rule_speaks_of_is_judged_by_its_status(status, verdict):
    assert judged(status=status) == [Judgement(verdict, f"answered {status}")]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_dead_and_says_how_to_mend_it(status):
    reason = f"answered {status}; redirects are not followed, so give the final address"
    assert judged(status=status, headers={"location": "https://elsewhere.test"}) == [Judgement("dead", reason)]


@pytest.mark.parametrize(
    "rule, response, verdict",
    [
        ("{{ response.status == 200 }}", {"status": 200}, "dead"),
        ("{{ response.status != 204 }}", {"status": 260}, "dead"),
        ("{{ response.json.ok == false }}", {"status": 200, "json": {"ok": False}}, "dead"),
        ("{{ response.json.code in [6, 9] }}", {"status": 503, "json": {"code": 9}}, "dead"),
        ("{{ response.text != 'ok' }}", {"status": 200, "text": "invalid_payload"}, "dead"),
        ("{{ 'HTTP error 429' in response.text }}", {"status": 200, "text": "returned HTTP error 429"}, "dead"),
        (
            "{{ response.headers['x-ratelimit-remaining'] == '0' }}",
            {"status": 403, "headers": {"x-ratelimit-remaining": "0"}},
            "dead",
        ),
        ("{{ response.json.code == 9 }}", {"status": 200, "text": "no json"}, "delivered"),
        ("{{ response.json.a.b.c == 9 }}", {"status": 200, "json": [1]}, "delivered"),
        ("{{ response.json.n + 1 == 2 }}", {"status": 200, "json": {"n": "text"}}, "delivered"),
        ("$.json.errors", {"status": 200, "json": {"errors": True}}, "dead"),
    ],
)
def test_a_rule_looks_at_status_headers_json_and_text_and_one_that_fails_does_not_hold(rule, response, verdict):
    assert [each.verdict for each in judged(f'rules: [ {{ when: "{rule}", then: dead }} ]', **response)] == [verdict]


def test_the_first_rule_that_holds_counts_for_every_delivery_of_the_request():
    rules = """
    rules:
      - { when: "{{ response.status == 404 }}", then: dead }
      - { when: "{{ response.status >= 400 }}", then: split }
      - { when: "{{ response.status >= 500 }}", then: retry }
    """
    assert judged(rules, count=2, status=503) == [Judgement("split", "answered 503; rules[1] says split")] * 2


RETRY = 'rules: [ { when: "{{ response.status == 200 }}", then: retry, after: 5s } ]'


@pytest.mark.parametrize(
    "text, status, header, after",
    [
        ("rules: []", 503, "7", 7.0),
        ("rules: []", 429, " 7 ", 7.0),
        ("rules: []", 503, "0", 0.0),
        ("rules: []", 503, "99999999999999999999", 3600.0),
        ("rules: []", 503, "Thu, 12 Mar 2026 08:02:00 GMT", 120.0),
        ("rules: []", 503, "Thu, 12 Mar 2026 08:02:00", 120.0),
        ("rules: []", 503, "Thu, 12 Mar 2026 07:00:00 GMT", 0.0),
        ("rules: []", 503, "Thu, 12 Mar 2126 08:02:00 GMT", 3600.0),
        ("rules: []", 503, "Thu, 12 Mar 99999999999999999999 08:02:00 GMT", None),
        ("rules: []", 503, "Mon, 01 Jan 0001 00:00:00 +2359", 0.0),
        ("rules: []", 503, "soon", None),
        ("rules: []", 503, "-5", None),
        ("rules: []", 503, "1.5", None),
        ("rules: []", 503, "\u0665", None),
        ("rules: []", 503, "5, 10", None),
        ("rules: []", 503, "", None),
        ("rules: []", 404, "7", None),
        (RETRY, 200, "", 5.0),
        (RETRY, 200, "90", 90.0),
        (RETRY, 200, "2", 5.0),
        ('rules: [ { when: "{{ response.status == 200 }}", then: retry } ]', 200, "90", 90.0),
        ('rules: [ { when: "{{ response.status == 200 }}", then: dead } ]', 200, "90", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_nonsense_is_passed_over(text, status, header, after):
    assert [each.after for each in judged(text, status=status, headers={"retry-after": header})] == [after]


BULK = """
items:
  each: $.items[*].create
  rules:
    - { when: "{{ item.status == 409 }}", then: delivered }
    - { when: "{{ item.status == 403 }}", then: retry, after: 1m }
"""


def test_a_bulk_answer_is_judged_item_by_item():
    error = {"type": "mapper_parsing_exception", "reason": "failed to parse"}
    items = [
        {"status": 201},
        {"status": 409, "error": {"type": "version_conflict_engine_exception"}},
        {"status": 429, "error": {"type": "es_rejected_execution_exception"}},
        {"status": 400, "error": error},
        {"status": 403},
        {"status": 401, "error": "no"},
        {"status": "201"},
        "nonsense",
    ]
    document = {"errors": True, "items": [{"create": item} for item in items]}
    assert judged(BULK, count=8, status=200, json=document) == [
        Judgement("delivered", "item: 201", own=True),
        Judgement("delivered", "item: 409 (version_conflict_engine_exception)", own=True),
        Judgement("retry", "item: 429 (es_rejected_execution_exception)", own=True),
        Judgement("dead", "item: 400 (failed to parse)", own=True),
        Judgement("retry", "item: 403; rules[1] says retry", 60.0, own=True),
        Judgement("park", "item: 401 (no)", own=True),
        Judgement("retry", "item: 201", own=True),
        Judgement("retry", "item: no status", own=True),
    ]


@pytest.mark.parametrize(
    "response, judgement",
    [
        ({"status": 200, "json": {"items": []}}, Judgement("retry", "answered 200, and the answer names 0 of 2 items")),
        ({"status": 200, "text": "<html>"}, Judgement("retry", "answered 200, and the answer names 0 of 2 items")),
        ({"status": 413}, Judgement("split", "answered 413")),
        ({"status": 400, "json": {"items": [{"create": {"status": 201}}] * 2}}, Judgement("dead", "answered 400")),
    ],
)
def test_an_answer_that_does_not_name_each_item_is_judged_as_a_whole(response, judgement):
    assert judged(BULK, count=2, **response) == [judgement, judgement]


def test_a_rule_over_the_whole_answer_comes_before_its_items():
    text = f'rules: [ {{ when: "{{{{ response.json.errors == false }}}}", then: delivered }} ]{BULK}'
    answer = {"errors": False, "items": []}
    assert judged(text, count=2, status=200, json=answer) == [Judgement("delivered", "answered 200")] * 2


RETRIES = Retry(attempts=3, first_delay=Duration(4.0), max_delay=Duration(60.0))


@pytest.mark.parametrize(
    "judgement, attempts, wanted",
    [
        (Judgement("delivered", "answered 200"), 1, ("delivered", 0.0, "answered 200")),
        (Judgement("dead", "answered 400"), 1, ("dead", 0.0, "answered 400")),
        (Judgement("split", "answered 413"), 1, ("dead", 0.0, "answered 413")),
        (Judgement("park", "answered 401"), 9, ("parked", 0.0, "answered 401; parked until it is mended")),
        (Judgement("retry", "answered 503"), 1, ("pending", NOW + 3.0, "answered 503")),
        (Judgement("retry", "answered 503"), 2, ("pending", NOW + 6.0, "answered 503")),
        (Judgement("retry", "answered 503"), 3, ("dead", 0.0, "answered 503; given up after 3 tries")),
        (Judgement("retry", "answered 503", 90.0), 1, ("pending", NOW + 90.0, "answered 503")),
        (Judgement("retry", "answered 503", 1.0), 1, ("pending", NOW + 3.0, "answered 503")),
        (Judgement("retry", "answered 503", 90.0), 3, ("dead", 0.0, "answered 503; given up after 3 tries")),
    ],
)
def test_a_judgement_leaves_a_delivery_somewhere(judgement, attempts, wanted):
    assert next_state(judgement, attempts, RETRIES, chance=0.5, now=NOW) == wanted


def test_the_delay_stays_at_its_longest_however_many_tries_there_were():
    assert [RETRIES.delay(number, chance) for number in (60, 2000) for chance in (0.0, 1.0)] == [30.0, 60.0, 30.0, 60.0]


# Seed 003, "Retry Configuration", the table "Retry Delays": attempt, delay without jitter = upper bound with jitter, lower bound.
SEED_003 = [(1, 1.0, 0.5), (2, 2.0, 1.0), (3, 4.0, 2.0), (4, 8.0, 4.0), (5, 16.0, 8.0), (6, 32.0, 16.0), (7, 60.0, 30.0)]


def example():
    document = Document("siem.yaml", (ROOT / "examples/retries/sinks.d/siem.yaml").read_bytes())
    sink = decode(document, Sink)
    assert sink is not None, [str(problem) for problem in document.problems]
    return sink


@pytest.mark.parametrize("attempt, longest, shortest", SEED_003)
def test_the_example_has_the_delays_of_seed_003_retry_configuration(attempt, longest, shortest):
    delay = example().retry.delay
    assert (delay(attempt, 0.0), delay(attempt, 1.0)) == (shortest, longest)
    assert all(shortest <= delay(attempt, chance / 100) <= longest for chance in range(101))


def test_the_example_has_the_values_of_seed_003_retry_configuration():
    max_retries, initial_delay, max_delay = 5, 1.0, 60.0
    assert example().retry == Retry(attempts=1 + max_retries, first_delay=Duration(initial_delay), max_delay=Duration(max_delay))


@pytest.mark.parametrize(
    "type, text, message",
    [
        (Retry, "attempts: 0", "0 is none; give at least 1"),
        (Limits, "concurrency: 0", "0 is none; give at least 1"),
        (
            Limits,
            "concurrency: 1001",
            "1001 connections are more than 1000; send several events in one request with `batch` instead",
        ),
        (
            Answers,
            "rules: [ { when: x, then: lost } ]",
            "`lost` is not one of `delivered`, `retry`, `wait`, `dead`, `park`, `split`",
        ),
    ],
)
def test_what_could_never_work_is_refused_when_the_file_loads(type, text, message):
    document = Document("sink.yaml", text.encode())
    assert decode(document, type) is None
    assert [problem.message for problem in document.problems] == [message]


@pytest.mark.parametrize(
    "after, response, seconds",
    [
        ("2s", {}, 2.0),
        ("{{ response.json.retry_after }}", {"json": {"retry_after": 0.65}}, 0.65),
        ("$.json.retry_after", {"json": {"retry_after": "3"}}, 3.0),
        ("{{ response.headers['x-ratelimit-reset'] | number - now }}", {"headers": {"x-ratelimit-reset": "1773302490"}}, 90.0),
        ("{{ response.json.retry_after }}", {"json": {"retry_after": 0.65}, "headers": {"retry-after": "7"}}, 7.0),
        ("{{ response.json.retry_after }}", {"json": {"retry_after": 86400}}, 3600.0),
        ("{{ response.headers.reset | number - now }}", {"headers": {"reset": "1000"}}, 0.0),
        ("{{ response.json.retry_after }}", {"json": {}}, None),
        ("{{ response.json.retry_after }}", {"json": {"retry_after": "soon"}}, None),
        ("{{ response.json.retry_after }}", {"json": {"retry_after": "inf"}}, None),
        ("{{ response.json.retry_after }}", {"json": {"retry_after": 10**400}}, None),
        ("{{ response.headers.reset | number }}", {"headers": {"reset": "soon"}}, None),
    ],
)
def test_an_answer_may_say_itself_how_long_to_wait(after, response, seconds):
    rules = f"rules:\n  - when: '{{{{ response.status == 429 }}}}'\n    then: retry\n    after: {json.dumps(after)}\n"
    assert judged(rules, status=429, **response) == [Judgement("retry", "answered 429; rules[0] says retry", seconds)]


def test_an_answer_whose_list_is_named_and_not_its_items_says_how_to_mend_it():
    reason = "answered 200, and the answer names 1 of 2 items; what `each` finds is a list: write [*] behind it"
    answer = {"status": 200, "json": {"items": [{"status": 201}, {"status": 201}]}}
    assert judged("items: { each: $.items }", count=2, **answer) == [Judgement("retry", reason)] * 2


FIRST_BAD = "items: { first_bad: \"$['invalid-event-number']\" }"
TAKEN = Judgement("delivered", "answered 400, and took all before the first bad item", own=True)


@pytest.mark.parametrize(
    "document, judgements",
    [
        ({"code": 6, "invalid-event-number": 0}, [Judgement("dead", "answered 400; item 0 is bad", own=True)]),
        ({"invalid-event-number": 2}, [TAKEN, TAKEN, Judgement("dead", "answered 400; item 2 is bad", own=True)]),
        ({"invalid-event-number": 3}, [Judgement("dead", "answered 400")] * 3),
        ({"invalid-event-number": -1}, [Judgement("dead", "answered 400")] * 3),
        ({"invalid-event-number": True}, [Judgement("dead", "answered 400")] * 3),
        ({"invalid-event-number": "1"}, [Judgement("dead", "answered 400")] * 3),
        ({"code": 5}, [Judgement("dead", "answered 400")] * 3),
        (None, [Judgement("dead", "answered 400")] * 3),
    ],
)
def test_where_the_first_bad_item_is_named_those_before_it_were_taken_and_those_behind_it_are_not_judged(document, judgements):
    """Splunk's HEC: `invalid-event-number` is the first bad event, from 0; those before it are indexed."""
    assert judged(FIRST_BAD, count=3, status=400, json=document) == judgements


def test_a_rule_and_a_success_come_before_the_first_bad_item():
    answer = {"code": 4, "invalid-event-number": 1}
    rules = f'{FIRST_BAD}\nrules: [ {{ when: "{{{{ response.json.code == 4 }}}}", then: park }} ]'
    assert judged(rules, count=3, status=400, json=answer) == [Judgement("park", "answered 400; rules[0] says park")] * 3
    assert judged(FIRST_BAD, count=2, status=503, json=answer) == [Judgement("retry", "answered 503")] * 2
    assert judged(FIRST_BAD, count=2, status=200, json=answer) == [Judgement("delivered", "answered 200")] * 2


BY_ID = """
items:
  each: $.Failed[*]
  id: $.Id
  rules: [ { when: "{{ item.SenderFault }}", then: dead } ]
"""


@pytest.mark.parametrize(
    "failed, judgements",
    [
        ([], [Judgement("delivered", "answered 200")] * 3),
        (
            [{"Id": "e2", "SenderFault": True}, {"Id": "e0", "status": 429}],
            [
                Judgement("retry", "item: 429", own=True),
                Judgement("delivered", "answered 200"),
                Judgement("dead", "item: no status; rules[0] says dead", own=True),
            ],
        ),
        (
            [{"Id": "e1"}],
            [
                TAKEN_AS_A_WHOLE := Judgement("delivered", "answered 200"),
                Judgement("retry", "item: no status", own=True),
                TAKEN_AS_A_WHOLE,
            ],
        ),
        ([{"Id": "e7"}], [Judgement("retry", "answered 200, and the answer names an item 'e7' that was not sent")] * 3),
        ([{}], [Judgement("retry", "answered 200, and the answer names an item '' that was not sent")] * 3),
        ([{"Id": ["e1"]}], [Judgement("retry", """answered 200, and the answer names an item "['e1']" that was not sent""")] * 3),
        (
            [{"Id": "e1", "SenderFault": True}, {"Id": "e1", "status": 200}],
            [TAKEN_AS_A_WHOLE, Judgement("dead", "item: no status; rules[0] says dead", own=True), TAKEN_AS_A_WHOLE],
        ),
    ],
)
def test_where_items_are_named_by_id_those_that_are_not_named_were_taken(failed, judgements):
    """As Amazon's SQS answers a batch (API reference, SendMessageBatch): `Failed`, each with the Id it was sent with."""
    assert judged(BY_ID, count=3, status=200, json={"Failed": failed}) == judgements


def test_an_answer_without_the_list_of_items_by_id_took_them_all_and_one_that_is_not_json_is_asked_again():
    assert judged(BY_ID, count=2, status=200, json={}) == [Judgement("delivered", "answered 200")] * 2
    reason = "answered 200, and the answer is not JSON, so that it names no items"
    assert judged(BY_ID, count=2, status=200, text="<html>") == [Judgement("retry", reason)] * 2


def test_a_rule_may_say_that_a_batch_is_not_to_be_halved():
    rules = 'rules: [ { when: "{{ response.json.rejected > 0 }}", then: dead, halve: false } ]'
    assert (
        judged(rules, count=2, status=200, json={"rejected": 1})
        == [Judgement("dead", "answered 200; rules[0] says dead", own=True)] * 2
    )


@pytest.mark.parametrize(
    "items, complaint",
    [
        ("{ rules: [] }", "items: give one of each and first_bad"),
        ("{ each: $.a, first_bad: $.b }", "items: give one of each and first_bad"),
        ("{ first_bad: $.b, id: $.c }", "items: `id` and `rules` go with `each`"),
        (
            '{ first_bad: $.b, rules: [ { when: "{{ true }}", then: dead } ] }',
            "items: `id` and `rules` go with `each`",
        ),
    ],
)
def test_items_say_one_thing(items, complaint):
    document = Document("sink.yaml", f"items: {items}".encode())
    assert decode(document, Answers) is None
    assert [problem.message for problem in document.problems] == [complaint]


def test_halving_goes_with_what_may_be_halved():
    document = Document("sink.yaml", b'{ when: "{{ true }}", then: retry, halve: false }')
    assert decode(document, Rule) is None
    assert [problem.message for problem in document.problems] == ["only `dead` halves a batch; take it away"]
