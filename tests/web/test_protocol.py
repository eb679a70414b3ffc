"""A connection is bounded before anything of ours sees a request: in bytes, in time and in number. Raw sockets, a real server."""

from __future__ import annotations

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
def server(monkeypatch, **bounds):
    for name, value in {"PATIENCE": 0.3, "LOOK": 0.05, **bounds}.items():
        monkeypatch.setattr(BoundedProtocol if name == "most" else protocol, name, value)
    config = uvicorn.Config(echo, port=0, http=BoundedProtocol, loop="uvloop", lifespan="off", log_config=None, access_log=False)
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        time.sleep(0.005)
    try:
        yield running.servers[0].sockets[0].getsockname()[1]
    finally:
        running.should_exit = True
        thread.join()


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


def flood(connection, piece, most=4 << 20):
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
        assert flood(connection, piece) < 4 << 20
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
