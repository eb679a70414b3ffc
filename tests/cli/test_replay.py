"""`gateway replay` against a gateway's API that is scripted: what is asked of it, what is said of its answers."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

ERROR = {"stage": "api", "reason": "x", "docs": "/api/v1/docs"}


class Scripted(ThreadingHTTPServer):
    """Answers each path as it was told, and keeps what it was asked. A list of answers is given one by one."""

    def __init__(self, answers):
        super().__init__(("127.0.0.1", 0), Said)
        self.answers, self.asked = answers, []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Said(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.asked.append((self.command, self.path, json.loads(body or b"null"), self.headers.get("authorization")))
        found = self.server.answers.get(
            self.path.partition("&sink")[0], (404, {"error": {**ERROR, "message": "there is no dead letter 'x'"}})
        )
        status, document = found
        text = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST  # noqa: N815 - the name that the library looks for

    def log_message(self, *_):
        pass


@pytest.fixture
def served():
    servers = []

    def serve(answers):
        servers.append(Scripted(answers))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return servers[-1]

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


LIST = "/api/v1/dead-letters?limit=200&cursor="
DONE = (202, {"deliveries": 1})


def replayed(id: str) -> str:
    return f"/api/v1/dead-letters/{id}/replay"


def test_all_dead_letters_are_listed_before_the_first_is_replayed(gateway, served):
    pages = {
        LIST: (200, {"items": [{"id": "a.main"}, {"id": "b.1"}], "next": "n="}),
        f"{LIST}n%3D": (200, {"items": [{"id": "c.main"}], "next": ""}),
    }
    server = served(pages | {replayed(id): DONE for id in ("a.main", "b.1", "c.main")})
    done = gateway("replay", "dead-letter", "--all", "--sink", "ma in", "--url", server.url, GATEWAY_ADMIN_TOKEN="t0ken")
    assert done == (0, "3 replayed, 0 not\n", "")
    order = {"mode": None, "force": False}
    assert server.asked == [
        ("GET", f"{LIST}&sink=ma%20in", None, "Bearer t0ken"),
        ("GET", f"{LIST}n%3D&sink=ma%20in", None, "Bearer t0ken"),
        *[("POST", replayed(id), order, "Bearer t0ken") for id in ("a.main", "b.1", "c.main")],
    ]


@pytest.mark.parametrize(
    "flags, order",
    [
        ([], {"mode": None, "force": False}),
        (["--as-delivered", "--force"], {"mode": "as_delivered", "force": True}),
        (["--remapped"], {"mode": "remapped", "force": False}),
    ],
)
@pytest.mark.parametrize("kind, path", [("dead-letter", "dead-letters"), ("delivery", "deliveries"), ("webhook", "webhooks")])
def test_what_is_wished_is_what_is_ordered(gateway, served, kind, path, flags, order):
    server = served({f"/api/v1/{path}/a%2Fb/replay": DONE})
    assert gateway("replay", kind, "a/b", *flags, "--url", f"{server.url}/") == (0, "1 replayed, 0 not\n", "")
    assert server.asked == [("POST", f"/api/v1/{path}/a%2Fb/replay", order, None)]


def test_one_that_cannot_be_done_does_not_stop_the_others(gateway, served):
    server = served(
        {replayed("a"): DONE, replayed("b"): (409, {"error": {**ERROR, "message": "say force\x1b[31m"}}), replayed("c"): DONE}
    )
    assert gateway("replay", "dead-letter", "a", "b", "x", "c", "--url", server.url) == (
        1,
        "2 replayed, 2 not\n",
        "b: say force\\u001b[31m\nx: there is no dead letter 'x'\n",
    )
    done = gateway("replay", "dead-letter", "a", "b", "--url", server.url, "--format", "json")
    assert json.loads(done.out) == [{"id": "a", "result": {"deliveries": 1}}, {"id": "b", "error": "say force\x1b[31m"}]


NOT_READY = {
    "no token": (
        401,
        {"error": {**ERROR, "message": "x"}},
        "URL: it wants the admin token; set GATEWAY_ADMIN_TOKEN to the one it was started with",
    ),
    "a closed API": (
        503,
        {"error": {**ERROR, "message": "GATEWAY_ADMIN_TOKEN is not set, so the API is closed"}},
        "URL: GATEWAY_ADMIN_TOKEN is not set, so the API is closed",
    ),
    "another program": (200, b"<html>", "what answers at URL is no gateway (status 200)"),
    "another program's error": (404, b"<html>", "what answers at URL is no gateway (status 404)"),
    "a list instead of a document": (200, [], "what answers at URL is no gateway (status 200)"),
}


@pytest.mark.parametrize("name", NOT_READY)
def test_what_is_no_open_gateway_is_not_ready(gateway, served, name):
    status, document, said = NOT_READY[name]
    server = served({LIST: (status, document), replayed("b"): (status, document), replayed("a"): DONE})
    said = f"gateway: {said.replace('URL', server.url)}\n"
    assert gateway("replay", "dead-letter", "--all", "--url", server.url) == (3, "", said)
    assert gateway("replay", "dead-letter", "b", "--url", server.url) == (3, "", said)
    assert gateway("replay", "dead-letter", "a", "b", "--url", server.url) == (3, "1 replayed, 0 not\n", said)


def test_a_token_that_is_another_one_is_not_ready(gateway, served):
    server = served({LIST: (401, {"error": {**ERROR, "message": "x"}})})
    said = f"gateway: {server.url}: it does not take this admin token; set GATEWAY_ADMIN_TOKEN to the one it was started with\n"
    assert gateway("replay", "dead-letter", "--all", "--url", server.url, GATEWAY_ADMIN_TOKEN="other") == (3, "", said)
