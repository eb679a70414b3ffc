"""The server as a process: starting, stopping, refusing to start; sinks that fail in their several ways; replays."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from pathlib import Path

import pytest

from .stand import ADMIN, COMMAND, Gateway, Receiver, call, wait_for

SINK = """
title: {name}
vars: {{ url: {{ env: {variable} }} }}
request: {{ url: "{{{{ vars.url }}}}/{name}", json: {{ id: $.id, action: $.action, summary: $.summary }} }}
limits: {{ concurrency: 2, timeout: {timeout} }}
retry: {{ attempts: {attempts}, first_delay: 100ms, max_delay: 200ms }}
breaker: {{ failures: 100, pause: 300ms }}
"""


def config(folder: Path, **sinks: dict) -> Path:
    root = folder / "conf"
    (root / "sinks.d").mkdir(parents=True, exist_ok=True)
    (root / "providers.d").mkdir(exist_ok=True)
    for name, more in sinks.items():
        settings = {"variable": f"{name.upper()}_URL", "timeout": "2s", "attempts": 20} | more
        (root / "sinks.d" / f"{name}.yaml").write_text(SINK.format(name=name, **settings))
    return root


def alert(fingerprint: str, status: str = "firing") -> dict:
    return {"alerts": [{"status": status, "labels": {"alertname": fingerprint, "severity": "error"}, "fingerprint": fingerprint}]}


def fire(gateway: Gateway, fingerprint: str, status: str = "firing") -> dict:
    code, receipt = gateway.post("/webhooks/prometheus", alert(fingerprint, status), authorization="Bearer t0ken")
    assert code == 202, receipt
    return receipt


def started(folder: Path, root: Path, **env: str) -> Gateway:
    return Gateway(folder, config=root, env={"PROMETHEUS_TOKEN": "t0ken"} | env)


def test_a_term_signal_ends_what_is_under_way_and_loses_nothing(tmp_path):
    asked, heard = threading.Event(), threading.Event()  # it answers only once the signal is well under way
    slow = lambda path, headers, body: (asked.set(), heard.wait(10), (200, {}, b"{}"))[2]  # noqa: E731
    with Receiver(slow) as receiver, started(tmp_path, config(tmp_path, main={}), MAIN_URL=receiver.url) as gateway:
        for number in range(6):
            fire(gateway, f"a{number}")
        assert asked.wait(10)
        began = time.monotonic()
        threading.Timer(1.0, heard.set).start()
        assert gateway.stop() == 0
        assert time.monotonic() - began < 10
        assert receiver.got
        gateway.start()
        wait_for("the rest", gateway.drained)
        gateway.assert_conserved()
        ids = [document["id"] for document in receiver.documents()]
    assert len(ids) == len(set(ids)) == 6, "a clean stop doubles nothing"


def refusal(gateway: Gateway, *more: str) -> tuple[int, str]:
    done = subprocess.run(
        [*gateway.arguments(), *more],
        env=gateway.env,
        cwd=gateway.folder,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_second_process_on_the_same_database_is_refused(tmp_path):
    with started(tmp_path, config(tmp_path)) as gateway:
        second = Gateway(tmp_path, config=gateway.config, env={"PROMETHEUS_TOKEN": "t0ken"})
        code, said = refusal(second)
    assert code == 3
    assert "gateway.db" in said
    assert "is in use by process" in said
    assert "one gateway at a time may have it" in said


def test_a_wrong_configuration_stops_the_start_and_every_problem_is_printed(tmp_path):
    root = config(tmp_path)
    (root / "providers.d" / "bad.yaml").write_text("title: Bad\nauth: { scheme: hmak }\nmap: { summry: x }\n")
    (root / "sinks.d" / "worse.yaml").write_text("titel: Worse\n")
    code, said = refusal(Gateway(tmp_path, config=root))
    assert code == 1
    assert "providers.d/bad.yaml:2:17" in said
    assert "providers.d/bad.yaml:3:8" in said
    assert "sinks.d/worse.yaml:1:1" in said
    assert not (tmp_path / "gateway.db").exists()


def test_dev_mode_refuses_an_address_that_others_reach(tmp_path):
    code, said = refusal(Gateway(tmp_path, dev=True), "--host", "0.0.0.0")
    assert code == 2
    assert "--dev opens doors, so it listens on loopback only" in said


def test_a_hanging_sink_does_not_hold_up_a_healthy_one(tmp_path):
    hang = lambda path, headers, body: (time.sleep(1.5), (200, {}, b"{}"))[1]  # noqa: E731
    with Receiver(hang) as sick, Receiver() as well:
        root = config(tmp_path, sick={"timeout": "500ms"}, well={})
        with started(tmp_path, root, SICK_URL=sick.url, WELL_URL=well.url) as gateway:
            began = time.monotonic()
            for number in range(20):
                fire(gateway, f"a{number}")
            wait_for("the healthy sink", lambda: len(well.got) == 20, 3)
            took = time.monotonic() - began
            counts = gateway.assert_conserved()
    assert took < 3
    assert counts["sick"]["delivered"] < 20


def test_a_sink_that_asks_for_time_gets_it(tmp_path):
    answers = [(503, {"retry-after": "1"}, b"busy"), (200, {}, b"{}")]
    times: list[float] = []

    def answer(path, headers, body):
        times.append(time.monotonic())
        return answers[min(len(times), 2) - 1]

    with Receiver(answer) as receiver, started(tmp_path, config(tmp_path, main={}), MAIN_URL=receiver.url) as gateway:
        fire(gateway, "a")
        wait_for("the second try", lambda: len(times) == 2)
        wait_for("the delivery", gateway.drained)
        gateway.assert_conserved()
        (delivery,) = gateway.all("deliveries")
        attempts = gateway.api(f"/deliveries/{delivery['id']}")["attempts"]
    assert times[1] - times[0] >= 0.95
    assert [(attempt["number"], attempt["verdict"], attempt["status"], attempt["excerpt"]) for attempt in attempts] == [
        (1, "retry", 503, "busy"),
        (2, "delivered", 200, "{}"),
    ]


def test_a_locked_door_parks_and_what_is_parked_goes_out_once_it_opens(tmp_path):
    locked = threading.Event()
    locked.set()

    def answer(path, headers, body):
        return (401, {}, b"who are you") if locked.is_set() else (200, {}, b"{}")

    with Receiver(answer) as receiver, started(tmp_path, config(tmp_path, main={}), MAIN_URL=receiver.url) as gateway:
        fire(gateway, "a")
        wait_for("the delivery to be parked", lambda: gateway.counts()["main"]["parked"])
        gateway.assert_conserved()
        assert gateway.stop() == 0
        locked.clear()
        gateway.start()
        wait_for("the delivery", lambda: len(receiver.got) == 1)
        wait_for("its record", gateway.drained)
        counts = gateway.assert_conserved()
    assert counts["main"]["delivered"] == 1


def test_a_dead_delivery_is_replayed_by_the_command(tmp_path):
    broken = threading.Event()
    broken.set()

    def answer(path, headers, body):
        return (400, {}, b"no") if broken.is_set() else (200, {}, b"{}")

    with Receiver(answer) as receiver, started(tmp_path, config(tmp_path, main={}), MAIN_URL=receiver.url) as gateway:
        fire(gateway, "a")
        wait_for("a dead letter", lambda: gateway.all("dead-letters"))
        (letter,) = gateway.all("dead-letters")
        assert (letter["kind"], letter["sink"], letter["message"]) == ("delivery", "main", "answered 400")
        broken.clear()
        env = gateway.env | {"GATEWAY_URL": gateway.url, "GATEWAY_ADMIN_TOKEN": ADMIN}
        done = subprocess.run(
            [*COMMAND, "replay", "dead-letter", "--all"], env=env, capture_output=True, text=True, timeout=20, check=False
        )
        assert (done.returncode, done.stdout) == (0, "1 replayed, 0 not\n"), done.stderr
        wait_for("the delivery", gateway.drained)
        counts = gateway.assert_conserved()
        assert gateway.all("dead-letters") == []
    assert (counts["main"]["delivered"], [document["summary"] for document in receiver.documents()]) == (1, ["a"])


def test_replaying_the_trigger_of_an_incident_that_is_over_wants_force(tmp_path):
    with Receiver() as receiver, started(tmp_path, config(tmp_path, main={}), MAIN_URL=receiver.url) as gateway:
        receipt = fire(gateway, "a")
        fire(gateway, "a", "resolved")
        wait_for("both deliveries", lambda: len(receiver.got) == 2)
        wait_for("their record", gateway.drained)
        path = f"/deliveries/{receipt['events'][0]['id']}.main/replay"
        headers = {"authorization": f"Bearer {ADMIN}"}
        status, refused = call("POST", f"{gateway.url}/api/v1{path}", {"mode": "as_delivered"}, headers)
        assert (status, refused["error"]["message"]) == (
            409,
            "this would trigger an incident that is resolved by now; say force to do it all the same",
        )
        gateway.api(path, "POST", {"mode": "as_delivered", "force": True})
        wait_for("the replay", lambda: len(receiver.got) == 3)
        wait_for("its record", gateway.drained)
        gateway.assert_conserved()


def test_a_webhook_that_cannot_be_mapped_is_kept_and_goes_through_once_the_file_is_mended(tmp_path):
    file = """
title: Team
auth: {{ scheme: token, header: X-Token, token: {{ env: TEAM_TOKEN }} }}
events: $.items[*]
map:
  action: {{ default: trigger }}
  dedup_key: $.{key}
  severity: {{ default: error }}
  summary: $.text
"""
    with Receiver() as receiver:
        root = config(tmp_path, main={})
        mapping = root / "providers.d" / "team.yaml"
        mapping.write_text(file.format(key="id"))
        with started(tmp_path, root, MAIN_URL=receiver.url, TEAM_TOKEN="team") as gateway:
            body = {"items": [{"id": "1", "text": "one"}, {"ident": "2", "text": "two"}, {"id": "3", "text": "three"}]}
            status, receipt = gateway.post("/webhooks/team", body, **{"x-token": "team"})
            assert status == 202
            assert [(dead["index"], dead["message"]) for dead in receipt["dead"]] == [(1, "dedup_key: $.id finds nothing")]
            wait_for("the other two", lambda: len(receiver.got) == 2)
            wait_for("their record", gateway.drained)
            (letter,) = gateway.all("dead-letters")
            assert gateway.stop() == 0
            mapping.write_text(file.format(key="ident"))
            gateway.start()
            gateway.api(f"/dead-letters/{letter['id']}/replay", "POST", {"mode": "remapped"})
            wait_for("the third", lambda: len(receiver.got) == 3)
            wait_for("its record", gateway.drained)
            gateway.assert_conserved()
            assert gateway.all("dead-letters") == []
        assert sorted(document["summary"] for document in receiver.documents()) == ["one", "three", "two"]


def test_a_resolve_waits_for_its_trigger(tmp_path):
    refusals = [2]

    def answer(path, headers, body):
        if json.loads(body)["action"] == "trigger" and refusals[0]:
            refusals[0] -= 1
            return 503, {}, b"later"
        return 200, {}, b"{}"

    with Receiver(answer) as receiver, started(tmp_path, config(tmp_path, main={}), MAIN_URL=receiver.url) as gateway:
        fire(gateway, "a")
        fire(gateway, "a", "resolved")
        wait_for("both", lambda: len(receiver.got) == 2)
        wait_for("their record", gateway.drained)
        gateway.assert_conserved()
        assert [document["action"] for document in receiver.documents()] == ["trigger", "resolve"]


def test_a_kill_between_two_steps_repeats_none_that_is_done(tmp_path):
    stuck = threading.Event()
    stuck.set()

    def answer(path, headers, body):
        if path == "/create":
            return 200, {}, b'{"key": "OPS-7"}'
        while stuck.is_set() and path == "/OPS-7/link":
            time.sleep(0.05)
        return 200, {}, b"{}"

    root = config(tmp_path)
    (root / "sinks.d" / "tracker.yaml").write_text("""
title: Tracker
vars: { url: { env: TRACKER_URL } }
limits: { timeout: 60s }
steps:
  - { name: create, request: { url: "{{ vars.url }}/create", json: $ }, remember: { key: $.key } }
  - { name: link, request: { url: "{{ vars.url }}/{{ memory.key }}/link", json: $ } }
""")
    with Receiver(answer) as receiver, started(tmp_path, root, TRACKER_URL=receiver.url) as gateway:
        fire(gateway, "a")
        wait_for("the first step", lambda: [path for path, _, _ in receiver.got] == ["/create"])
        time.sleep(0.3)  # the second is under way
        gateway.kill()
        stuck.clear()
        gateway.start()
        wait_for("the second step", gateway.drained)
        gateway.assert_conserved()
        (delivery,) = gateway.all("deliveries")
    paths = [path for path, _, _ in receiver.got]
    assert (delivery["state"], paths.count("/create"), set(paths)) == ("delivered", 1, {"/create", "/OPS-7/link"})


@pytest.mark.parametrize(("trusted", "status"), [("[127.0.0.0/8]", 202), ("[]", 401)])
def test_the_address_that_a_proxy_names_is_believed_of_a_trusted_one_only(tmp_path, trusted, status):
    root = config(tmp_path)
    (root / "gateway.yaml").write_text(f"trusted_proxies: {trusted}\n")
    (root / "providers.d" / "near.yaml").write_text("like: prometheus\ntitle: Near\nallow_from: [192.0.2.0/24]\n")
    with started(tmp_path, root) as gateway:
        headers = {"authorization": "Bearer t0ken", "x-forwarded-for": "192.0.2.7"}
        answered, document = gateway.post("/webhooks/near", alert("a"), **headers)
        assert answered == status, document
        refused, _ = gateway.post("/webhooks/near", alert("a"), **headers | {"x-forwarded-for": "198.51.100.1"})
    assert refused == 401


@pytest.mark.parametrize("path", ["/healthz", "/health", "/readyz", "/metrics"])
def test_health_and_metrics_need_no_token(tmp_path, path):
    with started(tmp_path, config(tmp_path)) as gateway:
        assert call("GET", gateway.url + path)[0] == 200
