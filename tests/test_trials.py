"""The tests inside the files: what is said of each that does not hold, whole."""

from __future__ import annotations

import socket

import anyio
import pytest

from gateway.config import load
from gateway.config.decode import decode
from gateway.config.schema import Provider, SampleResponse, Sink
from gateway.config.yaml import Document
from gateway.errors import Undelivered
from gateway.model import Request
from gateway.outbound import Client
from gateway.trials import differences, run_provider_tests, run_sink_tests
from gateway.trials.sinks import _ScriptedClient

PROVIDER = """title: Team
auth: { scheme: token, header: X-Token, token: { env: TEAM_TOKEN } }
body: { format: auto }
delivery_id: $.nr
events: $.items[*]
match: { severity: [error, critical] }
handshake:
  - when: "{{ payload.challenge }}"
    reply: { json: { echo: $.challenge, twice: "{{ 1 / payload.zero if payload.zero is defined else 2 }}" } }
map:
  action: { from: $.state, table: { down: trigger, up: resolve, skip: ignore } }
  dedup_key: $.id
  severity: { from: $.level, table: { bad: critical, mild: info }, absent: error }
  summary: $.text
  labels: { host: $.host }
tests:
  - name: t
    TEST
"""
A = "{ id: a, state: down, text: A, host: h }"
PROVIDERS = {
    "right": (f"webhook: {{ payload: {{ items: [{A}] }} }}, expect: [ {{ action: trigger, labels: {{ host: h }} }} ]", []),
    "a wrong field, and a wrong label": (
        f"webhook: {{ payload: {{ items: [{A}] }} }}, expect: [ {{ action: resolve, labels: {{ host: x, rack: r }} }} ]",
        [
            'event 1.action: expected "resolve", got "trigger"',
            'event 1.labels.host: expected "x", got "h"',
            'event 1.labels.rack: expected "r", got nothing',
        ],
    ),
    "a label that must not be there, and one that is not": (
        f"webhook: {{ payload: {{ items: [{A}] }} }}, expect: [ {{ labels: {{ host: null, rack: null }} }} ]",
        ['event 1.labels.host: expected nothing, got "h"'],
    ),
    "in the second event": (
        f"webhook: {{ payload: {{ items: [{A}, {A}] }} }}, expect: [ {{ summary: A }}, {{ summary: B }} ]",
        ['event 2.summary: expected "B", got "A"'],
    ),
    "too few events": (f"webhook: {{ payload: {{ items: [{A}] }} }}, expect: []", ["events: expected 0, got 1: trigger 'A'"]),
    "too many events": ("webhook: { payload: { items: [] } }, expect: [ { action: trigger } ]", ["events: expected 1, got none"]),
    "events that say nothing": (
        "webhook: { payload: { items: [ { state: skip }, { id: b, state: down, text: B, level: mild } ] } }, expect: [ { action: trigger } ]",
        ["events: expected 1, got none (1 ignored, 1 dropped by `match`)"],
    ),
    "a dead letter nobody expects": (
        "webhook: { payload: { items: [ { id: b, state: odd } ] } }",
        ["dead letters: expected 0, got 1: item 1: action: 'odd' is in no row of the table, and there is no default"],
    ),
    "a dead letter that does not come": (
        f"webhook: {{ payload: {{ items: [{A}] }} }}, dead: 1, expect: [ {{}} ]",
        ["dead letters: expected 1, got none"],
    ),
    "malformed": ("webhook: { text: '{' }", ["it failed in decode: the body is not JSON: Input data was truncated"]),
    "a handshake": ("webhook: { payload: { challenge: c } }, reply: { status: 200, json: { echo: c } }", []),
    "a handshake that answers something else": (
        "webhook: { payload: { challenge: c } }, reply: { status: 202, json: { echo: d } }",
        ["reply.status: expected 202, got 200", 'reply.json.echo: expected "d", got "c"'],
    ),
    "no handshake": (
        f"webhook: {{ payload: {{ items: [{A}] }} }}, reply: {{ status: 200 }}",
        ["reply: it is no handshake, so there is no reply"],
    ),
    "a handshake where events are expected": (
        "webhook: { payload: { challenge: c } }, expect: [ { action: trigger } ]",
        ["events: expected 1, but it is a handshake, which tells of nothing"],
    ),
    "refused": ("webhook: { headers: { X-Token: no }, payload: {} }, secrets: { TEAM_TOKEN: yes }, refused: true", []),
    "not refused": (
        "webhook: { headers: { X-Token: right }, payload: {} }, secrets: { TEAM_TOKEN: right }, refused: true",
        ["it was not refused"],
    ),
    "refused, and nobody expects it": (
        "webhook: { headers: { X-Token: wrong }, payload: {} }, secrets: { TEAM_TOKEN: right }",
        ["it was refused: X-Token does not carry the token"],
    ),
    "refused without secrets": (
        "webhook: { payload: {} }, refused: true",
        ["it was not refused: without `secrets` nothing is verified; give the value of each variable that `auth` names"],
    ),
    "a secret that is not given": (
        "webhook: { payload: {} }, secrets: { OTHER: x }",
        ["secrets: TEAM_TOKEN is not set; give it a value there"],
    ),
    "another delivery id": (
        "webhook: { payload: { nr: n-1, items: [] } }, delivery_id: n-2",
        ["delivery_id: expected 'n-2', got 'n-1'"],
    ),
    "the right delivery id": ("webhook: { payload: { nr: n-1, items: [] } }, delivery_id: n-1", []),
    "a method that the door refuses": (
        "webhook: { method: PUT, payload: { items: [] } }",
        ["the door refuses PUT: it takes POST; say so in `methods`"],
    ),
    "proved, and malformed": (
        "webhook: { headers: { X-Token: right }, text: '{' }, secrets: { TEAM_TOKEN: right }, refused: true",
        ["it was not refused for its proof, but it failed in decode: the body is not JSON: Input data was truncated"],
    ),
    "a clock that is none": (
        "webhook: { payload: {} }, now: yesterday",
        ["now: 'yesterday' is no time; write it like 2026-01-01T00:00:00Z"],
    ),
    "a clock without a zone": (
        "webhook: { payload: {} }, now: 2026-01-01T00:00:00",
        ["now: '2026-01-01T00:00:00' is no time; write it like 2026-01-01T00:00:00Z"],
    ),
}


def configured(tmp_path, folder: str, text: str):
    file = tmp_path / folder / "x.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return load(tmp_path, {"GATEWAY_CATALOGUE": "false"})


@pytest.mark.parametrize("name", PROVIDERS)
def test_what_does_not_hold_of_a_provider_is_said(tmp_path, name):
    test, failures = PROVIDERS[name]
    lines = test.replace(", expect:", "\n    expect:").replace(", dead:", "\n    dead:").replace(", reply:", "\n    reply:")
    lines = lines.replace(", secrets:", "\n    secrets:").replace(", refused:", "\n    refused:").replace(", now:", "\n    now:")
    lines = lines.replace(", delivery_id:", "\n    delivery_id:")
    config = configured(tmp_path, "providers.d", PROVIDER.replace("TEST", lines))
    (outcome,) = run_provider_tests("x", config.providers["x"])
    assert (outcome.file, outcome.name, list(outcome.failures)) == ("providers.d/x", "t", failures)


SINK = """title: Main
vars: { url: { env: MAIN_URL } }
secrets: { key: { env: MAIN_KEY } }
match: { action: [trigger] }
request:
  url: "{{ vars.url }}/a"
  headers: { X-Key: "{{ secrets.key }}" }
  json: { id: $.id, on: "{{ event.action == 'trigger' }}", text: $.summary }
response: { rules: [ { when: "{{ response.json.code == 9 }}", then: retry, after: 5s } ] }
tests:
  - name: t
    TEST
"""
STEPS = """title: Steps
steps:
  - name: open
    when: "{{ event.action == 'trigger' }}"
    request: { url: "http://x.test/", json: { id: $.id } }
tests:
  - name: t
    TEST
"""
BATCH = """title: Batch
request: { url: "http://x.test/", json: { id: $.id } }
batch: { events: 10, wait: 1s, join: lines }
tests:
  - name: t
    TEST
"""
SURE = """title: Sure
request: { url: "http://x.test/", json: { id: $.id } }
retry: { unknown: dead }
tests:
  - name: t
    TEST
"""
TRIES = """title: Tries
retry: { attempts: 3, unknown: dead }
steps:
  - name: find
    every_try: true
    request: { method: GET, url: "http://x.test/find" }
    remember: { found: "{{ answer.key or false }}" }
  - name: first
    request: { url: "http://x.test/first", json: { found: "{{ memory.found }}" } }
    remember: { first: $.key }
  - name: second
    request: { url: "http://x.test/second", json: { first: "{{ memory.first }}" } }
    response: { rules: [ { when: "{{ response.status == 404 }}", then: wait, after: 20s, at_most: 30s } ] }
tests:
  - name: t
    TEST
"""
HOLEY = """title: Holey
vars: { team: { env: TEAM, optional: true } }
request:
  url: "http://x.test/"
  headers: { X-Team: "{{ vars.team }}" }
  json: { list: [ null, $.source, a ], details: $.details, none: null, team: "{{ vars.team }}", deep: { source: $.source } }
tests:
  - name: t
    TEST
"""
FORM = """title: Form
request: { url: "http://x.test/", form: { a: $.summary, b: $.source } }
tests:
  - name: t
    TEST
"""
TEXT = """title: Text
request: { url: "http://x.test/", headers: { Content-Type: application/json }, text: '{"source": null}' }
tests:
  - name: t
    TEST
"""
PRINT = "title: Print\nprint: '{{ event.summary }}'\ntests:\n  - name: t\n    TEST\n"
SINKS = {
    "right": (
        SINK,
        "event: { id: e1, summary: S }",
        "{ requests: [ { method: POST, url: https://url.test/a, headers: { x-key: test-key }, json: { id: e1, on: true } } ], verdict: delivered }",
        [],
    ),
    "a wrong request": (
        SINK,
        "event: { id: e1, summary: S }",
        "{ requests: [ { method: PUT, url: https://b, headers: { x-key: k }, json: { id: e2, on: 1 } } ] }",
        [
            'request 1.method: expected "PUT", got "POST"',
            'request 1.url: expected "https://b", got "https://url.test/a"',
            'request 1.headers.x-key: expected "k", got "test-key"',
            'request 1.json.id: expected "e2", got "e1"',
            "request 1.json.on: expected 1, got true",
        ],
    ),
    "a wrong number of requests": (
        SINK,
        "event: {}",
        "{ requests: [] }",
        ["requests: expected 0, got 1: POST https://url.test/a"],
    ),
    "a wrong verdict": (
        SINK,
        "event: {}\n    responses: [ { status: 400 } ]",
        "{ verdict: delivered }",
        ['verdict: expected "delivered", got "dead" (answered 400)'],
    ),
    "a wrong wait": (
        SINK,
        "event: {}\n    responses: [ { json: { code: 9 } } ]",
        "{ verdict: retry, after: 7 }",
        ["after: expected 7 seconds, got 5"],
    ),
    "a wrong text": (
        SINK,
        "event: { id: e1, summary: S }",
        "{ requests: [ { text: hello } ] }",
        ['request 1.text: expected "hello", got "{\\"id\\":\\"e1\\",\\"on\\":true,\\"text\\":\\"S\\"}"'],
    ),
    "an event that is none": (
        SINK,
        "event: { labels: { host: 1 } }",
        "{}",
        ["event 1: Expected `str`, got `int` - at `$.labels[...]`"],
    ),
    "a clock that is none": (
        SINK,
        "event: {}\n    now: noon",
        "{}",
        ["now: 'noon' is no time; write it like 2026-01-01T00:00:00Z"],
    ),
    "not cancelled": (
        STEPS,
        "event: {}",
        "{ cancelled: true }",
        ["expected it to be cancelled, got delivered: every step was done"],
    ),
    "cancelled": (STEPS, "event: { action: resolve }", "{ cancelled: true }", []),
    "a wrong line": (PRINT, "event: { summary: hello }", "{ printed: bye }", ['printed[0]: expected "bye", got "hello"']),
    "verdicts of a batch": (
        BATCH,
        "events: [ {}, {} ]",
        "{ verdicts: [delivered, dead] }",
        ['verdict: expected ["delivered","dead"], got ["delivered","delivered"] (answered 200; answered 200)'],
    ),
    "no answer in time, so that nobody knows": (
        SINK,
        "event: { id: e1 }\n    responses: [ { no_answer: timeout } ]",
        "{ requests: [ { json: { id: e1 } } ], verdict: delivered }",
        ['verdict: expected "delivered", got "retry" (no answer within 10 s)'],
    ),
    "no connection": (
        SINK,
        "event: { id: e1 }\n    responses: [ { no_answer: connect } ]",
        "{ requests: [ { json: { id: e1 } } ], verdict: delivered }",
        ['verdict: expected "delivered", got "retry" (no connection: connection refused)'],
    ),
    "no answer in time, where that is left to a person": (
        SURE,
        "event: {}\n    responses: [ { no_answer: timeout } ]",
        "{ verdict: retry }",
        ['verdict: expected "retry", got "dead" (no answer within 10 s; it may have arrived, and retry.unknown says dead)'],
    ),
    "no connection, where only what may have arrived is left to a person": (
        SURE,
        "event: {}\n    responses: [ { no_answer: connect } ]",
        "{ verdict: dead }",
        ['verdict: expected "dead", got "retry" (no connection: connection refused)'],
    ),
    "a batch without an answer": (
        BATCH,
        "events: [ {}, {} ]\n    responses: [ { no_answer: timeout } ]",
        "{ requests: [ {} ], verdicts: [delivered, delivered] }",
        ['verdict: expected ["delivered","delivered"], got ["retry","retry"] (no answer within 10 s; no answer within 10 s)'],
    ),
    "a second try": (
        SINK,
        "event: { id: e1 }\n    responses: [ { no_answer: timeout } ]\n    tries: 2",
        "{ requests: [ { json: { id: e1 } }, { json: { id: e1 } } ], verdict: delivered }",
        [],
    ),
    "a second try goes on where the first stopped, and asks its look-ups anew": (
        TRIES,
        "event: {}\n    tries: 2\n    responses: [ { json: { key: a } }, { json: { key: b } }, { status: 503 }, { json: { key: c } } ]",
        (
            "{ requests: [ { method: GET }, { json: { found: a } }, { json: { first: b } }, { method: GET }, { json: { first: b } } ],"
            " memory: { found: c, first: b }, verdict: delivered }"
        ),
        [],
    ),
    "so it does of a notice, for which nothing is kept but how far it has come": (
        TRIES,
        "event: { action: notice }\n    tries: 2\n    responses: [ {}, { json: { key: b } }, { status: 503 } ]",
        "{ requests: [ {}, {}, { json: { first: b } }, { method: GET }, { json: { first: b } } ], verdict: delivered }",
        [],
    ),
    "a look-up without an answer is asked again, whatever retry.unknown says": (
        TRIES,
        "event: {}\n    tries: 2\n    responses: [ { no_answer: timeout } ]",
        "{ requests: [ { method: GET }, { method: GET }, { url: 'http://x.test/first' }, {} ], verdict: delivered }",
        [],
    ),
    "the last try that a delivery has": (
        TRIES,
        "event: {}\n    tries: 3\n    responses: [ { status: 503 }, { status: 503 }, { status: 503 } ]",
        "{ requests: [ {}, {}, {} ], verdict: dead }",
        ['verdict: expected "dead", got "retry" (step find: answered 503; given up after 3 tries)'],
    ),
    "a try more than a delivery has": (
        TRIES,
        "event: {}\n    tries: 4\n    responses: [ { status: 503 }, { status: 503 }, { status: 503 } ]",
        "{ requests: [ {}, {}, {} ], verdict: retry }",
        ["tries: expected 4, but after 3 nothing is to be tried again: dead (step find: answered 503; given up after 3 tries)"],
    ),
    "to ask again takes place when it is due, and is no try": (
        TRIES,
        "event: {}\n    tries: 2\n    responses: [ {}, {}, { status: 404 }, {}, { status: 404 } ]",
        "{ requests: [ {}, {}, {}, { method: GET }, { url: 'http://x.test/second' } ], verdict: wait, after: 21 }",
        ["after: expected 21 seconds, got 20"],
    ),
    "what waits too long begins anew": (
        TRIES,
        "event: {}\n    tries: 3\n    responses: [ {}, {}, { status: 404 }, {}, { status: 404 }, {}, { status: 404 } ]",
        "{ verdict: wait }",
        [
            'verdict: expected "wait", got "retry" (step second: answered 404; rules[0] says wait, and has for 30 s; the steps begin anew)'
        ],
    ),
    "one try is enough": (
        SINK,
        "event: {}\n    tries: 2",
        "{ requests: [ {} ], verdict: delivered }",
        ["tries: expected 2, but after 1 nothing is to be tried again: delivered (answered 200)"],
    ),
    "an answer that nobody asked for": (
        SINK,
        "event: {}\n    responses: [ {}, { status: 500 } ]",
        "{ verdict: delivered }",
        ["responses: 2 are given, and 1 asked for; take the rest away"],
    ),
    "nothing is sent at all": (
        STEPS,
        "event: { action: resolve }\n    tries: 2",
        "{ requests: [], cancelled: true }",
        ["tries: expected 2, but after 1 nothing is to be tried again: cancelled (no step applies to it)"],
    ),
    "of a batch, only what was not delivered is tried again": (
        BATCH + "response: { items: { each: '$.items[*]' } }\n",
        (
            "events: [ { id: a }, { id: b } ]\n    tries: 2\n    responses: [ { json: { items: [ { status: 503 }, { status: 200 } ] } },"
            " { json: { items: [ { status: 400 } ] } } ]"
        ),
        '{ requests: [ { text: "{\\"id\\":\\"a\\"}\\n{\\"id\\":\\"b\\"}\\n" }, { json: { id: a } } ], verdicts: [delivered, delivered] }',
        ['verdict: expected ["delivered","delivered"], got ["dead","delivered"] (item: 400; item: 200)'],
    ),
    "what must not be there is not": (
        HOLEY,
        "event: { details: { a: 1 } }",
        (
            "{ requests: [ { headers: { X-Team: null }, json: { list: [ a ], details: { a: 1, b: null }, none: null, team: null,"
            " deep: { source: null } } } ] }"
        ),
        [],
    ),
    "what must not be there is": (
        HOLEY,
        "event: { source: s }\n    vars: { team: web }",
        "{ requests: [ { headers: { x-TEAM: null, Content-Type: null }, json: { list: null, team: null, deep: { source: null } } } ] }",
        [
            'request 1.headers.x-team: expected nothing, got "web"',
            'request 1.headers.content-type: expected nothing, got "application/json"',
            'request 1.json.list: expected nothing, got ["s","a"]',
            'request 1.json.team: expected nothing, got "web"',
            'request 1.json.deep.source: expected nothing, got "s"',
        ],
    ),
    "a null of the sender's is there": (
        HOLEY,
        "event: { details: { a: null, b: [ null, { c: null } ] } }",
        "{ requests: [ { json: { details: { a: null, b: [ null, { c: null, d: null } ] } } } ] }",
        [
            "request 1.json.details.a: expected nothing, got null",
            "request 1.json.details.b[1].c: expected nothing, got null",
        ],
    ),
    "a null that a text body prints is there": (
        TEXT,
        "event: {}",
        "{ requests: [ { json: { source: null, other: null } } ] }",
        ["request 1.json.source: expected nothing, got null"],
    ),
    "a field of a form that must not be there": (
        FORM,
        "event: { summary: x, source: s }",
        "{ requests: [ { form: { a: null, b: s, c: null } } ] }",
        ['request 1.form.a: expected nothing, got "x"'],
    ),
    "what is not there in a body that is no JSON": (
        FORM,
        "event: { summary: x }",
        "{ requests: [ { json: { c: null } } ] }",
        ['request 1.json: expected {"c":null}, but its body is no JSON'],
    ),
    "what is not there in a body that is no form": (
        TEXT,
        "event: {}",
        "{ requests: [ { form: { secret: null } } ] }",
        ['request 1.form: expected {"secret":null}, but its body is no form'],
    ),
    "what must not be remembered": (
        TRIES,
        "event: {}",
        "{ memory: { found: null, first: null } }",
        ["memory.found: expected nothing, got false"],
    ),
}


@pytest.mark.parametrize("name", SINKS)
def test_what_does_not_hold_of_a_sink_is_said(tmp_path, name):
    sink, test, expect, failures = SINKS[name]
    config = configured(tmp_path, "sinks.d", sink.replace("TEST", f"{test}\n    expect: {expect}"))
    (outcome,) = run_sink_tests("x", config.known_sinks["x"], config)
    assert (outcome.file, outcome.name, list(outcome.failures)) == ("sinks.d/x", "t", failures)


DIFFERENCES = [
    ({"a": 1}, {"a": 1, "b": 2}, []),
    ({"a": {"b": 1}}, {"a": {"b": 2}}, ["x.a.b: expected 1, got 2"]),
    ({"a": {"b": 1}}, {}, ["x.a.b: expected 1, got nothing"]),
    ({"a": {"b": 1}}, {"a": None}, ['x.a: expected {"b":1}, got null']),
    ({"a": None}, {}, []),
    ({"a": None}, {"a": 1}, ["x.a: expected nothing, got 1"]),
    ({"a": None}, {"a": ""}, ['x.a: expected nothing, got ""']),
    ({"a": None}, {"a": False}, ["x.a: expected nothing, got false"]),
    ({"a": None}, {"a": {}}, ["x.a: expected nothing, got {}"]),
    ({"a": None}, {"a": None}, ["x.a: expected nothing, got null"]),
    ({"a": {"b": None}}, {}, []),
    ({"a": {}}, {}, ["x.a: expected {}, got nothing"]),
    ({"a": {"b": {}}}, {}, ["x.a.b: expected {}, got nothing"]),
    ({"a": {"b": None}}, {"a": {"c": None}}, []),
    ({"a": {"b": None}}, {"a": {"b": None}}, ["x.a.b: expected nothing, got null"]),
    ({"a": {"b": None}}, {"a": None}, ['x.a: expected {"b":null}, got null']),
    ({"a": {"b": None}}, {"a": []}, ['x.a: expected {"b":null}, got []']),
    ([{"a": None}], [{"b": 1}], []),
    ([{"a": None}], [{"a": None}], ["x[0].a: expected nothing, got null"]),
    ([None, 1], [None, 1], []),
    ([None], [1], ["x[0]: expected null, got 1"]),
    ([1], [None], ["x[0]: expected 1, got null"]),
    ([None], [], ["x: expected [null], got []"]),
    ([1, 2], [1, 3], ["x[1]: expected 2, got 3"]),
    ([1], [1, 2], ["x: expected [1], got [1,2]"]),
    ([{"a": 1}], [{"a": 1, "b": 2}], []),
    (True, 1, ["x: expected true, got 1"]),
    (0, False, ["x: expected 0, got false"]),
    (1, 1.0, []),
    ("1", 1, ['x: expected "1", got 1']),
    ({"a": 1}, [1], ['x: expected {"a":1}, got [1]']),
]


@pytest.mark.parametrize("want, got, said", DIFFERENCES)
def test_what_is_named_must_be_there_and_more_may_be_but_not_what_is_named_null(want, got, said):
    assert list(differences(want, got, "x")) == said


def test_secrets_that_lie_in_files_are_given_by_the_files_name():
    text = """
title: Team
auth: { scheme: token, header: X-Token, token: { file: team/token } }
map: { action: { default: notice }, severity: { default: info }, summary: $.text }
tests:
  - name: the token opens the door
    webhook: { headers: { X-Token: abc }, payload: { text: hello } }
    secrets: { team/token: abc }
    expect: [ { summary: hello } ]
  - name: another does not
    webhook: { headers: { X-Token: abd }, payload: { text: hello } }
    secrets: { team/token: abc }
    refused: true
"""
    provider = decode(Document("team.yaml", text), Provider)
    assert [outcome.failures for outcome in run_provider_tests("team", provider)] == [(), ()]


def test_what_a_sink_must_have_remembered_is_looked_at():
    text = """
title: Tracker
vars: { url: { env: URL } }
steps:
  - { name: open, request: { url: "{{ vars.url }}" }, remember: { key: $.id } }
tests:
  - name: the key is kept
    event: { summary: x }
    responses: [ { json: { key: OPS-7 } } ]
    expect: { verdict: delivered, memory: { key: OPS-7 } }
"""
    sink = decode(Document("tracker.yaml", text), Sink)
    (outcome,) = run_sink_tests("tracker", sink, load(None, {}))
    assert outcome.failures == ('memory.key: expected "OPS-7", got nothing',)


@pytest.mark.parametrize("why, listens", [("timeout", True), ("connect", False)])
def test_where_there_is_no_answer_a_test_fails_as_the_real_client_does(why, listens):
    """A server that takes connections and says nothing; and a port where nobody is."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        if not listens:
            server.close()
        request = Request(method="POST", url=f"http://127.0.0.1:{port}/", headers={}, content=b"{}")

        async def fail(client):
            with pytest.raises(Undelivered) as caught:
                await client.send(request, timeout=0.3)
            if isinstance(client, Client):
                await client.close()
            return str(caught.value), vars(caught.value)

        real = anyio.run(fail, Client())
        assert anyio.run(fail, _ScriptedClient([SampleResponse(no_answer=why)])) == real
    assert real[1] == {"reason": why, "retryable": True, "retry_after": None, "unknown": listens}
