"""What operators read: one line for each fact, with the same keys each time, and nothing in it that a sender could steer by."""

from __future__ import annotations

import io
import json
import logging
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from gateway import telemetry
from gateway.model import Attempt, DeadItem, Delivery, Event, Incident, Receipt, Told, Webhook
from gateway.store import Result
from gateway.values import Secrets

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOOK = Webhook(id="w1", provider="team", received_at=NOON, body=b"{}", client="192.0.2.7")
TOLD = Told(id="w1-0", action="trigger", severity="error", dedup_key="k", incident_id="w1-0", outcome="told", sinks=("main",))
EVENT = Event(
    id="w1-0",
    provider="team",
    action="trigger",
    severity="error",
    summary="s",
    occurred_at="2026-01-01T12:00:00Z",
    received_at="2026-01-01T12:00:00Z",
)
INCIDENT = Incident(
    id="w1-0",
    provider="team",
    dedup_key="k",
    status="open",
    severity="error",
    summary="s",
    opened_at="2026-01-01T12:00:00Z",
    updated_at="2026-01-01T12:00:00Z",
)
OWED = Delivery(id="w1-0.main", seq=1, sink="main", event=EVENT, incident=INCIDENT)
TRY = Attempt(number=2, at=0.0, seconds=0.1234567, verdict="retry", status=503, excerpt="busy", error="answered 503")
TAKEN = {"provider": "team", "webhook_id": "w1", "client": "192.0.2.7"}
TRIED = {"sink": "main", "delivery_id": "w1-0.main", "incident_id": "w1-0", "action": "trigger"}


class Log(io.StringIO):
    """Everything that is logged."""

    def getvalue(self) -> str:
        telemetry.finish()
        return super().getvalue()

    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


def _masked():
    secrets = Secrets({})
    secrets.conceal("s3cret-t0ken")
    secrets.conceal("abc")
    return secrets.mask


@pytest.fixture
def log():
    telemetry.set_up(dev=False, mask=_masked(), stream=(stream := Log()))
    yield stream
    telemetry.set_up(dev=False, mask=str)


def tried(delivery, attempt, state, verdict, due_in=0.0):
    result = Result(delivery=delivery, attempt=attempt, state=state, verdict=verdict, due_at=1000.0 + due_in)
    telemetry.deliveries_tried(delivery.sink, [result], 1000.0)


FACTS = {
    "a webhook is taken": (
        lambda: telemetry.webhook_taken(
            HOOK, Receipt(webhook_id="w1", events=(TOLD,), ignored=1, filtered=2), seconds=0.01234567
        ),
        {
            "level": "info",
            "event": "webhook.taken",
            **TAKEN,
            "outcome": "accepted",
            "events": 1,
            "actions": ["trigger"],
            "incidents": ["w1-0"],
        }
        | {"ignored": 1, "filtered": 2, "dead": [], "bytes": 2, "seconds": 0.012346},
    ),
    "nothing of a webhook could be mapped": (
        lambda: telemetry.webhook_taken(
            HOOK,
            Receipt(
                webhook_id="w1", dead=(DeadItem(index=0, stage="map", reason="summary", message="summary: $.x finds nothing"),)
            ),
            seconds=0,
        ),
        {
            "level": "warning",
            "event": "webhook.taken",
            **TAKEN,
            "outcome": "dead",
            "events": 0,
            "actions": [],
            "incidents": [],
            "ignored": 0,
        }
        | {"filtered": 0, "dead": ["0: summary: $.x finds nothing"], "bytes": 2, "seconds": 0},
    ),
    "a webhook came twice": (
        lambda: telemetry.webhook_taken(HOOK, Receipt(webhook_id="w0", events=(TOLD,), duplicate=True), seconds=0),
        {
            "level": "info",
            "event": "webhook.taken",
            **TAKEN,
            "outcome": "duplicate",
            "events": 1,
            "actions": ["trigger"],
            "incidents": ["w1-0"],
        }
        | {"ignored": 0, "filtered": 0, "dead": [], "bytes": 2, "seconds": 0},
    ),
    "a webhook is refused": (
        lambda: telemetry.webhook_refused(
            "team", stage="verify", reason="mismatch", message="X-Token does not match", status=401, client="192.0.2.7"
        ),
        {"level": "warning", "event": "webhook.refused", "provider": "team", "stage": "verify", "reason": "mismatch"}
        | {"message": "X-Token does not match", "status": 401, "client": "192.0.2.7"},
    ),
    "a try failed": (
        lambda: tried(OWED, TRY, "pending", "answered 503", due_in=4.56789),
        {
            "level": "warning",
            "event": "delivery.tried",
            **TRIED,
            "number": 2,
            "state": "pending",
            "verdict": "answered 503",
            "status": 503,
        }
        | {"seconds": 0.123457, "batch": 1, "retry_in": 4.568},
    ),
    "a delivery was cancelled untried": (
        lambda: tried(OWED, None, "cancelled", "no step applies to it"),
        {
            "level": "info",
            "event": "delivery.tried",
            **TRIED,
            "number": 0,
            "state": "cancelled",
            "verdict": "no step applies to it",
            "status": None,
        }
        | {"seconds": 0, "batch": 0, "retry_in": None},
    ),
    "a delivery is dead": (
        lambda: tried(OWED, TRY, "dead", "answered 503, out of tries"),
        {
            "level": "error",
            "event": "delivery.tried",
            **TRIED,
            "number": 2,
            "state": "dead",
            "verdict": "answered 503, out of tries",
            "status": 503,
        }
        | {"seconds": 0.123457, "batch": 1, "retry_in": None},
    ),
    "a sink is paused": (
        lambda: telemetry.sink_paused("main", "answered 401"),
        {"level": "error", "event": "sink.paused", "sink": "main", "reason": "answered 401"},
    ),
    "a sink is resumed": (lambda: telemetry.sink_resumed("main"), {"level": "info", "event": "sink.resumed", "sink": "main"}),
    "a door is closed": (
        lambda: telemetry.provider_closed("team", "TEAM_TOKEN"),
        {
            "level": "warning",
            "event": "provider.closed",
            "provider": "team",
            "unset": "TEAM_TOKEN",
            "message": "it answers 503 until the secret is set",
        },
    ),
    "something was replayed": (
        lambda: telemetry.replayed("delivery", "w1-0.main", deliveries=1, events=0),
        {"level": "info", "event": "replayed", "kind": "delivery", "id": "w1-0.main", "deliveries": 1, "events": 0},
    ),
    "sinks' certificates are not checked": (
        lambda: telemetry.sinks_unverified(["main"]),
        {
            "level": "warning",
            "event": "sinks.unverified",
            "sinks": ["main"],
            "message": "THEIR CERTIFICATES ARE NOT CHECKED: anybody may pose as them; take `tls.verify: false` away",
        },
    ),
    "a sink has enough for now": (
        lambda: telemetry.sink_rests("main", 2.5),
        {"level": "info", "event": "sink.rests", "sink": "main", "seconds": 2.5},
    ),
    "a sink has enough for an hour": (
        lambda: telemetry.sink_rests("main", 3600.0),
        {"level": "warning", "event": "sink.rests", "sink": "main", "seconds": 3600.0},
    ),
    "no sink is on": (
        telemetry.no_sink_is_on,
        {"level": "warning", "event": "sinks.none", "message": "no sink is on: events are kept, and nobody is told of them"},
    ),
    "an answer has nothing to remember": (
        lambda: telemetry.nothing_to_remember("main", "open", "key: $.id finds nothing"),
        {"level": "warning", "event": "step.forgot", "sink": "main", "step": "open", "message": "key: $.id finds nothing"},
    ),
    "another configuration runs": (
        lambda: telemetry.reloaded(providers=["team"], sinks=["main"], changed=["main"], restart=[]),
        {
            "level": "info",
            "event": "config.reloaded",
            "providers": ["team"],
            "sinks": ["main"],
            "changed": ["main"],
            "restart": [],
        },
    ),
    "another configuration waits in part for a restart": (
        lambda: telemetry.reloaded(providers=[], sinks=[], changed=[], restart=["port"]),
        {"level": "warning", "event": "config.reloaded", "providers": [], "sinks": [], "changed": [], "restart": ["port"]},
    ),
    "another configuration is broken": (
        lambda: telemetry.reload_refused(["a.yaml:1:1: wrong"]),
        {
            "level": "error",
            "event": "config.refused",
            "problems": ["a.yaml:1:1: wrong"],
            "message": "what was loaded before goes on",
        },
    ),
    "rows were forgotten": (lambda: telemetry.pruned(7), {"level": "info", "event": "store.pruned", "rows": 7}),
}


@pytest.mark.parametrize("name", FACTS)
def test_a_fact_is_one_line_with_these_keys(log, name):
    tell, expected = FACTS[name]
    tell()
    (line,) = log.lines()
    at = line.pop("ts")
    assert line == expected
    assert datetime.fromisoformat(at).tzinfo == UTC
    assert list(line)[:2] == ["level", "event"]


NASTY = {
    "a new line": ('x\n{"event":"forged"}', 'x\n{"event":"forged"}'),
    "a carriage return": ("x\ry", "x\\u000dy"),
    "a terminal's colours": ("\x1b[2J\x1b]0;owned\x07", "\\u001b[2J\\u001b]0;owned\\u0007"),
    "a null": ("a\x00b", "a\\u0000b"),
    "letters that turn around": ("\u202egnp.exe", "\\u202egnp.exe"),
    "half a surrogate pair": ("a\ud800b", "a\\ud800b"),
    "lines of other kinds": ("a\u2028b\u2029c\x85d\x0be", "a\u2028b\u2029c\\u0085d\\u000be"),
}


@pytest.mark.parametrize("name", NASTY)
def test_what_a_sender_writes_cannot_forge_a_line_or_steer_a_terminal(log, name):
    sent, shown = NASTY[name]
    telemetry.webhook_refused("team", stage="verify", reason="mismatch", message=sent, status=401, client=sent)
    assert len(log.getvalue().splitlines()) == 1
    assert "\x1b" not in log.getvalue()
    (line,) = log.lines()
    assert (line["message"], line["client"], line["event"]) == (shown, shown, "webhook.refused")


def test_secrets_are_masked_in_every_text_of_a_line(log):
    told = Receipt(webhook_id="w1", dead=(DeadItem(index=0, stage="map", reason="x", message="got s3cret-t0ken"),))
    telemetry.webhook_taken(HOOK, told, seconds=0)
    telemetry.sink_paused("main", "Bearer s3cret-t0ken was refused; abc stays, it is too short to be masked")
    telemetry.provider_closed("team", ["s3cret-t0ken"])
    assert "s3cret-t0ken" not in log.getvalue()
    assert [line.get("dead") or line.get("reason") or line.get("unset") for line in log.lines()] == [
        ["0: got ***"],
        "Bearer *** was refused; abc stays, it is too short to be masked",
        ["***"],
    ]


def test_a_fault_says_where_and_never_what_was_in_it(log):
    with pytest.raises(TypeError) as raised:
        int(["payload of a sender"])
    telemetry.failed_unexpectedly("the door", raised.value)
    (line,) = log.lines()
    assert (line["level"], line["event"], line["where"], line["error"]) == ("error", "gateway.fault", "the door", "TypeError")
    assert line["place"].rpartition(":")[0] == __file__
    assert "payload" not in log.getvalue()


def test_a_line_that_cannot_be_written_stops_nothing(log):
    log.close()
    telemetry.pruned(7)
    telemetry.webhook_taken(HOOK, Receipt(webhook_id="w1"), seconds=0)


def test_what_a_library_says_is_a_line_too_without_what_it_was_about(log):
    """asyncio and others quote the error, and with it perhaps a payload, from the second line on."""
    logging.getLogger("some.library").warning("slow %s s3cret-t0ken", "x" * 490)
    logging.getLogger("some.library").error("a task failed\nfuture: ValueError('payload')", exc_info=ValueError("payload"))
    logging.getLogger("some.library").info("nothing of interest")
    slow, failed = [{key: value for key, value in line.items() if key != "ts"} for line in log.lines()]
    assert slow == {
        "level": "warning",
        "event": "library.said",
        "library": "some.library",
        "message": "slow " + "x" * 490 + " ***",
        "error": "",
    }
    assert failed == {
        "level": "error",
        "event": "library.said",
        "library": "some.library",
        "message": "a task failed",
        "error": "ValueError",
    }


def test_the_tries_of_a_batch_are_counted_one_by_one_and_their_time_once():
    at = [Attempt(number=1, at=at, seconds=0.5, verdict="delivered", status=200, batch=2) for at in (7.0, 7.0, 8.0)]
    lost = Attempt(number=1, at=9.0, seconds=1.0, verdict="retry", error="no connection")
    owed = [replace(OWED, sink="batches") for _ in range(5)]
    results = [
        Result(delivery=delivery, attempt=attempt, state="delivered" if attempt in at else "pending")
        for delivery, attempt in zip(owed, [*at, lost, None], strict=True)
    ]
    telemetry.deliveries_tried("batches", results, 10.0)
    shown = telemetry.metrics({})[0].decode().splitlines()
    assert [line for line in shown if 'sink="batches"' in line and ("_total{" in line or "_count{" in line)] == [
        'gateway_attempts_total{code="2xx",sink="batches",verdict="delivered"} 3.0',
        'gateway_attempts_total{code="none",sink="batches",verdict="retry"} 1.0',
        'gateway_attempt_seconds_count{sink="batches"} 3.0',
    ]
