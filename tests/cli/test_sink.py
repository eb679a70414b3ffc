"""`gateway sink test`: one marked event over a real connection, what was sent and what came back, and nothing secret."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

PAGER = """
title: Pager
vars: { url: { env: PAGER_URL } }
secrets: { key: { env: PAGER_KEY } }
match: { min_severity: critical, provider: [ nobody ] }
steps:
  - name: open
    when: "{{ event.action == 'trigger' }}"
    request: { url: "{{ vars.url }}/alerts", headers: { X-Key: "{{ secrets.key }}" }, json: { key: $.dedup_key, what: $.summary } }
    remember: { number: $.number }
  - name: close
    when: "{{ event.action == 'resolve' and memory.number }}"
    request: { method: DELETE, url: "{{ vars.url }}/alerts/{{ memory.number }}", headers: { X-Key: "{{ secrets.key }}" } }
"""
FILES = {"conf/sinks.d/pager.yaml": PAGER, "conf/gateway.yaml": "catalogue: false\n"}


@pytest.fixture
def receiver():
    asked: list[tuple[str, str, str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        status, answer = 200, '{"number": 7, "key": "pager-k3y"}'

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            asked.append((self.command, self.path, self.headers["x-key"], json.loads(body) if body else None))
            self.send_response(Handler.status)
            self.send_header("content-length", str(len(Handler.answer)))
            self.end_headers()
            self.wfile.write(Handler.answer.encode())

        do_POST = handle_any  # noqa: N815 - the name http.server looks for
        do_DELETE = handle_any  # noqa: N815

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked, Handler
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_test_opens_and_closes_and_shows_both_without_secrets(gateway, receiver):
    url, asked, _ = receiver
    done = gateway("sink", "test", "pager", "--config", "conf", files=FILES, PAGER_URL=url, PAGER_KEY="pager-k3y")
    assert (done.code, done.err) == (0, "")
    assert [(method, path, key) for method, path, key, _ in asked] == [
        ("POST", "/alerts", "pager-k3y"),
        ("DELETE", "/alerts/7", "pager-k3y"),
    ]
    key = asked[0][3]["key"]
    assert asked[0][3] == {"key": key, "what": "A test of the webhook gateway: nothing is wrong"}
    body = json.dumps(asked[0][3], separators=(",", ":"))
    assert done.out == (
        f"> POST {url}/alerts\n> X-Key: ***\n> Content-Type: application/json\n>\n> {body}\n"
        '< 200\n< {"number": 7, "key": "***"}\n\n'
        f"> DELETE {url}/alerts/7\n> X-Key: ***\n>\n"
        '< 200\n< {"number": 7, "key": "***"}\n\n'
        "trigger: delivered (every step was done)\nresolve: delivered (every step was done)\n"
    )


def test_what_the_sink_makes_of_a_refusal_is_told_and_the_exit_code_says_that_it_did_not_arrive(gateway, receiver):
    url, asked, handler = receiver
    for status, said in (
        (503, "would be tried again (step open: answered 503)"),
        (401, "would wait until it is mended (step open: answered 401; parked until it is mended)"),
        (400, "would be a dead letter (step open: answered 400)"),
    ):
        handler.status, handler.answer = status, "no\x1b[31m"
        done = gateway(
            "sink", "test", "pager", "--action", "trigger", "--config", "conf", files=FILES, PAGER_URL=url, PAGER_KEY="pager-k3y"
        )
        assert (done.code, done.out.splitlines()[-1]) == (1, f"trigger: {said}")
        assert f"< {status}\n< no\\u001b[31m\n" in done.out
    assert len(asked) == 3


def test_nobody_there(gateway):
    env = {"PAGER_URL": "http://127.0.0.1:9", "PAGER_KEY": "pager-k3y"}
    done = gateway("sink", "test", "pager", "--action", "trigger", "--config", "conf", "--format", "json", files=FILES, **env)
    told = json.loads(done.out)
    assert (done.code, told["results"]) == (
        1,
        [{"action": "trigger", "state": "pending", "verdict": "step open: no connection: connection refused"}],
    )
    (exchange,) = told["exchanges"]
    assert (exchange["status"], exchange["error"], exchange["headers"]["X-Key"]) == (
        None,
        "no connection: connection refused",
        "***",
    )


WRONG = {
    ("pagr",): (2, "Error: there is no sink 'pagr' (did you mean 'pager'?); `gateway show` lists them"),
    ("pager",): (3, "gateway: the sink pager is off: PAGER_URL and PAGER_KEY are not set"),
    ("pager", "--action", "reopen"): (2, "Error: Invalid value for '--action': 'reopen' is not one of 'trigger', 'acknowledge', 'resolve', 'notice'."),
}  # fmt: skip


@pytest.mark.parametrize("arguments", WRONG)
def test_wrong_use_is_told(gateway, arguments):
    done = gateway("sink", "test", *arguments, "--config", "conf", files=FILES)
    assert (done.code, done.err.splitlines()[-1]) == WRONG[arguments]
