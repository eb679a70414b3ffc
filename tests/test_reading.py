"""The pure half of ingest: who is believed, what a webhook means, and what of it may be stored."""

import re
from datetime import UTC, datetime
from urllib.parse import unquote, urlencode

import msgspec
import pytest
from msgspec.structs import replace

from gateway.config import Config
from gateway.config.decode import decode
from gateway.config.schema import Provider, Settings, Sink
from gateway.config.yaml import Document
from gateway.errors import SecretUnset, Undecodable, Unverified
from gateway.model import DeadItem, Decision, Event, Incident, Webhook
from gateway.reading import decider, greeting_before_proof, prove, understand, without_credentials
from gateway.values import Secrets

NOW = datetime(2026, 3, 12, 8, tzinfo=UTC)
AT = "2026-03-12T08:00:00.000Z"
SECRET = "CANARY-5f1d"
MAP = """
map:
  action: { from: $.status, table: { firing: trigger, ok: resolve }, default: trigger }
  dedup_key: $.id
  severity: { from: $.level, table: { high: critical, low: info }, default: warning }
  summary: $.title
  details: { payload: $, headers: "{{ headers }}", query: "{{ query }}", envelope: "{{ envelope }}" }
"""
TOKEN = "{ scheme: token, token: { env: T }, %s }"


def read(text, kind):
    document = Document("a.yaml", text)
    found = decode(document, kind)
    assert document.problems == []
    return found


def provider(more="", auth="{ scheme: none, because: it is a test }", map=MAP):
    return read(f"title: P\nauth: {auth}\n{more}{map}", Provider)


def webhook(payload=None, **more):
    body = b"" if payload is None else msgspec.json.encode(payload)
    return Webhook(**{"id": "w", "provider": "p", "received_at": NOW, "body": body, "url": "https://g.test/webhooks/p"} | more)


def config(one, environment=(), dev=False, sinks=()):
    known = {name: read(f"title: S\nprint: '-'\nmatch: {match}", Sink) for name, match in dict(sinks).items()}
    secrets = Secrets(dict(environment))
    return Config(settings=Settings(), secrets=secrets, providers={"p": one}, sinks=known, dev=dev)


def event(**more):
    fields = {"id": "w-0", "webhook_id": "w", "provider": "p", "action": "trigger", "dedup_key": "1", "severity": "warning"}
    return Event(**fields | {"summary": "T", "occurred_at": AT, "received_at": AT} | more)


def lost(message, stage="map", reason="expression"):
    return (DeadItem(index=-1, stage=stage, reason=reason, message=message),)


# Who is believed

GOOD, BAD = webhook(headers={"x-t": SECRET}), webhook(headers={"x-t": "wrong"})
LOCKED = provider(auth=TOKEN % "header: X-T")


@pytest.mark.parametrize(
    ("sent", "environment", "dev", "refusal"),
    [
        (GOOD, {"T": SECRET}, False, None),
        (GOOD, {"T": SECRET}, True, None),
        (BAD, {"T": SECRET}, False, Unverified("X-T does not carry the token")),
        (BAD, {"T": SECRET}, True, Unverified("X-T does not carry the token")),
        (webhook(), {"T": SECRET}, True, Unverified("there is no token in X-T")),
        (GOOD, {}, False, SecretUnset("T")),
        (GOOD, {"T": ""}, False, SecretUnset("T")),
        (BAD, {}, True, None),
    ],
)
def test_a_door_is_open_only_in_dev_mode_and_only_while_its_secret_is_not_set(sent, environment, dev, refusal):
    if refusal is None:
        assert prove(config(LOCKED, environment, dev), sent, 0.0) is None
    else:
        with pytest.raises(type(refusal), match=f"^{re.escape(str(refusal))}$"):
            prove(config(LOCKED, environment, dev), sent, 0.0)


@pytest.mark.parametrize("dev", [False, True])
def test_the_networks_it_may_come_from_hold_in_dev_mode_too(dev):
    near = config(provider("allow_from: [10.0.0.0/8]"), dev=dev)
    assert prove(near, webhook(client="10.1.2.3"), 0.0) is None
    with pytest.raises(Unverified, match=r"^192\.0\.2\.7 is in none of the networks in allow_from$"):
        prove(near, webhook(client="192.0.2.7"), 0.0)


def test_a_handshake_before_proof_is_read_from_the_query_alone():
    greeter = provider("methods: [GET, POST]\nhandshake: [ { when: '{{ query.challenge }}', before_auth: true } ]")
    names = {"payload": {"challenge": "c"}, "item": {"challenge": "c"}, "envelope": {"challenge": "c"}}
    at = "2026-03-12T08:00:00.000Z"
    scope = names | {"headers": {}, "query": {"challenge": "c"}, "method": "GET", "path": "$", "received_at": at, "segments": []}
    assert greeting_before_proof(greeter, webhook(method="GET", query={"challenge": "c"})) == (greeter.handshake[0], scope)
    assert greeting_before_proof(greeter, webhook({}, query={"challenge": "c"}))[0] is None


# What is stored and shown

TWICE = "{ scheme: any, of: [ %s, %s ] }"
PROOFS = [
    ("a bearer token", "{ scheme: bearer, token: { env: T } }", {"headers": {"authorization": f"Bearer {SECRET}"}}),
    ("a password", "{ scheme: basic, username: u, password: { env: T } }", {"headers": {"authorization": SECRET}}),
    ("a header", TOKEN % "header: X-Own", {"headers": {"x-own": SECRET}}),
    ("a parameter", TOKEN % "query: key", {"query": {"key": SECRET}, "url": f"https://g.test/webhooks/p?key={SECRET}"}),
    ("a segment", TOKEN % "segment: 1", {"rest": SECRET, "url": f"https://g.test/webhooks/p/{SECRET}/"}),
    ("a later segment", TOKEN % "segment: 2", {"rest": f"a/{SECRET}", "url": f"https://g.test/webhooks/p/a/{SECRET}"}),
    ("a segment that is encoded", TOKEN % "segment: 2", {"rest": f"é/{SECRET}", "url": f"https://g.test/webhooks/p/%C3%A9/%43{SECRET[1:]}"}),
    ("a segment behind an alias", TOKEN % "segment: 1", {"rest": SECRET, "url": f"https://g.test/old/{SECRET}/x"}),
    ("one of two", TWICE % (TOKEN % "query: a", TOKEN % "header: B"), {"query": {"a": SECRET}, "headers": {"b": SECRET}}),
    ("what nobody asked for", TOKEN % "header: X", {"headers": {"cookie": SECRET, "x-api-key": SECRET, "proxy-authorization": SECRET}}),
    ("RFC 6750's parameter", TOKEN % "header: X", {"query": {"access_token": SECRET}}),
]  # fmt: skip


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize(("auth", "more"), [proof[1:] for proof in PROOFS], ids=[proof[0] for proof in PROOFS])
def test_what_proves_the_sender_is_neither_stored_nor_shown(auth, more, method):
    one, sent = provider("methods: [POST, GET]", auth), webhook({"id": "1", "title": "T"}, method=method, **more)
    stored, understood = without_credentials(one, sent), understand(one, sent)
    assert SECRET not in unquote(repr(stored))
    assert SECRET not in repr(understood)
    assert (understood.webhook, without_credentials(one, stored)) == (stored, stored)


def test_what_is_no_credential_stays():
    sent = webhook(
        {"a": 1},
        headers={"x-t": SECRET, "x-kind": "run"},
        query={"q": "1"},
        rest="team",
        url="https://g.test/webhooks/p/team?q=1",
    )
    kept = webhook({"a": 1}, headers={"x-kind": "run"}, query={"q": "1"}, rest="team", url="https://g.test/webhooks/p/team")
    assert without_credentials(LOCKED, sent) == kept


FORMS = [
    ("form", "application/x-www-form-urlencoded", urlencode({"Token": SECRET, "id": "1", "title": "T", "again": "x"})),
    ("auto", "application/x-www-form-urlencoded", urlencode([("id", "1"), ("title", "T"), ("Token", SECRET), ("Token", SECRET)])),
]


@pytest.mark.parametrize("auth", [TOKEN % "field: Token", TWICE % (TOKEN % "header: B", TOKEN % "field: Token")])
@pytest.mark.parametrize(("format", "type", "body"), FORMS)
def test_a_token_in_a_field_of_a_form_proves_the_sender_and_is_not_stored(format, type, body, auth):
    one = provider(f"body: {{ format: {format} }}", auth)
    sent = webhook(body=body.encode(), headers={"content-type": type})
    assert prove(config(one, {"T": SECRET}), sent, 0.0) is None
    understood = understand(one, sent)
    assert SECRET not in repr(understood)
    assert understood.events[0].details["payload"]["Token"] == "[redacted]"
    assert understand(one, understood.webhook) == understood


REDACT = "redact: [ $.user.token, '$.list[*].pin' ]\n"
TOLD = {"id": "1", "title": "T", "user": {"token": SECRET, "name": "a"}, "list": [{"pin": SECRET}, {"n": 10**20}]}
SAID = {"id": "1", "title": "T", "user": {"token": "[redacted]", "name": "a"}, "list": [{"pin": "[redacted]"}, {"n": 10**20}]}


def test_what_is_redacted_is_neither_stored_nor_shown_and_a_replay_says_the_same():
    one = provider(REDACT)
    understood = understand(one, webhook(TOLD))
    details = {"payload": SAID, "headers": {}, "query": {}, "envelope": SAID}
    assert (understood.webhook, understood.events) == (webhook(SAID), (event(details=details),))
    assert understand(one, replace(understood.webhook, id="w")) == understood


def test_each_of_many_payloads_is_redacted():
    items = MAP.replace("$.id", '"{{ payload.id }}"').replace("$.title", '"{{ payload.title }}"')
    one = provider(REDACT + "body: { many: true }\nevents: $.list[*]", map=items)
    understood = understand(one, webhook(body=b"\n".join(msgspec.json.encode(TOLD | {"id": id}) for id in "123")))
    assert [(each.id, each.dedup_key) for each in understood.events] == [(f"w-{n}", str(n // 2 + 1)) for n in range(6)]
    assert msgspec.json.decode(understood.webhook.body) == [SAID | {"id": id} for id in "123"]
    assert SECRET not in repr(understood)


def test_a_signature_is_verified_over_the_bytes_that_came_and_not_over_what_is_stored():
    one = provider("redact: [ $.token ]\nbody: { format: form }", TOKEN % "field: token")
    sent = webhook(body=f"token={SECRET}&id=1".encode())
    assert prove(config(one, {"T": SECRET}), sent, 0.0) is None
    with pytest.raises(Unverified, match=r"^the field token does not carry the token$"):
        prove(config(one, {"T": SECRET}), without_credentials(one, sent), 0.0)


def test_a_body_that_must_be_redacted_and_cannot_be_read_is_refused():
    with pytest.raises(Undecodable, match=r"^the body is not JSON: Input data was truncated$"):
        understand(provider(REDACT), webhook(body=b'{"user": {"token": "'))


# What it means

ALERT = {"id": "1", "title": "T"}
SHORT = MAP.rpartition("  details")[0]


@pytest.mark.parametrize(
    ("more", "payload", "dead"),
    [
        ("body: { unwrap: '{{ payload.m | from_json }}' }", {"m": "{"}, lost("body.unwrap: {{ payload.m | from_json }}: '{' is not JSON", "decode", "unwrap")),
        ("delivery_id: x{{ item.d }}", ALERT, lost("delivery_id: x{{ item.d }}: item.d finds nothing")),
        ("handshake: [ { when: 'x{{ item.h }}' } ]", ALERT, lost("handshake[0].when: x{{ item.h }}: item.h finds nothing")),
    ],
)  # fmt: skip
def test_what_cannot_be_told_apart_is_kept_whole_as_one_dead_letter(more, payload, dead):
    understood = understand(provider(more, map=SHORT), webhook(payload))
    assert (understood.events, understood.dead) == ((), dead)


def test_a_handshake_tells_of_nothing():
    one = provider("handshake: [ { when: \"{{ payload.type == 'ping' }}\" } ]", map=SHORT)
    understood = understand(one, webhook({"type": "ping"} | ALERT))
    assert (understood.handshake, understood.events, understood.dead) == (one.handshake[0], (), ())


@pytest.mark.parametrize(("sent", "id"), [("a", "a"), (7, "7"), (0, "0"), (None, ""), ("", ""), ("$ID", "")])
def test_a_delivery_id_is_a_text_and_one_that_is_left_unfilled_is_none(sent, id):
    one = provider("delivery_id: $.delivery\nmissing: ['^\\$[A-Z]+$']", map=SHORT)
    assert understand(one, webhook(ALERT | {"delivery": sent})).delivery_id == id


def test_a_delivery_id_is_no_longer_than_a_dedup_key_may_be():
    understood = understand(provider("delivery_id: $.delivery", map=SHORT), webhook(ALERT | {"delivery": "d" * 10_000}))
    assert re.fullmatch("[0-9a-f]{64}", understood.delivery_id)


def test_the_providers_match_filters_and_counts_but_lets_every_resolve_through():
    one = provider("match: { severity: [critical], action: [trigger, resolve] }\nproject: acme\nevents: $.a[*]", map=SHORT)
    items = [ALERT, ALERT | {"level": "high"}, ALERT | {"status": "ok", "level": "low"}]
    understood = understand(one, webhook({"a": items}))
    told = (
        event(id="w-1", severity="critical", project="acme"),
        event(id="w-2", action="resolve", severity="info", project="acme"),
    )
    assert (understood.events, understood.filtered, understood.dead) == (told, 1, ())


def test_a_replay_maps_only_the_items_it_names():
    one = provider("events: $.a[*]", map=SHORT)
    assert understand(one, webhook({"a": [ALERT, ALERT, ALERT]}), only=[1]).events == (event(id="w-1"),)


# Who is told

SINKS = {"all": "{}", "ends": "{ action: [resolve] }", "worst": "{ min_severity: critical }"}


def test_a_sink_follows_what_it_matches_and_hears_the_actions_it_wants():
    decide = decider(config(provider(), sinks=SINKS), provider())
    opened = decide(None, event())
    incident = Incident(id="w-0", provider="p", dedup_key="1", status="open", severity="warning", summary="T", opened_at=AT, updated_at=AT, sinks=("all", "ends"))  # fmt: skip
    assert opened == Decision(outcome="told", incident=incident, tell=("all",), filtered=("ends",))
    closed = decide(incident, event(id="w-1", action="resolve", severity="info"))
    after = replace(incident, status="resolved", resolved_at=AT)
    assert closed == Decision(outcome="told", incident=after, tell=("all", "ends"))


def test_an_event_whose_followers_want_no_such_action_is_held():
    decide = decider(config(provider(), sinks={"ends": SINKS["ends"]}), provider())
    assert (decide(None, event()).outcome, decide(None, event(action="notice", dedup_key="")).outcome) == ("held", "unrouted")


def test_a_sink_that_is_gone_is_still_told_so_that_its_dead_letter_says_so():
    incident = Incident(id="w-0", provider="p", dedup_key="1", status="open", severity="warning", summary="T", opened_at=AT, updated_at=AT, sinks=("gone",))  # fmt: skip
    assert decider(config(provider()), provider())(incident, event(action="resolve")).tell == ("gone",)
