"""Connections of the one HTTP client: kept and used again, left alone once doubtful, and nothing that was sent is sent a second time."""

import threading
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import anyio
import httpx2
import pytest
from loopback import answering, http, read_request, sent, server

from gateway.errors import Undelivered
from gateway.model import Request
from gateway.outbound import LARGEST_ANSWER, Client
from gateway.transport import LARGEST_PIECE

KEPT = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
BROKEN = "the connection broke: it was closed before an answer came"


class Sink:
    """A receiver that does what the script says for each request, in the order they come; it knows who came on which connection."""

    def __init__(self, *script):
        self.script, self.heard, self.connections = list(script), [], 0

    def __call__(self, connection):
        self.connections += 1
        number = self.connections
        while request := read_request(connection):
            self.heard.append((number, request.split(b" ", 1)[0].decode()))
            answer = self.script.pop(0) if self.script else KEPT
            if not answer:
                return
            connection.sendall(answer)
            if b"connection: close" in answer:
                return


@contextmanager
def idle_for(seconds):
    """A receiver that ends a connection on which nothing comes for so long."""
    sink = Sink()

    def talk(connection):
        connection.settimeout(seconds)
        sink(connection)

    with server(talk) as port:
        yield sink, port


def calls(port, *methods, pause=0.0, timeout=5.0, host="127.0.0.1", path=""):
    """What comes of one request after the other, of one client."""

    async def go():
        client, found = Client(), []
        try:
            for method in methods:
                request = Request(method=method, url=f"http://{host}:{port}/{path}", headers={}, content=b"body")
                try:
                    found.append((await client.send(request, timeout=timeout)).status)
                except Undelivered as error:
                    found.append(str(error))
                await anyio.sleep(pause)
        finally:
            await client.close()
        return found

    return anyio.run(go)


def test_a_connection_is_used_again():
    sink = Sink()
    with server(sink) as port:
        assert calls(port, *["POST"] * 5) == [200] * 5
    assert sink.heard == [(1, "POST")] * 5


def test_a_connection_that_the_sink_has_ended_is_not_used_again():
    with idle_for(0.1) as (sink, port):
        assert calls(port, "POST", "POST", pause=0.4) == [200, 200]
    assert sink.heard == [(1, "POST"), (2, "POST")]


def test_a_sink_that_wants_its_connection_closed_gets_another():
    sink = Sink(http(b"ok"), http(b"ok"))
    with server(sink) as port:
        assert calls(port, "POST", "POST") == [200, 200]
    assert sink.heard == [(1, "POST"), (2, "POST")]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET"])
def test_what_was_sent_is_not_sent_again_behind_our_back(method):
    for script, found, heard in (
        ([b"", KEPT], [BROKEN, 200], [(1, method), (2, method)]),  # a new connection that ends
        ([KEPT, b"", KEPT], [200, BROKEN, 200], [(1, method), (1, method), (2, method)]),  # one that was used before
    ):
        sink = Sink(*script)
        with server(sink) as port:
            assert calls(port, *[method] * len(found)) == found
        assert sink.heard == heard


def test_a_connection_is_not_used_again_for_longer_than_most_sinks_keep_it(monkeypatch):
    monkeypatch.setattr("gateway.transport.KEPT_ALIVE", 0.2)
    sink = Sink()
    with server(sink) as port:
        assert calls(port, "POST", "POST", pause=0.4) == [200, 200]
    assert sink.heard == [(1, "POST"), (2, "POST")]


def test_after_an_answer_that_was_not_read_to_its_end_comes_another_connection():
    size = 16 * LARGEST_ANSWER
    sink = Sink(f"HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n".encode() + b"x" * size)
    with server(sink) as port:
        assert calls(port, "POST", "POST") == [200, 200]
    assert sink.heard == [(1, "POST"), (2, "POST")]


def test_any_transport_of_httpx2_gets_a_whole_request():
    async def go(port, method):
        client = Client(httpx2.AsyncHTTPTransport(trust_env=False))
        try:
            url = f"http://127.0.0.1:{port}/"
            return (await client.send(Request(method=method, url=url, headers={}, content=b""), timeout=5.0)).status
        finally:
            await client.close()

    for method in ("POST", "GET"):
        heard = []
        with server(answering(http(), heard)) as port:
            assert anyio.run(go, port, method) == 200
        head = heard[0].lower()
        assert f"host: 127.0.0.1:{port}\r\n".encode() in head
        assert (b"content-length: 0\r\n" in head) == (method == "POST")


def test_a_large_body_says_how_long_it_is():
    heard, body = [], b"x" * (3 * LARGEST_PIECE + 1)
    with server(answering(http(), heard)) as port:
        assert sent(f"http://127.0.0.1:{port}/", content=body).status == 200
    head, _, content = heard[0].partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head.lower()
    assert b"chunked" not in head.lower()
    assert content == body


def test_an_ipv6_address_is_a_place_like_any_other():
    sink = Sink()
    with server(sink, host="::1") as port:
        assert calls(port, "POST", host="[::1]") == [200]
    assert sink.heard == [(1, "POST")]


def descriptors():
    return len(list(Path("/dev/fd").iterdir()))


def test_calls_that_are_cut_off_leave_nothing_behind_and_the_next_ones_are_answered():
    over = threading.Event()

    def slow(connection):
        while request := read_request(connection):
            if b"/slow" in request:
                over.wait(10.0)
            connection.sendall(KEPT)

    async def go(port):
        client, outcomes = Client(), Counter()
        before = descriptors()

        async def send(path):
            try:
                request = Request(method="POST", url=f"http://127.0.0.1:{port}/{path}", headers={})
                outcomes[(await client.send(request, timeout=0.3)).status] += 1
            except Undelivered as error:
                outcomes[str(error)] += 1

        try:
            async with anyio.create_task_group() as tasks:
                for _ in range(200):
                    tasks.start_soon(send, "slow")
            await anyio.sleep(0.1)
            left = descriptors() - before
            for _ in range(20):
                await send("")
        finally:
            await client.close()
        return outcomes, left

    with server(slow) as port:
        outcomes, left = anyio.run(go, port)
        over.set()
    assert outcomes == {"no answer within 0.3 s": 200, 200: 20}
    assert left <= 200  # the receiver's ends, as it is still asleep: none of the client's
