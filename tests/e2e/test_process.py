"""The process and its surroundings: readers that stall, signals, descriptors, connections that only hold on."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import resource
import signal
import socket
import statistics
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from .stand import Gateway, Receiver, call, wait_for
from .test_serve import alert, config, fire, started


class Stalled(Gateway):
    """A gateway whose standard output and error go into a pipe that nobody reads."""

    def start(self):
        self.reading, writing = os.pipe()
        os.set_blocking(writing, True)
        self.process = subprocess.Popen(self.arguments(), env=self.env, cwd=self.folder, stdout=writing, stderr=writing)
        os.close(writing)
        self.log.write_text("")
        wait_for("the gateway", self.ready)
        return self

    def read(self) -> str:
        """What has been said so far."""
        os.set_blocking(self.reading, False)
        said = b""
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            try:
                said += os.read(self.reading, 1 << 20)
            except BlockingIOError:
                time.sleep(0.05)
        return said.decode()


def test_a_log_that_nobody_reads_holds_up_nothing(tmp_path: Path) -> None:
    with Receiver() as receiver:
        gateway = Stalled(tmp_path, config=config(tmp_path, main={}), env={"PROMETHEUS_TOKEN": "t0ken", "MAIN_URL": receiver.url})
        with gateway:
            times = []
            for number in range(1_500):  # a pipe holds 64 KiB, which is about two hundred lines
                began = time.monotonic()
                fire(gateway, f"a{number}")
                times.append(time.monotonic() - began)
            assert max(times) < 2.5
            wait_for("every delivery", gateway.drained, 30)
            gateway.assert_conserved()
            assert len(receiver.got) == 1_500
            assert '"event":"webhook.taken"' in gateway.read()
            gateway.read()
            began = time.monotonic()
            assert gateway.stop() == 0
            assert time.monotonic() - began < 5


def test_lines_that_were_lost_are_counted_and_said(tmp_path: Path) -> None:
    gateway = Stalled(tmp_path, config=config(tmp_path), env={"PROMETHEUS_TOKEN": "t0ken"})
    with gateway:
        flood(gateway, 12_000)
        _, metrics = call("GET", gateway.url + "/metrics")
        (dropped,) = [line for line in str(metrics).splitlines() if line.startswith("gateway_log_lines_dropped_total")]
        lost = int(float(dropped.split()[1]))
        assert lost > 0
        gateway.read()
        call("POST", gateway.url + "/webhooks/nobody", {})
        said = gateway.read()
        assert f'"event":"log.lost","lines":{lost},"message":"nobody read the log for a while; these lines are lost"' in said


def flood(gateway: Gateway, count: int) -> None:
    """So many refusals, each a line of the log."""

    def send(times: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
        for _ in range(times):
            connection.request("POST", "/webhooks/nobody", b"{}")
            assert connection.getresponse().read()
        connection.close()

    threads = [threading.Thread(target=send, args=(count // 8,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_console_that_nobody_reads_delivers_nothing_and_loses_nothing(tmp_path: Path) -> None:
    root = config(tmp_path)
    (root / "sinks.d" / "news.yaml").write_text(
        "title: News\n"
        "print: \"{{ event.summary }} {{ 'x' if event.labels else 'y' }}\"\n"
        "limits: { timeout: 200ms }\n"
        "retry: { attempts: 100, first_delay: 50ms, max_delay: 100ms }\nbreaker: { failures: 1000, pause: 50ms }\n"
    )
    gateway = Stalled(tmp_path, config=root, env={"PROMETHEUS_TOKEN": "t0ken"})
    with gateway:
        for number in range(300):
            body = alert(f"a{number}")
            body["alerts"][0]["annotations"] = {"summary": f"<{number}> " + "x" * 900}
            assert gateway.post("/webhooks/prometheus", body, authorization="Bearer t0ken")[0] == 202
        time.sleep(1)
        counts = gateway.assert_conserved()["news"]
        assert counts["delivered"] < 300, "a pipe of 64 KiB cannot have taken them all"
        said, deadline = "", time.monotonic() + 60
        while not gateway.drained():
            said += gateway.read()
            assert time.monotonic() < deadline
        said += gateway.read()
        assert gateway.assert_conserved()["news"]["delivered"] == 300
        assert [number for number in range(300) if f"<{number}>" not in said] == []


@pytest.mark.parametrize("drain", ["500ms", "2s"])
def test_the_time_to_drain_is_spent_once(tmp_path: Path, drain: str) -> None:
    release = threading.Event()
    hanging = lambda path, headers, body: (release.wait(20), (200, {}, b"{}"))[1]  # noqa: E731
    root = config(tmp_path, main={"timeout": "20s"})
    (root / "gateway.yaml").write_text(f"drain: {drain}\n")
    with Receiver(hanging) as receiver, started(tmp_path, root, MAIN_URL=receiver.url) as gateway:
        fire(gateway, "a")
        wait_for("a request under way", lambda: gateway.counts()["main"]["claimed"])
        with socket.create_connection(("127.0.0.1", gateway.port)) as slow:
            slow.sendall(
                b"POST /webhooks/prometheus HTTP/1.1\r\nhost: x\r\nauthorization: Bearer t0ken\r\ncontent-length: 9\r\n\r\n{"
            )
            time.sleep(0.2)
            began = time.monotonic()
            assert gateway.stop() == 0
            took = time.monotonic() - began
        release.set()
        wanted = float(drain.removesuffix("ms")) / 1000 if drain.endswith("ms") else float(drain.removesuffix("s"))
        assert wanted - 0.1 <= took < wanted + 1.2
        gateway.start()
        wait_for("the delivery", gateway.drained, 30)
        gateway.assert_conserved()


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    release = threading.Event()
    hanging = lambda path, headers, body: (release.wait(20), (200, {}, b"{}"))[1]  # noqa: E731
    with (
        Receiver(hanging) as receiver,
        started(tmp_path, config(tmp_path, main={"timeout": "20s"}), MAIN_URL=receiver.url) as gateway,
    ):
        fire(gateway, "a")
        wait_for("a request under way", lambda: gateway.counts()["main"]["claimed"])
        assert gateway.process is not None
        gateway.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert gateway.process.poll() is None
        began = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(10) == 128 + signal.SIGTERM
        assert time.monotonic() - began < 2
        release.set()
        gateway.start()
        wait_for("the delivery", gateway.drained, 30)
        gateway.assert_conserved()


def test_more_connections_than_descriptors_are_refused_and_harm_nobody(tmp_path: Path) -> None:
    gateway = started(tmp_path, config(tmp_path))
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    gateway.start(descriptors=512)
    try:
        honest = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
        headers = {"authorization": "Bearer t0ken", "content-type": "application/json"}
        body = b'{"alerts": [{"status": "firing", "labels": {"alertname": "a"}, "fingerprint": "a"}]}'
        honest.request("POST", "/webhooks/prometheus", body, headers)
        assert honest.getresponse().read()
        held = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(600)]
        time.sleep(1)
        last = held[-1].recv(4096)
        assert last.startswith(b"HTTP/1.1 503 ")
        assert b"too many connections at once; try again" in last
        for _ in range(20):
            honest.request("POST", "/webhooks/prometheus", body, headers)
            answer = honest.getresponse()
            assert (answer.status, bool(answer.read())) == (202, True)
        for each in [*held, honest]:
            each.close()
        wait_for("room again", gateway.ready)
        assert "EMFILE" not in gateway.log.read_text()
        assert "Too many open files" not in gateway.log.read_text()
    finally:
        gateway.kill()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


def test_sinks_that_may_use_more_connections_than_there_are_leave_the_senders_half(tmp_path: Path) -> None:
    root = config(tmp_path, main={})
    sink = root / "sinks.d" / "main.yaml"
    assert "concurrency: 2," in sink.read_text()
    sink.write_text(sink.read_text().replace("concurrency: 2,", "concurrency: 1000,"))
    with Receiver() as receiver:
        gateway = started(tmp_path, root, MAIN_URL=receiver.url).start(descriptors=512)
        try:
            senders = [http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10) for _ in range(120)]
            for sender in senders:
                sender.request("GET", "/healthz")
            answers = [sender.getresponse() for sender in senders]
            assert Counter(answer.status for answer in answers) == {200: 120}
            for answer, sender in zip(answers, senders, strict=True):
                answer.close()
                sender.close()
        finally:
            gateway.kill()


def test_two_hundred_of_each_slow_kind_harm_no_honest_sender(tmp_path: Path) -> None:
    kinds = [
        b"",
        b"POST /webhooks/prometheus HTTP/1.1\r\nhost",
        b"POST /webhooks/prometheus HTTP/1.1\r\nhost: x\r\nauthorization: Bearer t0ken\r\ncontent-length: 900\r\n\r\n{",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
    ]
    with started(tmp_path, config(tmp_path)) as gateway:
        held = []
        for kind in kinds:
            for _ in range(200):
                connection = socket.create_connection(("127.0.0.1", gateway.port))
                connection.sendall(kind)
                held.append(connection)
        times = []
        for number in range(200):
            began = time.monotonic()
            assert call("GET", gateway.url + "/healthz")[0] == 200
            times.append(time.monotonic() - began)
            fire(gateway, f"a{number}")
        for connection in held:
            connection.close()
    assert statistics.quantiles(times, n=100)[98] < 0.1


def test_libraries_that_have_much_to_say_hold_up_nothing(tmp_path: Path) -> None:
    gateway = Stalled(tmp_path, config=config(tmp_path), env={"PROMETHEUS_TOKEN": "t0ken"})
    with gateway:
        for _ in range(4_000):  # a pipe holds 64 KiB, which is two thousand lines of a server's
            with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as connection:
                connection.sendall(b"\x16\x03\x01\r\n\r\n")
                assert connection.recv(64).startswith(b"HTTP/1.1 400 ")
        assert call("GET", gateway.url + "/healthz")[0] == 200
        assert [line for line in gateway.read().splitlines() if not line.startswith("{")] == []


def test_who_is_sending_when_it_stops_is_answered_and_told_to_leave(tmp_path: Path) -> None:
    """A connection closed in the middle leaves its sender in doubt whether the webhook was taken."""
    heard: Counter[str] = Counter()

    def send(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
        for step in itertools.count():
            body = json.dumps(alert(f"{number}-{step}"))
            try:
                connection.request("POST", "/webhooks/prometheus", body, {"authorization": "Bearer t0ken"})
                answer = connection.getresponse()
                answer.read()
            except ConnectionRefusedError:
                return
            except OSError as error:
                heard[type(error).__name__] += 1
                return
            heard[str(answer.status)] += 1
            if answer.getheader("connection") == "close":
                heard["told to leave"] += 1
                return
            time.sleep(0.02)

    with started(tmp_path, config(tmp_path)) as gateway:
        threads = [threading.Thread(target=send, args=(number,)) for number in range(50)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        assert gateway.stop() == 0
        for thread in threads:
            thread.join()
        gateway.start()
        wait_for("every delivery", gateway.drained, 30)
        gateway.assert_conserved()
        taken = heard.pop("202")
        assert taken > 50
        assert len(gateway.all("events")) == taken
    heard.pop("503")
    assert heard == {"told to leave": 50}


def test_many_long_bodies_at_once_hold_up_no_short_one(tmp_path: Path) -> None:
    body, done, waited = b"[" + b"[]," * 340_000 + b"[]]", [], []

    def send(gateway: Gateway) -> None:
        done.append(call("POST", f"{gateway.url}/webhooks/generic", body, timeout=60)[0])

    with Gateway(tmp_path, dev=True) as gateway:
        senders = [threading.Thread(target=send, args=(gateway,)) for _ in range(48)]
        for sender in senders:
            sender.start()
        while any(sender.is_alive() for sender in senders):
            began = time.monotonic()
            assert gateway.post("/webhooks/generic", {"summary": "short"})[0] == 200
            waited.append(time.monotonic() - began)
            time.sleep(0.02)
        print(
            f"\n{len(waited)} short ones among 48 long ones: median {sorted(waited)[len(waited) // 2]:.2f} s, at most {max(waited):.2f} s"
        )
        assert done == [413] * 48  # too many payloads in one
        assert max(waited) < 5  # all of them, read where the short ones are, take longer
