"""
What a sink may do to us, and what comes of it: `make sinkfaults` prints the table, test_sink_faults.py holds it to what it says.

One gateway, a sink for each fault, three events for each sink; three tries each, a second's patience with an answer.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from loopback import http, read_request, server

from .stand import Gateway, free_port, wait_for

EVENTS = ("a", "b", "c")
PROVIDER = """
title: Team
auth: { scheme: none, because: it is a test }
body: { format: json, many: true }
map: { action: { default: notice }, dedup_key: $.name, severity: { default: error }, summary: $.name }
"""
SINK = """
title: {name}
vars: {{ url: {{ env: {variable} }} }}
request: {{ url: "{{{{ vars.url }}}}/in", json: $.summary }}
limits: {{ timeout: 1s }}
retry: {{ attempts: 3, first_delay: 200ms, max_delay: 400ms{retry} }}
breaker: {{ failures: 1000 }}
{more}
"""
BATCH = "batch: { events: 10, wait: 200ms, join: array }\n"
ITEMS = BATCH + "response: { items: { each: '$.items[*]' } }\n"
Answer = Callable[[int, list[str]], bytes | None]  # of how many requests for these events this is, and the events; None: nothing


class Fault(NamedTuple):
    """A sink's way to fail. `answer` gives the bytes of an answer; `talk` replaces all of it."""

    name: str
    answer: Answer | None
    talk: Callable[[socket.socket], None] | None = None
    more: str = ""
    retry: str = ""
    scheme: str = "http"


class Row(NamedTuple):
    """What came of it. `waits`: seconds between the tries, at least and at most; `doubled`: events that a sink took more than once."""

    fault: str
    requests: int
    tries: str
    waits: str
    states: str
    verdict: str
    taken: int
    doubled: int


def ok(body: bytes = b"{}") -> bytes:
    return http(body)


def no(status: str, headers: str = "", body: bytes = b"{}") -> bytes:
    return http(body, status, headers)


def _hang(connection: socket.socket) -> None:
    read_request(connection)
    time.sleep(3)


def _drip(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    for _ in range(30):
        connection.sendall(b"x")
        time.sleep(0.1)


def _reset(connection: socket.socket) -> None:
    read_request(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _once(first: bytes) -> Answer:
    """The first request of each event is answered so, and then all is well."""
    return lambda number, events: first if number == 1 else ok()


def _items(number: int, events: list[str]) -> bytes:
    """Of a batch, `b` is too much for now and `c` for ever."""
    status = {"b": 429 if number == 1 else 201, "c": 400}
    return ok(json.dumps({"items": [{"status": status.get(event, 201)} for event in events]}).encode())


def _slowly(number: int, events: list[str]) -> bytes:
    time.sleep(0.4)
    return ok()


FAULTS = [
    Fault("none", lambda number, events: ok()),
    Fault("down", None),
    Fault("slow: 0.4 s", _slowly),
    Fault("hanging", None, _hang),
    Fault("hanging, retry.unknown: dead", None, _hang, retry=", unknown: dead"),
    Fault("dripping", None, _drip),
    Fault("resetting", None, _reset),
    Fault("TLS: nobody we know", lambda number, events: ok(), scheme="https"),
    Fault("429, Retry-After: 1", _once(no("429 Too Many Requests", "retry-after: 1\r\n"))),
    Fault("429 without", _once(no("429 Too Many Requests"))),
    Fault("503 once", _once(no("503 Service Unavailable"))),
    Fault("500 for ever", lambda number, events: no("500 Internal Server Error")),
    Fault("401", lambda number, events: no("401 Unauthorized")),
    Fault("400", lambda number, events: no("400 Bad Request")),
    Fault("302", lambda number, events: no("302 Found", "location: http://elsewhere.test/\r\n")),
    Fault("no HTTP", lambda number, events: b"SSH-2.0-OpenSSH_9.2\r\n"),
    Fault("200 with garbage", lambda number, events: ok(b"\xff\x00<html>")),
    Fault("a batch, in part", _items, more=ITEMS),
    Fault("a batch with a poison", lambda number, events: no("400 Bad Request") if "c" in events else ok(), more=BATCH),
]


class Heard:
    """What a sink was asked: when, for which events, and whether it said that it took them."""

    def __init__(self, fault: Fault) -> None:
        self.fault, self.asked, self.taken = fault, [], Counter()
        self.times: dict[str, list[float]] = {event: [] for event in EVENTS}

    def talk(self, connection: socket.socket) -> None:
        if self.fault.talk is not None:
            self.asked.append(time.monotonic())
            self.fault.talk(connection)
            return
        body = read_request(connection).partition(b"\r\n\r\n")[2]
        if not body:
            return
        said = json.loads(body)
        events = said if isinstance(said, list) else [said]
        self.asked.append(time.monotonic())
        for event in events:
            self.times[event].append(time.monotonic())
        assert self.fault.answer is not None
        answer = self.fault.answer(max(len(self.times[event]) for event in events), events)
        if answer and answer.startswith(b"HTTP/1.1 2"):
            items = (
                json.loads(answer.partition(b"\r\n\r\n")[2])["items"] if b'"items"' in answer else [{"status": 200}] * len(events)
            )
            self.taken.update(event for event, item in zip(events, items, strict=True) if item["status"] < 300)
        connection.sendall(answer or b"")


def table(folder: Path) -> list[Row]:
    """Run it all. Raises AssertionError where deliveries are not conserved."""
    heard = {f"s{number}": Heard(fault) for number, fault in enumerate(FAULTS)}
    certificate = folder / "server.pem"
    _certify(certificate)
    with ExitStack() as stack:
        root, environment = folder / "conf", {}
        for part in ("providers.d", "sinks.d"):
            (root / part).mkdir(parents=True)
        (root / "gateway.yaml").write_text("catalogue: false\n")
        (root / "providers.d/team.yaml").write_text(PROVIDER)
        for name, each in heard.items():
            fault, variable = each.fault, f"URL_{name.upper()}"
            context = _tls(certificate) if fault.scheme == "https" else None
            gone = fault.answer is None and fault.talk is None
            port = free_port() if gone else stack.enter_context(server(each.talk, context))
            environment[variable] = f"{fault.scheme}://127.0.0.1:{port}"
            text = SINK.format(name=name, variable=variable, retry=fault.retry, more=fault.more)
            (root / "sinks.d" / f"{name}.yaml").write_text(text)
        gateway = stack.enter_context(Gateway(folder, config=root, env=environment))
        status, answer = gateway.post("/webhooks/team", [{"name": event} for event in EVENTS])
        assert status == 202, answer
        wait_for("every delivery", gateway.drained, 60)
        gateway.assert_conserved()
        found = [gateway.api(f"/deliveries/{each['id']}") for each in gateway.all("deliveries")]
        return [_row(each, [one for one in found if one["sink"] == name]) for name, each in heard.items()]


def _row(heard: Heard, deliveries: list[dict]) -> Row:
    assert len(deliveries) == len(EVENTS), deliveries
    tries = sorted(len(each["attempts"]) for each in deliveries)
    waits = [
        _moment(later) - _moment(earlier) - earlier["seconds"]
        for each in deliveries
        for earlier, later in zip(each["attempts"], each["attempts"][1:], strict=False)
    ]
    states = Counter(each["state"] for each in deliveries)
    verdicts = sorted({each["verdict"] for each in deliveries if each["state"] != "delivered"})
    return Row(
        fault=heard.fault.name,
        requests=len(heard.asked),
        tries=" ".join(map(str, tries)) if len(set(tries)) > 1 else str(tries[0]),
        waits=f"{min(waits):.1f}-{max(waits):.1f} s" if waits else "",
        states=", ".join(f"{count} {state}" for state, count in sorted(states.items())),
        verdict="; ".join(verdicts),
        taken=len(heard.taken),
        doubled=sum(count > 1 for count in heard.taken.values()),
    )


def _moment(attempt: dict) -> float:
    return datetime.fromisoformat(attempt["at"]).timestamp()


def _certify(file: Path) -> None:
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    how = ["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", *subject]
    subprocess.run(["openssl", *how, "-keyout", file, "-out", f"{file}.crt"], check=True, capture_output=True, timeout=30)
    file.write_text(file.read_text() + Path(f"{file}.crt").read_text())


def _tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


def printed(rows: list[Row]) -> Iterator[str]:
    """The table, in Markdown."""
    yield "| the sink | requests | tries | waited between | three events end | why | it took | twice |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for row in rows:
        yield f"| {' | '.join(map(str, row))} |"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        print("\n".join(printed(table(Path(directory)))))
