"""`gateway try`: what a payload becomes, and with --explain which line of YAML made it."""

from __future__ import annotations

import json
import re

import msgspec
import pytest

from gateway.cli.explain import Made, document_of, explain
from gateway.config import load
from gateway.expr import rfc3339
from gateway.model import DeadItem, Event
from gateway.reading import understand
from gateway.trials import NOW, sample_webhook

BASE = """title: Base
auth: { scheme: token, header: X-Token, token: { env: T } }
let:
  host: "{{ item.host or item.node }}"
map:
  action: { default: trigger }
  dedup_key: $.id
  severity: { default: error }
  summary: "{{ host }} is {{ item.state }}"
"""
TEAM = """like: base
cases:
  - when: "{{ headers['x-kind'] == 'note' }}"
    map:
      action: { default: notice }
      summary: $.text
  - when: "{{ payload.alerts }}"
    events: $.alerts[*]
    let:
      key: "k-{{ item.id }}"
    map:
      action:
        from: $.state
        table:
          down: trigger
          "re*": resolve
          skip: ignore
        absent: trigger
      dedup_key: "{{ key }}"
      severity:
        from: $.level
        table: { "4..6.9": warning, "7..": critical }
        default: info
      labels: { host: "{{ host }}" }
"""
SINK = 'title: Main\nmatch: { min_severity: error }\nrequest: { url: "http://main.test" }\n'
CONF = {
    "conf/providers.d/base.yaml": BASE,
    "conf/providers.d/team.yaml": TEAM,
    "conf/sinks.d/main.yaml": SINK,
    "conf/gateway.yaml": "catalogue: false\n",
}
BODY = {
    "alerts": [
        {"id": 1, "host": "db-1", "state": "down", "level": 8},
        {"id": 1, "node": "db-1", "state": "reset", "level": 5},
        {"id": 2, "host": "db-2", "state": "skip"},
        {"id": 3, "host": "db-3", "state": "odd"},
        {"id": 4, "host": "\x1b[31mdb-4", "level": 1},
    ]
}
TEAM_FILE, BASE_FILE = "conf/providers.d/team.yaml", "conf/providers.d/base.yaml"
EXPLAINED = f"""verify     skipped: nothing is checked here; the door itself wants the scheme token (X-Token)
decode     json, 227 bytes: 1 payload
map        item 1, $['alerts'][0]; cases[1] speaks: {{{{ payload.alerts }}}}  <- {TEAM_FILE}:7
  let host     db-1  <- {BASE_FILE}:4  {{{{ item.host or item.node }}}}
  let key      k-1  <- {TEAM_FILE}:10  k-{{{{ item.id }}}}
  action       trigger  <- {TEAM_FILE}:15  $.state, table.down
  dedup_key    k-1  <- {TEAM_FILE}:19  {{{{ key }}}}
  severity     critical  <- {TEAM_FILE}:22  $.level, table["7.."]
  summary      db-1 is down  <- {BASE_FILE}:9  {{{{ host }}}} is {{{{ item.state }}}}
  labels       {{"host":"db-1"}}  <- {TEAM_FILE}:24  {{"host":"{{{{ host }}}}"}}
  occurred_at  NOW  <- nothing says it: the time it was received
lifecycle  opens an incident, if none is open with its key
route      main
map        item 2, $['alerts'][1]; cases[1] speaks: {{{{ payload.alerts }}}}  <- {TEAM_FILE}:7
  let host     db-1  <- {BASE_FILE}:4  {{{{ item.host or item.node }}}}
  let key      k-1  <- {TEAM_FILE}:10  k-{{{{ item.id }}}}
  action       resolve  <- {TEAM_FILE}:16  $.state, table["re*"]
  dedup_key    k-1  <- {TEAM_FILE}:19  {{{{ key }}}}
  severity     warning  <- {TEAM_FILE}:22  $.level, table["4..6.9"]
  summary      db-1 is reset  <- {BASE_FILE}:9  {{{{ host }}}} is {{{{ item.state }}}}
  labels       {{"host":"db-1"}}  <- {TEAM_FILE}:24  {{"host":"{{{{ host }}}}"}}
  occurred_at  NOW  <- nothing says it: the time it was received
lifecycle  resolves the incident with its key, if one is open
route      main
map        item 3, $['alerts'][2]; cases[1] speaks: {{{{ payload.alerts }}}}  <- {TEAM_FILE}:7
  action       ignore  <- {TEAM_FILE}:17  $.state, table.skip
           ignored, on purpose
map        item 4, $['alerts'][3]; cases[1] speaks: {{{{ payload.alerts }}}}  <- {TEAM_FILE}:7
  action       (nothing)  <- {TEAM_FILE}:14  $.state, table
dead       action: 'odd' is in no row of the table, and there is no default  <- {TEAM_FILE}:14
map        item 5, $['alerts'][4]; cases[1] speaks: {{{{ payload.alerts }}}}  <- {TEAM_FILE}:7
  let host     \\u001b[31mdb-4  <- {BASE_FILE}:4  {{{{ item.host or item.node }}}}
  let key      k-4  <- {TEAM_FILE}:10  k-{{{{ item.id }}}}
  action       trigger  <- {TEAM_FILE}:18  $.state, absent
  dedup_key    k-4  <- {TEAM_FILE}:19  {{{{ key }}}}
  severity     info  <- {TEAM_FILE}:23  $.level, default
  summary      (nothing)  <- {BASE_FILE}:9  {{{{ host }}}} is {{{{ item.state }}}}
dead       summary: {{{{ host }}}} is {{{{ item.state }}}}: item.state finds nothing  <- {BASE_FILE}:9
1 ignored, 0 dropped by the provider's match
"""


def test_each_item_is_explained_stage_by_stage_with_the_line_that_made_each_field(gateway):
    done = gateway(
        "try", "team", "-", "--config", "conf", "--explain", stdin=json.dumps(BODY, separators=(",", ":")).encode(), files=CONF
    )
    got = re.sub(r"(occurred_at )\s\S+", r"\1 NOW", done.out)
    assert (done.code, got, done.err) == (1, EXPLAINED, "")


def test_the_case_that_speaks_is_the_one_whose_lines_are_shown(gateway):
    done = gateway(
        "try", "team", "-", "--config", "conf", "--explain", "-H", "X-Kind: note", stdin=b'{"text": "hello"}', files=CONF
    )
    assert done.code == 0
    assert (
        "map        item 1, $; cases[0] speaks: {{ headers['x-kind'] == 'note' }}  <- conf/providers.d/team.yaml:3\n" in done.out
    )
    assert "  action       notice  <- conf/providers.d/team.yaml:5  a constant, default\n" in done.out
    assert "  severity     error  <- conf/providers.d/base.yaml:8  a constant, default\n" in done.out
    assert "  summary      hello  <- conf/providers.d/team.yaml:6  $.text\n" in done.out
    assert "lifecycle  a notice: it touches no incident\nroute      main\n" in done.out


def test_a_payload_that_no_case_speaks_of_says_so(gateway):
    done = gateway("try", "team", "-", "--config", "conf", "--explain", stdin=b"{}", files=CONF)
    shown = (
        "verify     skipped: nothing is checked here; the door itself wants the scheme token (X-Token)\n"
        "decode     json, 2 bytes: 1 payload\n"
        "1 ignored, 0 dropped by the provider's match\n"
    )
    assert done == (0, shown, "")


def test_without_explain_events_are_shown_plainly(gateway):
    done = gateway(
        "try",
        "team",
        "-",
        "--config",
        "conf",
        stdin=b'{"alerts": [{"id": 1, "host": "db-1", "state": "down", "level": 8}]}',
        files=CONF,
    )
    assert done.code == 0
    assert [line for line in done.out.splitlines() if "occurred_at" not in line] == [
        "event 1",
        "  provider     team",
        "  action       trigger",
        "  dedup_key    k-1",
        "  severity     critical",
        "  summary      db-1 is down",
        '  labels       {"host":"db-1"}',
        "  sinks        main",
    ]


def test_for_a_machine_everything_is_data(gateway):
    done = gateway(
        "try", "team", "-", "--config", "conf", "--explain", "--format", "json", stdin=json.dumps(BODY).encode(), files=CONF
    )
    got = json.loads(done.out)
    assert [(each["outcome"], each["sinks"]) for each in got["events"]] == [("told", ["main"]), ("told", ["main"])]
    assert (got["ignored"], got["filtered"], [dead["index"] for dead in got["dead"]]) == (1, 0, [3, 4])
    assert next(made for made in got["explained"][0]["made"] if made["name"] == "action") == {
        "name": "action",
        "value": "trigger",
        "file": "conf/providers.d/team.yaml",
        "line": 15,
        "expression": "$.state, table.down",
    }


REFUSED = {
    b"{": (1, "", "refused in decode with 400: the body is not JSON: Input data was truncated\n"),
    b"": (1, "", "refused in decode with 400: the body is not JSON: it is empty\n"),
}


@pytest.mark.parametrize("body", REFUSED)
def test_a_body_that_the_door_would_refuse_is_a_problem(gateway, body):
    assert gateway("try", "team", "-", "--config", "conf", "--explain", stdin=body, files=CONF) == REFUSED[body]


MANY_WAYS = {
    **CONF,
    "conf/providers.d/asked.yaml": """
title: Asked
auth: { scheme: token, query: key, token: { env: ASKED_TOKEN } }
methods: [ GET ]
delivery_id: $.nr
map:
  action: { default: trigger }
  dedup_key: $.id
  severity: { default: error }
  summary: $.text
  occurred_at: $.at
  details: $
""",
}


def test_a_delivery_id_and_a_time_that_is_none_are_told_and_long_values_are_cut(gateway):
    query = ["-q", "id=1", "-q", "nr=n-7", "-q", "at=yesterday", "-q", f"text={'x' * 300}"]
    done = gateway("try", "asked", "-", "-X", "GET", "--config", "conf", "--explain", *query, stdin=b"", files=MANY_WAYS)
    assert done.code == 0
    assert "delivery   n-7: one seen before is not taken again\n" in done.out
    assert f"  summary      {'x' * 119}…  <- conf/providers.d/asked.yaml:10  $.text\n" in done.out
    assert "Z (the time it was received: yesterday is no time)  <- conf/providers.d/asked.yaml:11  $.at\n" in done.out


def test_a_method_that_the_door_refuses_is_refused(gateway):
    done = gateway("try", "asked", "-", "--config", "conf", stdin=b"{}", files=MANY_WAYS)
    assert (done.code, done.err.splitlines()[-1]) == (2, "Error: asked takes GET here, not 'POST'")


CONFIG = load(None, {}, tests=True)
SAMPLES = [(name, test) for name, provider in CONFIG.providers.items() for test in provider.tests]


@pytest.mark.parametrize("name, test", SAMPLES, ids=lambda value: value if isinstance(value, str) else value.name)
def test_of_every_shipped_sample_each_field_is_explained_by_a_line_that_names_it(name, test):
    provider, document = CONFIG.providers[name], document_of(None, "providers.d", name)
    webhook = sample_webhook(name, test.webhook, test.now or NOW)
    understood, lines = understand(provider, webhook), document.text.splitlines()
    if understood.handshake is not None:
        return
    items = explain(provider, document, webhook)
    told = [item.became for item in items if isinstance(item.became, Event)]
    assert [event for event in told if provider.match.holds(event) and provider.match.wants(event.action)] == list(
        understood.events
    )
    assert [item.became for item in items if isinstance(item.became, DeadItem)] == list(understood.dead)
    for item in items:
        unsettled = isinstance(item.became, DeadItem) and item.became.message.startswith("let.")  # before any case spoke
        assert (item.case is None) is (not provider.cases or unsettled)
        for made in item.made:
            assert _word(made) in lines[made.line - 1], (made, lines[made.line - 1])
        if isinstance(item.became, Event):
            known = {made.name for made in item.made if made.value is not None} | {"occurred_at"}
            said = {key for key, value in msgspec.to_builtins(item.became).items() if value} - {
                "id",
                "version",
                "webhook_id",
                "provider",
                "received_at",
                "project",
            }
            assert said <= known
            if "occurred_at" not in {made.name for made in item.made}:
                assert item.became.occurred_at == rfc3339(webhook.received_at)


def _word(made: Made) -> str:
    """What must stand in the line that made a value: its own key, or the row of its table."""
    expression, _, row = made.expression.rpartition(", ")
    if not expression or not row.startswith(("table", "default", "absent", "from")):
        return made.name.removeprefix("let ")
    return row.removeprefix("table").strip('.[]"') or "table"
