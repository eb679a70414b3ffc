"""Real servers on loopback for the tests of the client, and the client's one call as they make it."""

import re
import socket
import threading
import time
from contextlib import closing, contextmanager

import anyio
import pytest

from gateway.errors import Undelivered
from gateway.model import Request
from gateway.outbound import Client

SECRET = "hunter22"


@contextmanager
def server(talk, context=None, host="127.0.0.1"):
    """A port on loopback where each connection is handed to `talk`; yields the port."""
    listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)

    def serve(plain):
        shakes = context is not None
        connection = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False) if shakes else plain
        with closing(connection):
            try:
                if shakes:
                    connection.do_handshake()
                talk(connection)
            except OSError:
                time.sleep(0.2)  # let the alert arrive before the reset

    def accept():
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(plain,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def read_request(connection):
    """The bytes of one request, body included."""
    read = b""
    while b"\r\n\r\n" not in read:
        if not (more := connection.recv(65536)):
            return read
        read += more
    length = re.search(rb"content-length: (\d+)", read.lower())
    while length and len(read.partition(b"\r\n\r\n")[2]) < int(length[1]):
        read += connection.recv(65536)
    return read


def answering(content, heard=None):
    """Reads one request and answers with these bytes."""

    def talk(connection):
        request = read_request(connection)
        if heard is not None:
            heard.append(request)
        connection.sendall(content)

    return talk


def http(body=b"", status="200 OK", headers=""):
    """The bytes of an answer."""
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n{headers}\r\n".encode() + body


def sent(url, *, timeout=5.0, tls=None, certificate="", headers=None, content=b""):
    """What comes of one request."""

    async def go():
        client = Client()
        try:
            request = Request(method="POST", url=url, headers=headers or {}, content=content)
            return await client.send(request, timeout=timeout, tls=tls, certificate=certificate)
        finally:
            await client.close()

    return anyio.run(go)


def failed(url, **how):
    """What the failure says, its reason, and whether it is worth another try; no part of the URL but its host is in it."""
    with pytest.raises(Undelivered) as caught:
        sent(url, **how)
    error = caught.value
    assert SECRET not in str(error)
    assert "://" not in str(error)
    assert error.__cause__ is None
    return str(error), error.reason, error.retryable
