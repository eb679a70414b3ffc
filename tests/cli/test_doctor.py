"""`gateway doctor`: one line for each thing it looks at, and what to do about it."""

from __future__ import annotations

import json
import re
import socket
import sys

import apsw
import pytest

from gateway.cli.doctor import Finding, _clock, _descriptors, _memory
from gateway.store import look_over

SINK = 'title: S\nvars: { url: { env: SINK_URL } }\nrequest: { url: "{{ vars.url }}/x", json: { a: b } }\n'
BY_EVENT = 'title: S\nrequest: { url: "http://localhost/{{ event.id }}", json: { a: b } }\n'


def said(done):
    return [re.sub(r"\S+Z|[0-9,]+ MiB|[0-9]{4,}", "#", line) for line in done.out.splitlines()]


@pytest.fixture(autouse=True)
def unlimited(monkeypatch, tmp_path):
    """The machine of the tests may have a limit of its own."""
    monkeypatch.setattr(sys.modules["gateway.cli.doctor"], "CGROUP", tmp_path / "no-cgroup")


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_where_all_is_well_it_says_so(gateway, port):
    done = gateway("doctor", "--config", "conf", files={"conf/gateway.yaml": f"port: {port}\n", "conf/sinks.d/s.yaml": BY_EVENT})
    assert done.code == 0
    assert said(done) == [
        "ok    descriptors: #",
        "ok    memory: no limit is set",
        "ok    clock: #",
        "ok    configuration: providers: 46, sinks on: 1",
        f"ok    port: 127.0.0.1:{'#' if port > 999 else port} is free",
        "ok    store: gateway.db will be made; # are free",
    ]


def test_what_is_wrong_is_said_with_what_to_do(gateway, tmp_path):
    files = {
        "conf/gateway.yaml": "secrets_dir: secrets\nstore: sqlite:///conf/x.db\n",
        "conf/secrets/token": "t",
        "conf/x.db": "this is no database, it only looks like a file that might be one",
        "conf/sinks.d/off.yaml": SINK.replace("SINK_URL", "NOBODY_SETS_THIS"),
        "conf/sinks.d/s.yaml": 'title: S\nrequest: { url: "http://nowhere.invalid/x", json: { a: b } }\n',
        "conf/providers.d/team.yaml": "title: T\nauth: { scheme: bearer, token: { env: NOR_THIS } }\n"
        "map: { action: { default: notice }, severity: { default: info }, summary: s }\n",
    }
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        files["conf/gateway.yaml"] += f"port: {taken.getsockname()[1]}\n"
        done = gateway("doctor", "--config", "conf", files=files)
    assert done.code == 1
    assert said(done)[4:] == [
        "warn  provider team: it answers 503",
        "      mend: set NOR_THIS",
        "warn  sink off: it is off: NOBODY_SETS_THIS is not set",
        "      mend: set it, or take the file away",
        "warn  secrets_dir: everybody may read token",
        "      mend: chmod -R o-r conf/secrets",
        "warn  port: 127.0.0.1:#: address already in use",
        "      mend: fine if that is this gateway; else stop the other, or choose another port",
        "fail  store: conf/x.db: the file is not a SQLite database",
        "      mend: name another one (file is not a database)",
        "warn  sink s: the name 'nowhere.invalid' cannot be resolved from here",
        "      mend: check it, and the network",
    ]


def test_a_broken_configuration_ends_it(gateway):
    done = gateway("doctor", "--config", "conf", files={"conf/providers.d/team.yaml": "title: [\n"})
    assert (done.code, said(done)[3:]) == (1, ["fail  configuration: 1 problem", "      mend: run gateway validate"])


def test_for_a_machine_it_is_data_and_no_secret_is_in_it(gateway):
    files = {"conf/sinks.d/s.yaml": SINK.replace("vars: { url", "secrets: { url").replace("vars.url", "secrets.url")}
    done = gateway("doctor", "--config", "conf", "--format", "json", files=files, SINK_URL="http://localhost/s3cret-part")
    found = {each["what"]: each for each in json.loads(done.out)}
    assert found["sink s"] == {"state": "ok", "what": "sink s", "detail": "localhost can be resolved", "mend": ""}
    assert "s3cret" not in done.out + done.err


def test_a_database_that_a_gateway_has_is_left_alone(tmp_path):
    path = tmp_path / "gateway.db"
    db = apsw.Connection(str(path))
    db.execute("create table a (b); insert into a values (1)")
    db.close()
    assert re.fullmatch(re.escape(str(path)) + r" is whole; [0-9,]+ MiB are free", look_over(f"sqlite:///{path}"))


def test_a_clock_before_our_time_is_wrong_and_few_descriptors_are_said(monkeypatch):
    assert _clock(0.0) == Finding(
        "fail", "clock", "1970-01-01T00:00:00Z lies before this was written", "set it: signatures with a time are refused"
    )
    monkeypatch.setattr("resource.getrlimit", lambda which: (256, 512))
    assert _descriptors() == Finding(
        "warn", "descriptors", "512, so few connections are taken", "raise it (ulimit -n, LimitNOFILE=)"
    )


def test_a_secret_in_the_name_of_a_host_is_not_shown(gateway):
    sink = 'title: S\nsecrets: { key: { env: KEY } }\nrequest: { url: "https://{{ secrets.key }}.invalid/x", json: { a: b } }\n'
    done = gateway("doctor", "--config", "conf", files={"conf/sinks.d/s.yaml": sink}, KEY="s3cret-key")
    assert "warn  sink s: the name '***.invalid' cannot be resolved from here" in done.out.splitlines()
    assert "s3cret" not in done.out + done.err


def test_secrets_in_directories_below_and_the_directory_itself_are_looked_at(gateway, tmp_path):
    files = {"conf/gateway.yaml": "secrets_dir: secrets\n", "conf/secrets/a/b/token": "t", "conf/secrets/well": "t"}
    (tmp_path / "conf" / "secrets" / "a" / "b").mkdir(parents=True)
    (tmp_path / "conf" / "secrets" / "well").write_text("t")
    (tmp_path / "conf" / "secrets" / "well").chmod(0o600)
    done = gateway("doctor", "--config", "conf", files=files)
    assert "warn  secrets_dir: everybody may read a/b/token" in done.out.splitlines()
    assert "      mend: chmod -R o-r conf/secrets" in done.out.splitlines()
    (tmp_path / "conf" / "secrets").chmod(0o750)
    done = gateway("doctor", "--config", "conf", files=files)
    assert "ok    secrets_dir: conf/secrets" in done.out.splitlines(), "nobody else gets as far as the files"


def test_little_memory_is_said(tmp_path):
    (tmp_path / "memory.max").write_text("134217728\n")
    assert _memory(tmp_path) == Finding(
        "warn", "memory", "128 MiB at most, and a burst takes more", "allow 256 MiB (memory.max, MemoryMax=, --memory)"
    )
    (tmp_path / "memory.max").write_text("536870912\n")
    assert _memory(tmp_path) == Finding("ok", "memory", "512 MiB at most")
    (tmp_path / "memory.max").write_text("max\n")
    assert _memory(tmp_path) == Finding("ok", "memory", "no limit is set")
    assert _memory(tmp_path / "nowhere") == Finding("ok", "memory", "no limit is set")


def test_an_old_sqlite_is_a_failure(gateway, port, monkeypatch):
    monkeypatch.setattr("apsw.sqlite_lib_version", lambda: "3.51.2")
    done = gateway("doctor", "--config", "conf", files={"conf/gateway.yaml": f"port: {port}\n"})
    assert done.code == 1
    assert done.out.splitlines()[-2:] == [
        "fail  store: SQLite 3.51.2 can damage a database in WAL mode",
        "      mend: 3.51.3 or newer is needed: pip install -U apsw",
    ]
