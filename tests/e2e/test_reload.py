"""Files and secrets that change while the gateway runs."""

from __future__ import annotations

import signal
import subprocess
import threading
from pathlib import Path

import pytest

from .stand import ADMIN, COMMAND, Gateway, Receiver, call, wait_for

PROVIDER = """
title: Team
auth: {{ scheme: token, header: X-Token, token: {{ file: team }} }}
map:
  action: {{ from: $.state, table: {{ down: trigger, up: resolve }} }}
  dedup_key: $.id
  severity: {{ default: {severity} }}
  summary: $.id
"""
SINK = """
title: {name}
match: {{ labels: {{}} }}
vars: {{ url: {{ env: SINK_URL }} }}
request: {{ url: "{{{{ vars.url }}}}/{name}", json: {{ id: $.id, severity: $.severity }} }}
retry: {{ attempts: 50, first_delay: 100ms, max_delay: 200ms }}
breaker: {{ failures: 1000, pause: 100ms }}
"""


class Place:
    """A configuration on disk, and the gateway that runs it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.root = folder / "conf"
        for name in ("providers.d", "sinks.d", "secrets"):
            (self.root / name).mkdir(parents=True)
        self.write("gateway.yaml", "catalogue: false\nsecrets_dir: secrets\n")
        self.write("secrets/team", "old-t0ken")
        self.write("providers.d/team.yaml", PROVIDER.format(severity="error"))
        self.write("sinks.d/main.yaml", SINK.format(name="main"))
        self.gateway = Gateway(folder, config=self.root, env={"SINK_URL": url})

    def write(self, name: str, text: str) -> None:
        """As editors and configuration maps do: another file takes the place of the one that was there."""
        (self.root / f"{name}.new").write_text(text)
        (self.root / f"{name}.new").rename(self.root / name)

    def fire(self, id: str, token: str = "old-t0ken", state: str = "down") -> tuple[int, object]:
        return self.gateway.post("/webhooks/team", {"id": id, "state": state}, **{"x-token": token})

    def hang_up(self) -> None:
        assert self.gateway.process is not None
        self.gateway.process.send_signal(signal.SIGHUP)

    def log(self, event: str) -> str:
        return "".join(line for line in self.gateway.log.read_text().splitlines(keepends=True) if f'"{event}"' in line)


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def place(tmp_path, receiver):
    place = Place(tmp_path, receiver.url)
    with place.gateway:
        yield place


def test_a_file_that_changes_is_taken_up_by_itself_and_nothing_under_load_is_lost(place, receiver):
    stop, taken = threading.Event(), []

    def send() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            if place.fire(f"load-{number}")[0] == 202:
                taken.append(f"load-{number}")

    sender = threading.Thread(target=send)
    sender.start()
    place.write("providers.d/team.yaml", PROVIDER.format(severity="critical"))
    place.write("sinks.d/more.yaml", SINK.format(name="more"))
    wait_for("the change", lambda: place.log("config.reloaded"))
    before = len(taken)
    wait_for("more of them", lambda: len(taken) > before + 20)
    stop.set()
    sender.join()
    wait_for("every delivery", place.gateway.drained)
    counts = place.gateway.assert_conserved()
    assert counts["main"]["delivered"] == len(taken)
    assert counts["more"]["delivered"] > 20
    assert {document["severity"] for document in receiver.documents()} == {"error", "critical"}


def test_a_broken_file_changes_nothing_and_is_loud_everywhere(place):
    place.write("providers.d/team.yaml", "title: Team\nauth: { scheme: hmak }\n")
    place.hang_up()
    refused = wait_for("the refusal", lambda: place.log("config.refused"))
    assert "providers.d/team.yaml:2:17: auth.scheme: `hmak` is not one of" in str(refused)
    assert place.fire("a")[0] == 202
    status, ready = call("GET", f"{place.gateway.url}/readyz")
    assert (status, ready["checks"]["config"]) == (
        200,
        {
            "ok": True,
            "detail": "providers: 1, sinks on: 1; the files are broken since (problems: 1), and what was loaded before runs",
        },
    )
    assert "gateway_config_last_reload_successful 0.0" in call("GET", f"{place.gateway.url}/metrics")[1]
    (problem,) = place.gateway.api("/configuration")["problems"]
    assert (problem["rule"], problem["line"], problem["column"]) == ("value", 2, 17)
    env = place.gateway.env | {"GATEWAY_URL": place.gateway.url, "GATEWAY_ADMIN_TOKEN": ADMIN}
    done = subprocess.run([*COMMAND, "reload"], env=env, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "the files are broken, and what was loaded before runs: " in done.stderr
    place.write("providers.d/team.yaml", PROVIDER.format(severity="info"))
    done = subprocess.run([*COMMAND, "reload"], env=env, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("loaded at ")
    assert place.fire("b")[1]["events"][0]["severity"] == "info"
    assert "gateway_config_last_reload_successful 1.0" in call("GET", f"{place.gateway.url}/metrics")[1]


def test_a_secret_that_is_rotated_in_its_file_opens_the_door_and_the_old_one_no_more(place):
    assert place.fire("a")[0] == 202
    place.write("secrets/team", "new-t0ken")
    wait_for("the change", lambda: place.log("config.reloaded"))
    assert (place.fire("b", "new-t0ken")[0], place.fire("c")[0]) == (202, 401)
    assert "t0ken" not in place.gateway.log.read_text()


def test_the_deliveries_of_a_sink_whose_file_is_taken_away_are_dead_letters_that_say_so(tmp_path):
    with Receiver(lambda path, headers, body: (503, {}, b"later")) as receiver:
        place = Place(tmp_path, receiver.url)
        with place.gateway as gateway:
            place.fire("a")
            wait_for("a try", lambda: gateway.all("deliveries")[0]["tries"])
            (place.root / "sinks.d" / "main.yaml").unlink()
            wait_for("the dead letter", lambda: gateway.all("dead-letters"))
            gateway.assert_conserved()
            (letter,) = gateway.all("dead-letters")
    assert (letter["sink"], letter["message"]) == ("main", "the sink main is gone; put its file back and replay")


def test_a_sink_that_is_mended_gets_what_was_parked_at_once(tmp_path):
    def answer(path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        return (200, {}, b"{}") if headers.get("x-key") == "right" else (401, {}, b"who are you")

    with Receiver(answer) as receiver:
        place = Place(tmp_path, receiver.url)
        place.write("secrets/key", "wrong")
        keyed = SINK.replace('/{name}",', '/{name}", headers: {{ X-Key: "{{{{ secrets.key }}}}" }},')
        place.write("sinks.d/main.yaml", (keyed + "secrets: {{ key: {{ file: key }} }}\n").format(name="main"))
        with place.gateway as gateway:
            place.fire("a")
            wait_for("the parking", lambda: gateway.counts()["main"]["parked"])
            place.write("gateway.yaml", "catalogue: false\nsecrets_dir: secrets\nline: 10m\nport: 1\n")
            wait_for("a change that mends nothing", lambda: place.log("config.reloaded"))
            assert gateway.counts()["main"]["parked"] == 1
            assert gateway.api("/configuration")["restart"] == []  # GATEWAY_PORT or --port says what the port is
            place.write("secrets/key", "right")
            wait_for("the delivery", lambda: gateway.counts()["main"]["delivered"])
            gateway.assert_conserved()
