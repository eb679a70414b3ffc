"""What validate, test, show and schema print, for people and for machines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.config.effective import effective
from gateway.config.files import catalogue_sources, sources_in

TEAM = """title: Team
auth: { scheme: token, header: X-Token, token: { env: TEAM_TOKEN } }
map:
  action: { from: $.state, table: { down: trigger, up: resolve } }
  dedup_key: $.id
  severity: { default: error }
  summary: $.text
tests:
  - name: it works
    webhook: { payload: { id: "1", state: down, text: disk } }
    expect: [ { action: trigger, dedup_key: "1", summary: disk } ]
  - name: it does not
    webhook: { payload: { id: "1", state: down, text: "a\\u001b[31mred" } }
    expect: [ { action: resolve, severity: critical, labels: { host: db } } ]
"""
PAGER = """title: Pager
vars: { url: { env: PAGER_URL } }
secrets: { key: { env: PAGER_KEY } }
request: { url: "{{ vars.url }}/a", headers: { Authorization: "Bearer {{ secrets.key }}" }, json: { id: $.id } }
tests:
  - name: one request
    event: { id: e1, action: trigger, summary: disk }
    expect: { requests: [ { url: "https://url.test/b", json: { id: e2 } } ], verdict: retry }
"""
CONF = {"conf/providers.d/team.yaml": TEAM, "conf/sinks.d/pager.yaml": PAGER}
BAD = "title: Bad\nauth: { scheme: none, because: tests }\nmap: { summry: x }\n"
ALONE = {"conf/gateway.yaml": "catalogue: false\n"}


@pytest.mark.parametrize(
    "path, said",
    [
        ("conf", "3 files, no problems\n"),
        ("conf/providers.d", "1 file, no problems\n"),
        ("conf/sinks.d/pager.yaml", "1 file, no problems\n"),
    ],
)
def test_right_files_are_counted(gateway, path, said):
    assert gateway("validate", path, files=CONF | ALONE) == (0, said, "")


def test_a_settings_file_alone_is_a_file(gateway):
    assert gateway("validate", files={"gateway.yaml": "port: 8080\n"}) == (0, "1 file, no problems\n", "")
    done = gateway("validate", "gateway.yaml", files={"gateway.yaml": "prot: 8080\n"})
    lines = done.out.splitlines()
    assert (done.code, lines[0], lines[-1], done.err) == (
        1,
        "gateway.yaml:1:1: prot: unknown key [unknown-key]",
        "1 problem in 1 file",
        "",
    )


def test_problems_are_the_output_each_with_its_line_and_mend(gateway):
    done = gateway("validate", "conf", files={"conf/providers.d/bad.yaml": BAD})
    shown = (
        "conf/providers.d/bad.yaml:3:8: map.summry: unknown key [unknown-key]\n"
        "      3 | map: { summry: x }\n"
        "        |        ^\n"
        "    help: did you mean `summary`?\n\n"
        "1 problem in 1 file\n"
    )
    assert done == (1, shown, "")


def test_problems_for_machines(gateway):
    files = {"conf/providers.d/bad.yaml": BAD}
    (problem,) = json.loads(gateway("validate", "conf", "--format", "json", files=files).out)
    assert (problem["file"], problem["line"], problem["rule"]) == ("conf/providers.d/bad.yaml", 3, "unknown-key")
    assert gateway("validate", "conf", "--format", "github").out.startswith(
        "::error file=conf/providers.d/bad.yaml,line=3,col=8::"
    )
    assert json.loads(gateway("validate", "conf", "--format", "sarif").out)["version"] == "2.1.0"
    assert gateway("validate", "right.yaml", "--format", "github", files={"right.yaml": PAGER}) == (0, "", "")
    assert gateway("validate", "right.yaml", "--format", "json") == (0, "[]\n", "")


UNREADABLE = """\
conf/providers.d/folder.yaml:1:1: the file cannot be read: Is a directory [file]
    help: put a plain file that may be read here

1 problem in 1 file
"""


def test_a_file_that_cannot_be_read_is_named(gateway, tmp_path):
    (tmp_path / "conf" / "providers.d" / "folder.yaml").mkdir(parents=True)
    assert gateway("validate", "conf") == (1, UNREADABLE, "")


def test_nothing_of_a_file_that_a_link_leads_to_is_shown(gateway, tmp_path):
    (tmp_path / "conf" / "providers.d").mkdir(parents=True)
    (tmp_path / "passwd").write_text("root:x:0:0")
    (tmp_path / "conf" / "providers.d" / "team.yaml").symlink_to(tmp_path / "passwd")
    done = gateway("validate", "conf")
    assert (done.code, "root" in done.out + done.err) == (1, False)
    assert "team.yaml:1:1: this is a link that leads out of the configuration [file]" in done.out


FAILED = """FAILED conf/providers.d/team.yaml:12: it does not
    event 1.action: expected "resolve", got "trigger"
    event 1.severity: expected "critical", got "error"
    event 1.labels.host: expected "db", got nothing
FAILED conf/sinks.d/pager.yaml:6: one request
    request 1.url: expected "https://url.test/b", got "https://url.test/a"
    request 1.json.id: expected "e2", got "e1"
    verdict: expected "retry", got "delivered" (answered 200)
1 passed, 2 failed (2 files)
"""


def test_a_test_that_fails_says_which_field_what_was_wanted_and_what_came(gateway):
    done = gateway("test", "team", "pager", "--config", "conf", files=CONF)
    assert done == (1, FAILED, "")


def test_tests_for_machines(gateway):
    done = gateway("test", "providers.d/team", "--config", "conf", "--format", "json", files=CONF)
    assert (done.code, done.err) == (1, "")
    assert json.loads(done.out) == [
        {"file": "providers.d/team", "name": "it works", "failures": []},
        {
            "file": "providers.d/team",
            "name": "it does not",
            "failures": [
                'event 1.action: expected "resolve", got "trigger"',
                'event 1.severity: expected "critical", got "error"',
                'event 1.labels.host: expected "db", got nothing',
            ],
            "path": "conf/providers.d/team.yaml",
            "line": 12,
        },
    ]


def test_the_shipped_tests_pass_without_any_environment(gateway, monkeypatch):
    for name in ("PATH", "HOME", "LANG"):
        monkeypatch.delenv(name, raising=False)
    done = gateway("test")
    assert (done.code, done.err) == (0, "")
    assert done.out.endswith(f" passed, 0 failed ({len(catalogue_sources())} files)\n")


def test_a_file_with_problems_is_not_tested(gateway):
    done = gateway("test", "--config", "conf", files={"conf/providers.d/bad.yaml": BAD})
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("conf/providers.d/bad.yaml:3:8: map.summry: unknown key")


CHILD = 'like: team\nproject: acme\nlifecycle: { resolve_after: 90m }\nmap: { summary: "acme: {{ item.text }}" }\n'
WHOLE = """# conf/providers.d/acme.yaml
title: Team
auth:
  scheme: token
  header: X-Token
  token:
    env: TEAM_TOKEN
map:
  action:
    from: $.state
    table:
      down: trigger
      up: resolve
  dedup_key: $.id
  severity:
    default: error
  summary: 'acme: {{ item.text }}'
project: acme
lifecycle:
  resolve_after: 90m
  repeats: hold
  refires: hold
events: $
methods:
  - POST
body:
  format: json
  many: false
  lenient: false
  limit: 1MiB
"""


def test_a_whole_file_is_what_it_inherits_and_every_default(gateway):
    assert gateway("show", "acme", "--config", "conf", files=CONF | {"conf/providers.d/acme.yaml": CHILD}) == (0, WHOLE, "")
    assert json.loads(gateway("show", "providers.d/acme", "--config", "conf", "--format", "json").out)["lifecycle"] == {
        "resolve_after": "90m",
        "repeats": "hold",
        "refires": "hold",
    }


def test_a_sink_is_shown_with_its_references_and_never_a_secret(gateway):
    done = gateway("show", "pager", "--config", "conf", files=CONF, PAGER_KEY="s3cret-key", PAGER_URL="http://x")
    assert (done.code, "env: PAGER_KEY" in done.out, "s3cret-key" in done.out + done.err) == (0, True, False)
    assert done.out.endswith(
        "retry:\n  attempts: 8\n  first_delay: 5s\n  max_delay: 15m\n  unknown: resend\nlimits:\n  concurrency: 4\n  timeout: 10s\nbreaker:\n  failures: 10\n  pause: 1m\n"
    )


@pytest.mark.parametrize("source", catalogue_sources(), ids=lambda source: f"{source.kind}/{source.name}")
def test_what_is_shown_is_a_file_that_says_the_same(gateway, tmp_path, source):
    key = f"{source.kind}/{source.name}"
    shown = gateway("show", key).out
    file = f"again/{source.kind}/{source.name}.yaml"
    done = gateway("validate", "again", files={file: shown})
    assert done == (0, "1 file, no problems\n", ""), done.out
    (again,) = sources_in(Path("again"))
    assert effective(again, {}) == effective(source, {})


def test_the_list_names_every_file_and_where_it_comes_from(gateway):
    done = gateway("show", "--config", "conf", files=CONF)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "providers.d"
    assert {"  prometheus           shipped", "  team                 conf/providers.d/team.yaml", "sinks.d"} < set(lines)
    rows = json.loads(gateway("show", "--config", "conf", "--format", "json").out)
    assert {"kind": "sinks.d", "name": "pager", "file": "conf/sinks.d/pager.yaml", "shipped": False} in rows
    assert len(rows) == len(catalogue_sources()) + 2


def test_a_name_that_two_things_have_is_asked_about(gateway):
    done = gateway("show", "team", "--config", "conf", files=CONF | {"conf/sinks.d/team.yaml": PAGER})
    assert (done.code, done.err.splitlines()[-1]) == (
        2,
        "Error: 'team' is a provider and a sink; say providers.d/team or sinks.d/team",
    )


@pytest.mark.parametrize("name", ["provider", "sink", "settings", "event"])
def test_a_schema_is_printed_as_it_is_written(gateway, name):
    assert gateway("schema", "--write", "out") == (0, "", "")
    assert gateway("schema", name) == (0, Path(f"out/{name}.schema.json").read_text(), "")
    assert gateway("schema", "--check", "out") == (0, "", "")


def test_a_schema_that_drifted_is_named_with_the_mend(gateway):
    gateway("schema", "--write", "out")
    Path("out/sink.schema.json").write_text("{}")
    Path("out/event.schema.json").unlink()
    said = "out/{}.schema.json is not what the structs say; run: gateway schema --write out\n"
    assert gateway("schema", "--check", "out") == (1, "", said.format("sink") + said.format("event"))


def test_of_a_configuration_its_own_files_are_tested_and_those_without_tests_are_named(gateway):
    quiet = {**CONF, "conf/providers.d/quiet.yaml": "like: team\n", "conf/gateway.yaml": "catalogue: true\n"}
    done = gateway("test", "--config", "conf", files=quiet)
    assert (done.code, done.err) == (1, "")
    assert done.out.splitlines()[-2] == "1 passed, 2 failed (2 files)"
    assert done.out.splitlines()[-1] == "without tests: providers.d/quiet"
    assert "prometheus" not in done.out
