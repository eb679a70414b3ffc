"""`gateway sink test`: one marked event over a real connection, what was sent and what came back, and nothing secret."""

from __future__ import annotations

import json
import re
import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from loopback import http, read_request, server
from test_beyond import server_side
from test_outbound_tls import pki

__all__ = ["pki"]  # a fixture

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


TOKEN = "t0k/en+1=="  # what the endpoint gives out; the other secrets stand in the environment
GIVEN = {"KEY": "k3y/w\xf6rd+&", "TOKEN": "b3arer/t0ken+", "ID": "us", "PASSWORD": "p4ss/word+"}
HOOK = "/services/T0/B0/h00kh00kh00k?sig=s1gs1gs1gs1gs1gs1g"
TELLING = re.compile(r"k3y|w\S*rd|b3arer|p4ss|t0k|h00k|s1g")  # a piece of a secret, however it is written


@contextmanager
def parrot(pki):
    """Gives out TOKEN, and repeats to everybody else where to and with what it was asked, in headers and in its body."""

    def talk(connection):
        head = read_request(connection).partition(b"\r\n\r\n")[0].decode()
        target, given = head.split(" ")[1], "".join(re.findall(r"(?im)^authorization: (.*?)\r?$", head))
        if target == "/token":
            connection.sendall(http(json.dumps({"access_token": TOKEN}).replace("/", "\\/").encode()))  # as PHP writes it
        else:
            said = json.dumps({"to": target, "by": given, "path": target.partition("?")[0]})
            connection.sendall(http(said.encode(), f"404 no {target}", f"X-By: {given}\r\nLocation: {target}\r\n"))

    with server(talk, server_side(pki)) as port:
        yield f"https://127.0.0.1:{port}"


PLAIN = "title: T\nvars: { url: { env: URL } }\nrequest: { url: '{{ vars.url }}/in', json: $.action }\n"
KEYED = "secrets: { key: { env: KEY } }\n" + PLAIN.replace("/in", "/{{ secrets.key }}/in?key={{ secrets.key }}")
HOOKED = "title: T\nsecrets: { url: { env: HOOK } }\nrequest: { url: '{{ secrets.url }}', json: $.action }\n"
OAUTH2 = (
    "auth: { scheme: oauth2, token_url: { env: AT }, client_id: { env: ID }, client_secret: { env: PASSWORD }, client_in: %s }\n"
)
ASKED = "grant_type=client_credentials"
FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}


def exchange(url: str, by: str, to: str = "/in", path: str = "/in", **more: object) -> dict[str, object]:
    """What is shown of one with the parrot."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": by} if by else {})
    return {
        "method": "POST",
        "url": url,
        "headers": headers,
        "body": '"trigger"',
        "status": 404,
        "answer": json.dumps({"to": to, "by": by, "path": path}),
        "error": "",
    } | more


def token(headers: dict[str, str], body: str) -> dict[str, object]:
    """What is shown of one with the token endpoint."""
    return exchange("URL/token", "", headers=FORM | headers, body=body, status=200, answer='{"access_token": "***"}')


SECRETIVE = {
    "bearer": (PLAIN + "auth: { scheme: bearer, token: { env: TOKEN } }\n", [exchange("URL/in", "Bearer ***")]),
    "basic": (
        PLAIN + "auth: { scheme: basic, username: { env: ID }, password: { env: PASSWORD } }\n",
        [exchange("URL/in", "Basic ***")],
    ),
    "a key in the address": (KEYED, [exchange("URL/***/in?key=***", "", "/***/in?key=***", "/***/in")]),
    "an address that is secret": (HOOKED, [exchange("***", "", "***", "***")]),
    "oauth2, the secret in a header": (
        PLAIN + OAUTH2 % "header",
        [token({"Authorization": "Basic ***"}, ASKED), exchange("URL/in", "Bearer ***")],
    ),
    "oauth2, the secret in the body": (
        PLAIN + OAUTH2 % "body",
        [token({}, f"{ASKED}&client_id=us&client_secret=***"), exchange("URL/in", "Bearer ***")],
    ),
}


def printed(gateway, pki, yaml: str, form: str):
    """What is printed, with URL for the address of the parrot."""
    with parrot(pki) as url:
        files = {"conf/sinks.d/s.yaml": f"{yaml}tls: {{ ca_file: '{pki}/ca.pem' }}\n", "conf/gateway.yaml": "catalogue: false\n"}
        env = GIVEN | {"URL": url, "AT": f"{url}/token", "HOOK": url + HOOK}
        done = gateway("sink", "test", "s", "--action", "trigger", "--config", "conf", "--format", form, files=files, **env)
    assert (done.code, done.err) == (1, "")
    return done.out.replace(url, "URL")


@pytest.mark.parametrize("name", SECRETIVE)
def test_no_secret_is_shown_wherever_it_stands_and_whoever_repeats_it(gateway, pki, name):
    yaml, exchanges = SECRETIVE[name]
    result = {"action": "trigger", "state": "dead", "verdict": "answered 404"}
    assert json.loads(printed(gateway, pki, yaml, "json")) == {"results": [result], "exchanges": exchanges}
    text = printed(gateway, pki, yaml, "text")
    assert [TELLING.findall(text), text.count("***")] == [[], str(exchanges).count("***")]


def test_a_token_is_shown_neither_where_it_is_got_nor_where_it_is_used(gateway, pki):
    assert printed(gateway, pki, PLAIN + OAUTH2 % "header", "text") == (
        "> POST URL/token\n> Content-Type: application/x-www-form-urlencoded\n> Accept: application/json\n"
        "> Authorization: Basic ***\n>\n> grant_type=client_credentials\n"
        '< 200\n< {"access_token": "***"}\n\n'
        '> POST URL/in\n> Content-Type: application/json\n> Authorization: Bearer ***\n>\n> "trigger"\n'
        '< 404\n< {"to": "/in", "by": "Bearer ***", "path": "/in"}\n\n'
        "trigger: would be a dead letter (answered 404)\n"
    )


def test_a_syslog_receiver_that_does_not_take_us_is_heard_though_none_ever_answers(gateway, pki):
    mutual = server_side(pki)
    mutual.load_verify_locations(pki / "ca.pem")
    mutual.verify_mode = ssl.CERT_REQUIRED
    request = "request: { url: '{{ vars.url }}', json: { message: $.summary } }"
    text = f"title: T\nvars: {{ url: {{ env: URL }} }}\ntls: {{ ca_file: '{pki}/ca.pem' }}\n{request}\n"
    files = {"conf/sinks.d/s.yaml": text, "conf/gateway.yaml": "catalogue: false\n"}
    with server(read_request, mutual) as port:
        url = f"syslog+tls://127.0.0.1:{port}"
        done = gateway("sink", "test", "s", "--action", "trigger", "--config", "conf", files=files, URL=url)
    hint = "it wants a certificate of ours: set tls.client_cert"
    said = f"the TLS handshake failed: tlsv13 alert certificate required; {hint}"
    assert (done.code, done.out.splitlines()[-1]) == (1, f"trigger: would be tried again ({said})")
