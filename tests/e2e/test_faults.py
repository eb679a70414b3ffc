"""
The fault table: what goes wrong, what senders saw meanwhile, what was lost, and how long until the gateway took webhooks again. Real
processes, real disks, senders that try again as senders do. `pytest tests/e2e/test_faults.py -s` prints a row for each.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest

from .stand import Gateway, Receiver, call, wait_for

SENDERS = 4
SLOWEST = 2.5  # seconds in which a sender hears something, whatever happens; a process that is gone or stopped aside
SINK = """
title: {name}
vars: {{ url: {{ env: {variable} }} }}
request: {{ url: "{{{{ vars.url }}}}", json: {{ id: $.id, key: $.dedup_key }} }}
limits: {{ concurrency: 4, timeout: 2s }}
retry: {{ attempts: 100, first_delay: 100ms, max_delay: 500ms }}
breaker: {{ failures: 5, pause: 500ms }}
"""


class Senders:
    """Each sends alerts of its own, one after the other, and tries again until it is told that one was taken."""

    def __init__(self, port: int) -> None:
        self.taken: set[str] = set()
        self.heard: Counter[str] = Counter()
        self.slowest, self.last = 0.0, 0.0
        self._port, self._stop, self._lock = port, threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(SENDERS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _send(self, number: int) -> None:
        made, connection = 0, http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        while not self._stop.is_set():
            key = f"{number}-{made}"
            alert = {
                "status": "firing",
                "labels": {"alertname": "Fault"},
                "fingerprint": key,
                "annotations": {"text": "x" * 2_000},
            }
            began = time.monotonic()
            try:
                connection.request(
                    "POST",
                    "/webhooks/prometheus",
                    json.dumps({"alerts": [alert]}),
                    {"authorization": "Bearer t0ken", "content-type": "application/json"},
                )
                answer = connection.getresponse()
                answer.read()
                heard = str(answer.status)
            except (OSError, http.client.HTTPException):
                connection.close()
                heard = "no answer"
            now = time.monotonic()
            with self._lock:
                self.heard[heard] += 1
                if heard != "no answer":
                    self.slowest = max(self.slowest, now - began)
                if heard == "202":
                    self.taken.add(key)
                    self.last = now
            if heard == "202":
                made += 1
            time.sleep(0.005 if heard == "202" else 0.05)
        connection.close()

    def again(self, since: float) -> bool:
        """Whether somebody was let in since then."""
        return self.last > since


class Stand:
    """A gateway with a sink that is well and one that a fault may take away, on a disk of its own where that can be had."""

    def __init__(self, folder: Path) -> None:
        self.disk, self.sick = folder / "disk", threading.Event()
        self.disk.mkdir(exist_ok=True)
        conf = folder / "conf"
        (conf / "sinks.d").mkdir(parents=True)
        for name in ("well", "other"):
            (conf / "sinks.d" / f"{name}.yaml").write_text(SINK.format(name=name, variable=f"{name.upper()}_URL"))
        self.conf = conf
        self.well, self.other = Receiver(), Receiver(self._other)
        self.gateway = Gateway(
            folder,
            config=conf,
            env={
                "PROMETHEUS_TOKEN": "t0ken",
                "WELL_URL": self.well.url,
                "OTHER_URL": self.other.url,
                "GATEWAY_STORE": f"sqlite:///{self.disk}/gateway.db",
            },
        )

    @property
    def database(self) -> Path:
        return self.disk / "gateway.db"

    @property
    def pid(self) -> int:
        assert self.gateway.process is not None
        return self.gateway.process.pid

    def _other(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        if self.sick.is_set():
            time.sleep(5)
        return 200, {}, b"{}"

    def close(self) -> None:
        self.sick.clear()
        if self.gateway.process is not None and self.gateway.process.poll() is None:
            self.gateway.kill()
        self.well.close()
        self.other.close()


Fault = Callable[[Stand], Iterator[None]]


def killed(stand: Stand) -> Iterator[None]:
    stand.gateway.kill()
    yield
    stand.gateway.start()


def told_to_stop(stand: Stand) -> Iterator[None]:
    assert stand.gateway.stop() == 0
    yield
    stand.gateway.start()


def suspended(stand: Stand) -> Iterator[None]:
    os.kill(stand.pid, signal.SIGSTOP)
    yield
    os.kill(stand.pid, signal.SIGCONT)


def locked(stand: Stand) -> Iterator[None]:
    other = sqlite3.connect(stand.database, isolation_level=None, timeout=10)
    other.execute("begin immediate")
    yield
    other.execute("rollback")
    other.close()


def moved_away(stand: Stand) -> Iterator[None]:
    elsewhere = stand.database.with_suffix(".moved")
    stand.database.rename(elsewhere)
    yield
    elsewhere.rename(stand.database)


def log_removed(stand: Stand) -> Iterator[None]:
    Path(f"{stand.database}-wal").unlink()
    yield
    stand.gateway.kill()  # the worst that can follow
    stand.gateway.start()


def full(stand: Stand) -> Iterator[None]:
    ballast = stand.disk / "ballast"
    descriptor = os.open(ballast, os.O_CREAT | os.O_WRONLY)
    with pytest.raises(OSError, match="No space left on device"):
        fill(descriptor)
    os.close(descriptor)
    yield
    ballast.unlink()


def fill(descriptor: int) -> None:
    while True:
        os.write(descriptor, b"x" * 4096)


def sink_hangs(stand: Stand) -> Iterator[None]:
    stand.sick.set()
    yield
    stand.sick.clear()


def configuration_breaks(stand: Stand) -> Iterator[None]:
    file = stand.conf / "sinks.d" / "well.yaml"
    right = file.read_text()
    file.write_text("title: [\n")
    yield
    file.write_text(right)


FAULTS: dict[str, tuple[Fault, set[str]]] = {
    "killed (SIGKILL)": (killed, {"202", "no answer"}),
    "told to stop (SIGTERM)": (told_to_stop, {"202", "503", "no answer"}),
    "suspended for two seconds (SIGSTOP)": (suspended, {"202", "503"}),
    "database locked by another program": (locked, {"202", "503"}),
    "database moved away and back": (moved_away, {"202", "503"}),
    "database's log deleted, then killed": (log_removed, {"202", "503", "no answer"}),
    "disk full": (full, {"202", "503"}),
    "one of two sinks hangs": (sink_hangs, {"202"}),
    "configuration broken, then mended": (configuration_breaks, {"202"}),
}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB for the database, so that it can be full."""
    (tmp_path / "disk").mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", tmp_path / "disk"]
    mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    yield tmp_path
    if mounted:
        subprocess.run(["umount", "--lazy", tmp_path / "disk"], check=True)


@contextmanager
def standing(folder: Path) -> Iterator[Stand]:
    stand = Stand(folder)
    try:
        stand.gateway.start()
        yield stand
    finally:
        stand.close()


@pytest.mark.parametrize("name", FAULTS)
def test_nothing_that_was_taken_is_lost(disk: Path, name: str) -> None:
    fault, may_hear = FAULTS[name]
    if fault is full and not os.path.ismount(disk / "disk"):
        pytest.skip("no file system can be mounted here, and this test fills one")
    with standing(disk) as stand:
        with Senders(stand.gateway.port) as senders:
            wait_for("the first webhooks", lambda: len(senders.taken) > 40)
            steps = fault(stand)
            next(steps)
            time.sleep(2)
            meanwhile = Counter(senders.heard)
            over = time.monotonic()
            assert next(steps, "over") == "over"
            wait_for("somebody to be let in again", lambda: senders.again(over))
            ready = time.monotonic() - over
            time.sleep(0.5)
        wait_for("every delivery", stand.gateway.drained, 60)
        counts = stand.gateway.assert_conserved()
        lost = {sink: len(senders.taken - keys(receiver)) for sink, receiver in (("well", stand.well), ("other", stand.other))}
        status, _ = stand.gateway.post("/webhooks/prometheus", fresh(), authorization="Bearer t0ken")
        assert status == 202
        wait_for("a fresh event", lambda: "fresh" in keys(stand.well), 10)
    print(
        f"\n| {name} | {', '.join(f'{count} x {heard}' for heard, count in sorted(meanwhile.items()))} |"
        f" {sum(lost.values())} of {len(senders.taken)} | {ready:.2f} s | {senders.slowest:.2f} s |"
    )
    assert lost == {"well": 0, "other": 0}
    assert set(senders.heard) <= may_hear
    assert counts["well"]["dead"] == counts["other"]["dead"] == 0
    if fault is not suspended:
        assert senders.slowest < SLOWEST


def keys(receiver: Receiver) -> set[str]:
    return {document["key"] for document in receiver.documents()}


def fresh() -> dict:
    return {"alerts": [{"status": "firing", "labels": {"alertname": "Fresh"}, "fingerprint": "fresh"}]}


def test_a_sink_that_hangs_slows_no_other(tmp_path: Path) -> None:
    with standing(tmp_path) as stand:
        fire = lambda key: stand.gateway.post(  # noqa: E731
            "/webhooks/prometheus",
            {"alerts": [{"status": "firing", "labels": {"alertname": key}, "fingerprint": key}]},
            authorization="Bearer t0ken",
        )
        times = {}
        for state in ("well", "hanging"):
            if state == "hanging":
                stand.sick.set()
            took = []
            for number in range(20):
                began = time.monotonic()
                assert fire(f"{state}-{number}")[0] == 202
                wait_for("the healthy sink", lambda key=f"{state}-{number}": key in keys(stand.well), 5)
                took.append(time.monotonic() - began)
            times[state] = sorted(took)[10]
        assert times["hanging"] < 2 * times["well"] + 0.1
        stand.sick.clear()
        _, ready = call("GET", stand.gateway.url + "/readyz")
        assert re.search("'ok': True", str(ready))
        wait_for("every delivery", stand.gateway.drained, 60)
        stand.gateway.assert_conserved()
