"""A connection is bounded before anything of ours sees a request: in bytes, in time and in number. Raw sockets, a real server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from contextlib import contextmanager

import pytest
import uvicorn
from prometheus_client import generate_latest

from gateway import telemetry
from gateway.web import protocol
from gateway.web.protocol import BoundedProtocol

SLOW = {
    "error": {
        "stage": "receive",
        "reason": "slow",
        "message": "the request took longer than 0.3 s to come",
        "docs": "/api/v1/docs",
    }
}
HEADERS = {
    "error": {"stage": "receive", "reason": "headers", "message": "the headers are too many or too large", "docs": "/api/v1/docs"}
}
FULL = {
    "error": {
        "stage": "receive",
        "reason": "connections",
        "message": "too many connections at once; try again",
        "docs": "/api/v1/docs",
    }
}


async def echo(scope, receive, send):
    """How many bytes came, once all are there."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    content = str(size).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(content)).encode())]})
    await send({"type": "http.response.body", "body": content})


@contextmanager
def running_server(monkeypatch, app=echo, **bounds):
    for name, value in {"PATIENCE": 0.3, "LOOK": 0.05, **bounds}.items():
        monkeypatch.setattr(BoundedProtocol if name == "most" else protocol, name, value)
    config = uvicorn.Config(app, port=0, http=BoundedProtocol, loop="uvloop", lifespan="off", log_config=None, access_log=False)
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        time.sleep(0.005)
    try:
        yield running
    finally:
        running.should_exit = True
        thread.join()


@contextmanager
def server(monkeypatch, **bounds):
    with running_server(monkeypatch, **bounds) as running:
        yield port_of(running)


def port_of(running):
    return running.servers[0].sockets[0].getsockname()[1]


def connected(running):
    return socket.create_connection(("127.0.0.1", port_of(running)))


def answer(connection):
    """The status and body of what comes until the end, or of the one answer that has a length."""
    connection.settimeout(10)
    read = b""
    try:
        while b"\r\n\r\n" not in read or len(read.partition(b"\r\n\r\n")[2]) < length(read):
            chunk = connection.recv(65536)
            if not chunk:
                break
            read += chunk
    except ConnectionResetError:
        pass
    return (int(read[9:12]), read.partition(b"\r\n\r\n")[2]) if read else None


def length(read):
    return int(read.lower().partition(b"content-length:")[2].split(b"\r\n")[0])


def is_closed(connection):
    connection.settimeout(5)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def flood(connection, piece, most=64 << 20):
    """Send the piece again and again until it is refused; how many bytes went out."""
    sent = 0
    connection.settimeout(2)
    try:
        while sent < most:
            connection.sendall(piece)
            sent += len(piece)
    except OSError:
        pass
    return sent


def cut_off(reason):
    line = f'gateway_connections_cut_off_total{{reason="{reason}"}} '
    return sum(
        float(each.removeprefix(line))
        for each in generate_latest(telemetry.REGISTRY).decode().splitlines()
        if each.startswith(line)
    )


POST = b"POST / HTTP/1.1\r\nhost: x\r\n"
ENDLESS = {
    "a header": (POST + b"x-a: ", b"a" * 8192),
    "headers, each tiny": (POST, b"a: b\r\n" * 1000),
    "the name of a header": (POST, b"a" * 8192),
    "an address": (b"POST /", b"a" * 8192),
    "a chunk's extensions": (POST + b"transfer-encoding: chunked\r\n\r\n1;a=", b"a" * 8192),
    "trailers": (POST + b"transfer-encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n" * 1000),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_what_never_ends_is_cut_off_after_64_kib(monkeypatch, kind):
    begun, piece = ENDLESS[kind]
    before = cut_off("headers")
    with server(monkeypatch, PATIENCE=30) as port, socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(begun)
        assert flood(connection, piece) < 64 << 20
        assert is_closed(connection) or answer(connection)
    assert cut_off("headers") == before + 1


def test_a_head_that_is_too_large_gets_an_answer(monkeypatch):
    with server(monkeypatch, PATIENCE=30) as port, socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(POST + b"x: " + b"a" * protocol.LARGEST_HEAD)
        status, body = answer(connection)
    assert (status, json.loads(body)) == (431, HEADERS)


def drip(connection, seconds):
    """The head of a request, a byte at a time."""
    end, head = time.monotonic() + seconds, iter(POST + b"x: " + b"a" * 1000)
    while time.monotonic() < end:
        connection.sendall(bytes([next(head)]))
        time.sleep(0.02)


DAWDLING = {
    "says nothing at all": (b"", None),
    "sends half a head": (b"POST / HTTP/1.1\r\nho", SLOW),
    "sends no body": (POST + b"content-length: 5\r\n\r\n", None),
}


@pytest.mark.parametrize("kind", DAWDLING)
def test_who_dawdles_is_cut_off(monkeypatch, kind):
    begun, said = DAWDLING[kind]
    before = cut_off("slow")
    with server(monkeypatch) as port, socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(begun)
        began = time.monotonic()
        found = answer(connection)
        assert 0.2 < time.monotonic() - began < 3
        if said is not None:
            assert (found[0], json.loads(found[1])) == (408, said)
    assert cut_off("slow") == before + 1


def test_a_head_that_drips_is_cut_off_however_often_a_byte_comes(monkeypatch):
    with server(monkeypatch) as port, socket.create_connection(("127.0.0.1", port)) as connection:
        began = time.monotonic()
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            drip(connection, 5)
        assert time.monotonic() - began < 3


def test_a_connection_that_is_kept_alive_may_rest_between_requests(monkeypatch):
    with server(monkeypatch) as port, socket.create_connection(("127.0.0.1", port)) as connection:
        for _ in range(3):
            connection.sendall(POST + b"content-length: 5\r\n\r\nhello")
            assert answer(connection) == (200, b"5")
            time.sleep(0.5)


def test_one_connection_too_many_is_told_so(monkeypatch):
    with server(monkeypatch, most=2, PATIENCE=30) as port:
        kept = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
        for connection in kept:
            connection.sendall(POST + b"content-length: 1\r\n\r\na")
            assert answer(connection) == (200, b"1")
        with socket.create_connection(("127.0.0.1", port)) as connection:
            status, body = answer(connection)
            assert (status, json.loads(body), is_closed(connection)) == (503, FULL, True)
        kept.pop().close()
        time.sleep(0.1)
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(POST + b"content-length: 2\r\n\r\nab")
            assert answer(connection) == (200, b"2")
        for connection in kept:
            connection.close()


def test_a_large_body_in_tiny_chunks_is_no_endless_head(monkeypatch):
    with server(monkeypatch, PATIENCE=30) as port, socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(POST + b"transfer-encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 100_000 + b"0\r\n\r\n")
        assert answer(connection) == (200, b"100000")


AMBIGUOUS = {
    "a length and chunks": b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
    "an unknown encoding": b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked twice": b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "a length that is no number": b"content-length: 0x5\r\n\r\nhello",
    "a header that is folded": b"x-a: b\r\n c\r\ncontent-length: 0\r\n\r\n",
}


@pytest.mark.parametrize("kind", AMBIGUOUS)
def test_what_two_servers_could_read_in_two_ways_is_refused(monkeypatch, kind):
    with server(monkeypatch) as port, socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(POST + AMBIGUOUS[kind])
        assert answer(connection)[0] == 400


def test_requests_may_follow_each_other_without_waiting(monkeypatch):
    one = POST + b"content-length: 1\r\n\r\na"
    with server(monkeypatch) as port, socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(one * 50)
        connection.settimeout(5)
        read = b""
        while read.count(b"HTTP/1.1 200") < 50:
            read += connection.recv(65536)
    assert read.count(b"\r\n\r\n1") == 50


def held(running):
    return len(running.server_state.connections)


def until(condition, seconds=5.0):
    """Whether it came true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


def test_requests_without_end_that_nobody_waits_for_are_not_kept(monkeypatch):
    before, longest = cut_off("pipelined"), 0
    with running_server(monkeypatch, PATIENCE=30) as running, connected(running) as connection:
        with contextlib.suppress(OSError):
            for _ in range(40):
                connection.sendall(POST + b"content-length: 1\r\n\r\na" + (POST + b"content-length: 1\r\n\r\na") * 2_000)
                longest = max([longest, *(len(each.pipeline) for each in list(running.server_state.connections))])
        assert until(lambda: held(running) == 0)
    assert longest <= protocol.MOST_PIPELINED
    assert cut_off("pipelined") == before + 1


def test_a_body_that_follows_too_soon_waits_outside(monkeypatch):
    opened = threading.Event()
    with running_server(monkeypatch, app=slow(opened), PATIENCE=30) as running, connected(running) as connection:
        connection.sendall(POST + b"content-length: 0\r\n\r\n" + POST + b"content-length: 8388608\r\n\r\n")
        sent = flood(connection, b"a" * 65536, most=8 << 20)
        (ours,) = running.server_state.connections
        assert sent < 8 << 20, "it was read although nobody asked for it"
        assert len(ours.cycle.body) < 1 << 20
        opened.set()


def slow(opened):
    """Answers once the event is set, whatever comes."""

    async def app(scope, receive, send):
        await asyncio.to_thread(opened.wait, 10)
        await echo(scope, receive, send)

    return app


async def large(scope, receive, send):
    """More than any buffer on the way holds."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"20000000")]})
    for _ in range(20):
        await send({"type": "http.response.body", "body": b"a" * 1_000_000, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def large_at_once(scope, receive, send):
    """The same, in one piece: the answer is complete for us long before it is out."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"20000000")]})
    await send({"type": "http.response.body", "body": b"a" * 20_000_000})


@pytest.mark.parametrize("app", [large, large_at_once])
def test_who_does_not_read_the_answer_is_cut_off(monkeypatch, app):
    before = cut_off("unread")
    with running_server(monkeypatch, app=app) as running, connected(running) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert until(lambda: held(running) == 1)
        assert until(lambda: held(running) == 0)
    assert cut_off("unread") == before + 1


def test_who_reads_the_answer_slowly_gets_all_of_it(monkeypatch):
    with running_server(monkeypatch, app=large, PATIENCE=0.6) as running, connected(running) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        read, began = 0, time.monotonic()
        while read < 20_000_000:
            read += len(connection.recv(1 << 20))
            time.sleep(0.05)
        assert time.monotonic() - began > 0.9


def test_an_empty_line_between_requests_does_not_hold_a_connection(monkeypatch):
    with running_server(monkeypatch) as running, connected(running) as connection:
        connection.sendall(POST + b"content-length: 1\r\n\r\na")
        assert answer(connection) == (200, b"1")
        connection.sendall(b"\r\n")
        assert until(lambda: held(running) == 0, 3)


def test_who_rests_longer_than_a_balancer_does_is_let_go(monkeypatch):
    with running_server(monkeypatch, REST=0.3, PATIENCE=30) as running, connected(running) as connection:
        connection.sendall(POST + b"content-length: 1\r\n\r\na")
        assert answer(connection) == (200, b"1")
        began = time.monotonic()
        assert until(lambda: held(running) == 0, 3)
        assert time.monotonic() - began > 0.2


def test_where_there_is_little_room_rest_is_short(monkeypatch):
    with running_server(monkeypatch, most=2, SHORT_REST=0.2, PATIENCE=30) as running, connected(running) as connection:
        connection.sendall(POST + b"content-length: 1\r\n\r\na")
        assert answer(connection) == (200, b"1")
        assert until(lambda: held(running) == 0, 3)


def test_a_refusal_reaches_who_has_said_much_already(monkeypatch):
    """Closed with something unread, a connection is reset, and what was written to it may be lost."""
    with running_server(monkeypatch, most=0, PATIENCE=30) as running:
        for _ in range(50):
            with connected(running) as connection:
                connection.sendall(POST + b"content-length: 100000\r\n\r\n")
                connection.sendall(b"a" * 100_000)
                status, body = answer(connection)
                assert (status, json.loads(body)) == (503, FULL)


def test_who_is_refused_is_left_a_moment_to_read_why(monkeypatch):
    with running_server(monkeypatch, most=0, PATIENCE=30, LINGER=30.0) as running, connected(running) as connection:
        connection.sendall(POST)
        assert answer(connection)[0] == 503
        time.sleep(0.1)
        assert held(running) == 1


def test_however_many_are_too_many_few_are_waited_for_and_all_are_told(monkeypatch):
    with running_server(monkeypatch, most=0, PATIENCE=30) as running, contextlib.ExitStack() as kept:
        connections = [kept.enter_context(connected(running)) for _ in range(200)]
        assert until(lambda: held(running) == protocol.MOST_LINGERING)
        for connection in connections:
            status, body = answer(connection)
            assert (status, json.loads(body)) == (503, FULL)
        assert until(lambda: held(running) == 0)


INVALID = {
    "error": {
        "stage": "receive",
        "reason": "request",
        "message": "this is no HTTP/1.1 request that can be read in one way only",
        "docs": "/api/v1/docs",
    }
}


@pytest.mark.parametrize("said", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"hello there\r\n\r\n", POST + b"a b\r\n\r\n"])
def test_what_is_no_request_is_told_so(monkeypatch, said):
    with running_server(monkeypatch) as running, connected(running) as connection:
        connection.sendall(said)
        status, body = answer(connection)
    assert (status, json.loads(body)) == (400, INVALID)


@pytest.mark.parametrize("behind", [b"\x00", POST + b"content-length: 0\r\n\r\n\x00", POST + b"x: " + b"a" * 70_000])
def test_a_request_gets_its_own_answer_whatever_comes_behind_it(monkeypatch, behind):
    opened = threading.Event()
    with running_server(monkeypatch, app=slow(opened), PATIENCE=30) as running, connected(running) as connection:
        connection.sendall(POST + b"content-length: 1\r\n\r\na")
        assert until(lambda: running.server_state.tasks)
        connection.sendall(behind)
        time.sleep(0.2)
        opened.set()
        connection.settimeout(5)
        read = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                read += chunk
    assert read.startswith(b"HTTP/1.1 200 ")
    assert read.endswith(b"\r\nconnection: close\r\n\r\n1")
    assert read.count(b"HTTP/1.1 ") == 1


def test_a_body_that_breaks_a_rule_ends_the_request(monkeypatch):
    heard = []

    async def app(scope, receive, send):
        while (message := await receive()).get("more_body"):
            pass
        heard.append(message["type"])
        if message["type"] == "http.request":
            await echo(scope, receive, send)

    with running_server(monkeypatch, app=app, PATIENCE=30) as running, connected(running) as connection:
        connection.sendall(POST + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\nz")
        status, body = answer(connection)
        assert (status, json.loads(body)) == (400, INVALID)
        assert until(lambda: heard == ["http.disconnect"])


OFFER = POST + b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"
OFFERS = {
    "a length": (b"content-length: 3\r\n\r\n", b"abc", b"3"),
    "chunks": (b"transfer-encoding: chunked\r\n\r\n", b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"5"),
    "no body": (b"content-length: 0\r\n\r\n", b"", b"0"),
    "neither": (b"\r\n", b"", b"0"),
}


@pytest.mark.parametrize("pieces", [1, 2, 3])
@pytest.mark.parametrize("kind", OFFERS)
def test_who_offers_another_protocol_is_answered_in_this_one(monkeypatch, kind, pieces):
    end, body, size = OFFERS[kind]
    whole = OFFER + end + body
    cut = {1: [whole], 2: [OFFER + end, body], 3: [whole[:60], whole[60:-1], whole[-1:]]}[pieces]
    with running_server(monkeypatch, PATIENCE=30) as running, connected(running) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(2):
            for piece in cut:
                connection.sendall(piece)
                time.sleep(0.02)
            assert answer(connection) == (200, size)
        connection.sendall(whole + POST + b"content-length: 4\r\n\r\nabcd")
        read = b""
        connection.settimeout(5)
        while read.count(b"HTTP/1.1 200 ") < 2 or not read.endswith(b"\r\n\r\n4"):
            read += connection.recv(65536)


def test_a_head_that_offers_another_protocol_reaches_us_as_it_was(monkeypatch):
    seen = []

    async def app(scope, receive, send):
        seen.append((scope["method"], scope["path"], scope["query_string"], scope["headers"]))
        await echo(scope, receive, send)

    offer = b"PUT /a?b=c HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\ncontent-length: 3\r\n\r\nabc"
    with running_server(monkeypatch, app=app, PATIENCE=30) as running, connected(running) as connection:
        connection.sendall(offer)
        assert answer(connection) == (200, b"3")
    headers = [(b"host", b"x"), (b"connection", b"upgrade"), (b"upgrade", b"websocket"), (b"content-length", b"3")]
    assert seen == [("PUT", "/a", b"b=c", headers)]


def leave(running):
    running.should_exit = True
    time.sleep(0.3)


def test_who_is_at_rest_when_we_go_is_told_in_the_next_answer(monkeypatch):
    with running_server(monkeypatch, PARTING=1.0, PATIENCE=30) as running, connected(running) as connection:
        connection.sendall(POST + b"content-length: 1\r\n\r\na")
        assert answer(connection) == (200, b"1")
        leave(running)
        connection.sendall(POST + b"content-length: 2\r\n\r\nab")
        connection.settimeout(5)
        read = b""
        while chunk := connection.recv(65536):
            read += chunk
    assert read.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nconnection: close\r\n" in read
    assert read.endswith(b"\r\n\r\n2")


def test_who_is_in_the_middle_of_a_head_when_we_go_is_heard(monkeypatch):
    with running_server(monkeypatch, PARTING=0.2, PATIENCE=30) as running, connected(running) as connection:
        connection.sendall(POST[:20])
        leave(running)
        time.sleep(0.3)
        connection.sendall(POST[20:] + b"content-length: 2\r\n\r\nab")
        assert answer(connection) == (200, b"2")
        assert is_closed(connection)


def test_who_says_nothing_does_not_keep_us(monkeypatch):
    bounds = {"PARTING": 0.2, "PATIENCE": 30}
    with running_server(monkeypatch, **bounds) as running, connected(running) as silent, connected(running) as resting:
        resting.sendall(POST + b"content-length: 1\r\n\r\na")
        assert answer(resting) == (200, b"1")
        began = time.monotonic()
        running.should_exit = True
        assert is_closed(silent)
        assert is_closed(resting)
        assert 0.2 < time.monotonic() - began < 2


def test_while_requests_wait_for_their_turn_nothing_more_is_read(monkeypatch):
    waiting = []

    async def app(scope, receive, send):
        (ours,) = running.server_state.connections
        waiting.append(sum(len(cycle.body) for cycle, _ in ours.pipeline))
        await asyncio.sleep(0.01)
        await echo(scope, receive, send)

    one = POST + b"content-length: 60000\r\n\r\n" + b"a" * 60_000
    with running_server(monkeypatch, app=app, PATIENCE=30) as running, connected(running) as connection:
        sender = threading.Thread(target=connection.sendall, args=(one * 200,))
        sender.start()
        connection.settimeout(5)
        read = b""
        while read.count(b"\r\n\r\n60000") < 200:
            read += connection.recv(65536)
        sender.join()
    assert max(waiting) < 1 << 19


def pieces(connection, request):
    """What came after a request, as it came: each read waits a moment longer than a packet takes."""
    connection.settimeout(0.3)
    connection.sendall(request)
    found = []
    with contextlib.suppress(TimeoutError):
        while chunk := connection.recv(65536):
            found.append(chunk)
            time.sleep(0.02)
    return found


GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


def test_an_answer_is_one_piece_and_the_next_on_the_same_connection_too(monkeypatch):
    with running_server(monkeypatch) as running, connected(running) as connection:
        for _ in range(2):
            (whole,) = pieces(connection, GET)
            head, _, body = whole.partition(b"\r\n\r\n")
            assert (head.splitlines()[0], body) == (b"HTTP/1.1 200 OK", b"0")


def test_a_head_behind_which_nothing_comes_is_sent_all_the_same(monkeypatch):
    async def nothing(scope, receive, send):
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async def broken(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
        raise ValueError("in the middle")

    with running_server(monkeypatch) as running, connected(running) as connection:
        (whole,) = pieces(connection, GET.replace(b"GET", b"HEAD"))
        assert whole.startswith(b"HTTP/1.1 200 OK\r\n")
        assert whole.endswith(b"\r\n\r\n")
    for app, start in ((nothing, b"HTTP/1.1 204 No Content\r\n"), (broken, b"HTTP/1.1 200 OK\r\n")):
        with running_server(monkeypatch, app=app) as running, connected(running) as connection:
            (whole,) = pieces(connection, GET)
            assert (whole.startswith(start), whole.endswith(b"\r\n\r\n")) == (True, True)


def test_who_asks_whether_to_go_on_is_told_before_the_answer(monkeypatch):
    asks = b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n"
    with running_server(monkeypatch, PATIENCE=5.0) as running, connected(running) as connection:
        assert pieces(connection, asks) == [b"HTTP/1.1 100 Continue\r\n\r\n"]
        (whole,) = pieces(connection, b"abc")
        assert whole.endswith(b"\r\n\r\n3")
